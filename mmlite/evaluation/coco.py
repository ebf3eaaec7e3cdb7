"""mmdet's COCO metric, with AP by class of boxes and masks, and for detectors that find nothing."""

import numpy as np
from mmdet.evaluation import CocoMetric as StockCocoMetric
from mmengine.fileio import get_local_path
from pycocotools import mask as coco_mask

from mmlite.datasets.coco import CheckedCOCO
from mmlite.registry import METRICS


@METRICS.register_module()
class CocoMetric(StockCocoMetric):
    """As mmdet's ``CocoMetric``, but a detector without any detection has an AP of 0.

    With ``classwise`` and several metrics, ``<class>_bbox_precision`` holds the AP of boxes and
    ``<class>_precision`` that of the last metric.
    """

    def __init__(self, ann_file=None, *args, metric='bbox', format_only=False, **kwargs):
        super().__init__(None, *args, metric=metric, format_only=format_only, **kwargs)
        if ann_file is not None:
            masks = 'segm' in self.metrics and not format_only
            with get_local_path(ann_file, backend_args=self.backend_args) as path:
                self._coco_api = CheckedCOCO(path, annotated=not format_only, masks=masks)

    def compute_metrics(self, results):
        """One empty box of score 0 stands for no detection at all."""
        if not self.format_only and not any(len(prediction['labels']) for _, prediction in results):
            image, prediction = results[0]
            score, label = np.zeros(1, np.float32), np.zeros(1, np.int64)
            box = np.zeros((1, 4), np.float32)
            empty = dict(prediction, bboxes=box, scores=score, labels=label)
            if 'masks' in prediction:
                mask = np.zeros((image['height'], image['width']), np.uint8, order='F')
                empty |= dict(masks=[coco_mask.encode(mask)], mask_scores=score)
            results = [(image, empty), *results[1:]]
        if not self.classwise or self.metrics[0] != 'bbox' or len(self.metrics) == 1:
            return super().compute_metrics(results)
        metrics = self.metrics
        try:
            self.metrics = metrics[:1]
            values = super().compute_metrics(results)
            for key in [key for key in values if key.endswith('_precision')]:
                values[f'{key.removesuffix("_precision")}_bbox_precision'] = values.pop(key)
            self.metrics = metrics[1:]
            return {**values, **super().compute_metrics(results)}
        finally:
            self.metrics = metrics
