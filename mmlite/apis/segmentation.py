"""Semantic segmentation of images."""

from dataclasses import dataclass

import numpy as np

from mmlite.visualization import draw_label_maps

from .image_drawing import many_colours
from .image_inferencer import ImageInferencer

NO_LABEL = -1  # every pixel has a class


@dataclass
class Segmentation:
    """The class of every pixel of an image.

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
        """dict[str, float]: Name of each class that is there -> share of the pixels, most first."""
        labels, counts = np.unique(self.label_map, return_counts=True)
        order = np.argsort(-counts, kind='stable')
        return {self.class_names[labels[k]]: float(counts[k] / self.label_map.size) for k in order}

    def record(self):
        """dict: For JSON."""
        return dict(image=self.image, size=list(self.label_map.shape), shares=self.shares())

    def summary(self):
        """str: The classes and their shares in a line, those of less than half a percent apart."""
        parts = [f'{name} {100 * share:.0f}%' for name, share in self.shares().items()]
        return ', '.join(part for part in parts if not part.endswith(' 0%'))


class SegInferencer(ImageInferencer):
    """Segments images; see :class:`~.image_inferencer.ImageInferencer` for all that is common.

    Its results are :class:`Segmentation`. A drawn picture shows the image, its label map and a
    legend; ``labels/<name>.png`` holds the label map itself, 8 bits, or 16 where there are more
    than 256 classes.
    """

    TASK = 'segmentation'
    FIELD = 'pred_sem_seg'

    def _result(self, place, sample, options):
        labels = sample.pred_sem_seg.data[0].cpu().numpy()
        count = max(len(self.class_names or ()), int(labels.max()) + 1)
        labels = labels.astype(np.uint8 if count <= 256 else np.int64)
        return Segmentation(place, labels, [self.name_of(label) for label in range(count)])

    def _pictures(self, name, picture, result):
        names, labels = result.class_names, result.label_map
        colours = [colour[::-1] for colour in many_colours(len(names), self._loaded.palette)]
        drawn = draw_label_maps(picture, {'prediction': labels}, names, colours, NO_LABEL)
        depth = np.uint8 if labels.dtype == np.uint8 else np.uint16
        return {f'{name}.jpg': drawn, f'labels/{name}.png': labels.astype(depth)}
