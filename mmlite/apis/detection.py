"""Detection of objects in images, with masks where the model has them."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from pycocotools import mask as coco_mask

from mmlite.visualization import draw_instances, legible

from .image_inferencer import SIDES, ImageInferencer
from .image_model import read_category_ids


@dataclass
class Detections:
    """Objects of an image, best first.

    Args:
        image (str): Its path, or ``'array 3'`` for the fourth of the inputs.
        size (tuple[int, int]): Height and width of the image in pixels.
        boxes (ndarray): float32 (N, 4): x1, y1, x2, y2 in pixels of the image as it was given.
        labels (ndarray): int64 (N,), the classes.
        names (list[str]): Their names.
        scores (ndarray): float32 (N,), from 0 to 1.
        encoded_masks (list[dict] | None): Run-length encoded as in COCO; ``counts`` are bytes. None
            from a model without masks.
        category_ids (list[int | None]): Ids of the classes in the annotation file of the config's
            test data; None where that file or the class in it is missing.
    """

    image: str
    size: tuple
    boxes: np.ndarray
    labels: np.ndarray
    names: list
    scores: np.ndarray
    encoded_masks: list | None
    category_ids: list

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
            category_id=self.category_ids,
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
    """Detect objects; see :class:`~.image_inferencer.ImageInferencer` for arguments.

    A call takes the option ``score_threshold`` (float, 0 to 1): objects with lower scores are left
    out. It defaults to 0.3; the model's own threshold is in its ``test_cfg``. Results are
    :class:`Detections`. A drawn image has boxes, masks, names and scores.
    """

    TASK = 'detection'
    FIELD = 'pred_instances'
    OPTIONS = {'score_threshold': (0.3, (int, float), 0, 1, 'from 0 to 1')}

    def __init__(self, config, weights=None, device=None):
        super().__init__(config, weights, device)
        self._category_ids = read_category_ids(self._pipeline.dataset)

    def _result(self, place, sample, options):
        found = sample.pred_instances
        found = found[found.scores >= options['score_threshold']]
        found = found[found.scores.argsort(descending=True, stable=True)].cpu().numpy()
        masks = None
        if 'masks' in found:
            masks = [coco_mask.encode(np.asfortranarray(m, np.uint8)) for m in found.masks]
        names = [self.name_of(label) for label in found.labels.tolist()]
        size = tuple(map(int, sample.ori_shape[:2]))
        ids = [self._category_ids.get(name) for name in names]
        return Detections(place, size, found.bboxes, found.labels, names, found.scores, masks, ids)

    def _draw(self, name, image, result):
        image, scale = legible(image[..., ::-1], *SIDES)
        order = slice(None, None, -1)  # the best upon the others
        masks = result.encoded_masks and result.encoded_masks[order]
        names = dict(zip(result.labels.tolist(), result.names, strict=True))
        boxes, labels = scale * result.boxes[order], result.labels[order].tolist()
        drawn = draw_instances(image, boxes, labels, masks, names, result.scores[order])
        return {f'{name}.jpg': drawn}
