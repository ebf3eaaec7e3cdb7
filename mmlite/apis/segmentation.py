"""Semantic segmentation of images."""

from dataclasses import dataclass

import numpy as np

from mmlite.visualization import class_colors, draw_label_maps

from .image_inferencer import ImageInferencer

NO_LABEL = -1  # every pixel has a class


@dataclass
class Segmentation:
    """Class of every pixel of an image.

    Args:
        image (str): Its path, or ``'array 3'`` for the fourth of the inputs.
        label_map (ndarray): uint8 (H, W) in the image's own size; int64 from a model of more than
            256 classes.
        class_names (list[str]): Name of each label, at least up to the highest in the map.
    """

    image: str
    label_map: np.ndarray
    class_names: list

    def shares(self):
        """dict[str, float]: Name of each class that occurs -> share of pixels, largest first."""
        labels, counts = np.unique(self.label_map, return_counts=True)
        order = np.argsort(-counts, kind='stable')
        return {self.class_names[labels[k]]: float(counts[k] / self.label_map.size) for k in order}

    def record(self):
        """dict: For JSON."""
        return dict(image=self.image, size=list(self.label_map.shape), shares=self.shares())

    def summary(self):
        """str: The classes with a share of at least half a percent, in a line."""
        parts = [f'{name} {100 * share:.0f}%' for name, share in self.shares().items()]
        return ', '.join(part for part in parts if not part.endswith(' 0%'))


class SegInferencer(ImageInferencer):
    """Segment images; see :class:`~.image_inferencer.ImageInferencer` for arguments.

    Results are :class:`Segmentation`. A drawing shows the image, its label map and a legend;
    ``labels/<name>.png`` is the label map in 8 bits, or 16 for more than 256 classes.
    """

    TASK = 'segmentation'
    FIELD = 'pred_sem_seg'

    def _result(self, place, sample, options):
        labels = sample.pred_sem_seg.data[0].cpu().numpy()
        count = max(len(self.class_names or ()), int(labels.max()) + 1)
        labels = labels.astype(np.uint8 if count <= 256 else np.int64)
        return Segmentation(place, labels, [self.name_of(label) for label in range(count)])

    def _draw(self, name, image, result):
        names, labels = result.class_names, result.label_map
        colors = class_colors(len(names), self._palette)
        drawn = draw_label_maps(image[..., ::-1], {'prediction': labels}, names, colors, NO_LABEL)
        depth = np.uint8 if labels.dtype == np.uint8 else np.uint16
        return {f'{name}.jpg': drawn, f'labels/{name}.png': labels.astype(depth)}
