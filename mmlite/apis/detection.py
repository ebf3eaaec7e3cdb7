"""Detection of objects in images, with masks where the model has them."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from pycocotools import mask as coco_mask

from mmlite.errors import ArgumentError
from mmlite.visualization import draw_instances

from .image_drawing import fit_size
from .image_inferencer import ImageInferencer


@dataclass
class Detections:
    """The objects of an image, best first.

    Args:
        image (str): Its path, or ``'array 3'`` for the fourth of the inputs.
        size (tuple[int, int]): Height and width of the image in pixels.
        boxes (ndarray): float32 (N, 4): x1, y1, x2, y2 in pixels of the image as it was given.
        labels (ndarray): int64 (N,), the classes.
        names (list[str]): Their names.
        scores (ndarray): float32 (N,), from 0 to 1.
        encoded_masks (list[dict] | None): Run-length encoded as in COCO, which takes little room;
            ``counts`` are bytes. None from a model without masks.
    """

    image: str
    size: tuple
    boxes: np.ndarray
    labels: np.ndarray
    names: list
    scores: np.ndarray
    encoded_masks: list | None

    def __len__(self):
        return len(self.labels)

    @property
    def masks(self):
        """ndarray | None: bool (N, H, W), decoded at each access; None without masks."""
        if self.encoded_masks is None:
            return None
        masks = [coco_mask.decode(mask) for mask in self.encoded_masks]
        return np.array(masks, bool).reshape(-1, *self.size)

    def record(self):
        """dict: For JSON."""
        columns = dict(
            label=self.labels.tolist(),
            name=self.names,
            score=self.scores.tolist(),
            box=self.boxes.tolist(),
        )
        if self.encoded_masks is not None:
            columns['mask'] = [dict(m, counts=m['counts'].decode()) for m in self.encoded_masks]
        rows = zip(*columns.values(), strict=True)
        objects = [dict(zip(columns, row, strict=True)) for row in rows]
        return dict(image=self.image, size=list(self.size), objects=objects)

    def summary(self):
        """str: How many objects of which class."""
        counts = Counter(self.names).most_common()
        return ', '.join(f'{count} {name}' for name, count in counts) or 'no object'


class DetInferencer(ImageInferencer):
    """Detects objects; see :class:`~.image_inferencer.ImageInferencer` for all that is common.

    A call takes one option more:

    - ``score_threshold`` (float): Objects with lower scores are left out, of results and pictures.
      Defaults to 0.3; what the model itself leaves out is in its ``test_cfg``.

    Its results are :class:`Detections`. A drawn image has boxes, masks, names and scores.
    """

    TASK = 'detection'
    FIELD = 'pred_instances'
    OPTIONS = {'score_threshold': 0.3}

    def _check(self, batch_size, on_unreadable, options):
        options = super()._check(batch_size, on_unreadable, options)
        threshold = options['score_threshold']
        if not isinstance(threshold, (int, float)) or not 0 <= threshold <= 1:
            raise ArgumentError(f'score_threshold must be from 0 to 1, got {threshold!r}')
        return options

    def _result(self, place, sample, options):
        found = sample.pred_instances
        found = found[found.scores >= options['score_threshold']]
        found = found[found.scores.argsort(descending=True, stable=True)].cpu().numpy()
        masks = None
        if 'masks' in found:
            masks = [coco_mask.encode(np.asfortranarray(m, np.uint8)) for m in found.masks]
        names = [self.name_of(label) for label in found.labels.tolist()]
        size = tuple(map(int, sample.ori_shape[:2]))
        return Detections(place, size, found.bboxes, found.labels, names, found.scores, masks)

    def _pictures(self, name, picture, result):
        return {f'{name}.jpg': draw_detections(picture, result)}


def draw_detections(picture, result):
    """An image with boxes, masks, names and scores; better ones lie upon others.

    Args:
        picture (ndarray): BGR uint8 (H, W, 3).
        result (Detections): What is in it.

    Returns:
        ndarray: BGR uint8, with a longest side of 480 to 960 pixels.
    """
    image, scale = fit_size(picture)
    # a single pixel without an object stands for a mask that the model does not give
    masks = result.encoded_masks or [np.zeros((1, 1), bool)] * len(result)
    names = dict(zip(result.labels.tolist(), result.names, strict=True))
    drawn = draw_instances(
        np.ascontiguousarray(image[..., ::-1]),
        scale * result.boxes[::-1],
        result.labels[::-1].tolist(),
        masks[::-1],
        names,
        result.scores[::-1],
    )
    return drawn[..., ::-1]
