"""The task: find the topmost, leftmost, bottommost and rightmost point of the one object shown.

Data, transforms and metric; the model is in ``point_model.py``.
"""

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.dataset import BaseDataset
from mmengine.evaluator import BaseMetric
from mmengine.structures import BaseDataElement
from pycocotools.coco import COCO

from mmlite.errors import DataError
from mmlite.registry import DATASETS, METRICS, TRANSFORMS

POINTS = ('top', 'left', 'bottom', 'right')
MIRRORED = (0, 3, 2, 1)  # their indices after a horizontal flip


@DATASETS.register_module()
class ExtremePoints(BaseDataset):
    """Extreme points of the masks of a COCO file with one object per image.

    A sample has ``img_path`` and ``gt_keypoints`` (1, 4, 2), x and y in pixels: the name and shape
    that mmcv's transforms resize and flip.

    Args:
        ann_file, data_root, data_prefix, pipeline, ...: As in mmengine's ``BaseDataset``.

    Raises:
        DataError: An image has no object or several.
    """

    METAINFO = dict(points=POINTS)

    def load_data_list(self):
        """One dict per image."""
        coco = COCO(self.ann_file)
        samples = []
        for image in coco.dataset['images']:
            objects = coco.imgToAnns[image['id']]
            if len(objects) != 1:
                raise DataError(
                    f'{self.ann_file}: {image["file_name"]} shows {len(objects)} objects, but this '
                    'task needs one: generate the data with --max-objects 1'
                )
            points = extreme_points(coco.annToMask(objects[0]))
            path = f'{self.data_prefix["img"]}/{image["file_name"]}'
            samples.append(dict(img_path=path, gt_keypoints=points[None]))
        return samples


def extreme_points(mask):
    """The outermost points of a mask; where a side is flat, the middle of the flat part.

    Args:
        mask (ndarray): (H, W), true or 1 on the object.

    Returns:
        ndarray: float32 (4, 2), x and y in pixels, in the order of :data:`POINTS`. The first pixel
        reaches from 0 to 1, as in mmcv's transforms; its center counts.
    """
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    top, bottom, left, right = rows[0], rows[-1], columns[0], columns[-1]

    def middle(line):
        return np.flatnonzero(line).mean()

    points = (
        (middle(mask[top]), top),
        (left, middle(mask[:, left])),
        (middle(mask[bottom]), bottom),
        (right, middle(mask[:, right])),
    )
    return np.array(points, np.float32) + 0.5


@TRANSFORMS.register_module()
class PackPoints(BaseTransform):
    """The last transform: ``inputs``, an image (3, H, W), and ``data_samples`` with ``gt_points``.

    Points are (4, 2) in pixels of that image. In a flipped image, left and right change names.
    """

    def transform(self, results):
        """Pack a sample."""
        points = results['gt_keypoints'][0]
        if results.get('flip'):
            points = points[list(MIRRORED)]
        image = np.ascontiguousarray(results['img'].transpose(2, 0, 1))
        sample = BaseDataElement(gt_points=torch.from_numpy(points))
        return dict(inputs=torch.from_numpy(image), data_samples=sample)


@METRICS.register_module()
class PointAccuracy(BaseMetric):
    """Percentage of correct points (PCK): closer than ``radius`` times the object's longer side.

    ``pck_constant`` is that of the best constant guess, the mean of all true points; ``error`` is
    the mean distance over the longer side.

    Args:
        radius (float): Defaults to 0.2.
    """

    default_prefix = 'points'

    def __init__(self, radius=0.2, **kwargs):
        super().__init__(**kwargs)
        self.radius = radius

    def process(self, data_batch, data_samples):
        """Keep ``pred_points`` and ``gt_points`` of a batch of dicts."""
        for sample in data_samples:
            self.results.append((sample['pred_points'].cpu(), sample['gt_points'].cpu()))

    def compute_metrics(self, results):
        """Percentages, and the mean error."""
        found, true = map(torch.stack, zip(*results, strict=True))
        extent = (true.amax(dim=1) - true.amin(dim=1)).amax(dim=-1)
        error = (found - true).norm(dim=-1) / extent[:, None]
        guess = (true.mean(dim=0) - true).norm(dim=-1) / extent[:, None]
        return dict(
            pck=100 * (error < self.radius).float().mean().item(),
            pck_constant=100 * (guess < self.radius).float().mean().item(),
            error=error.mean().item(),
        )
