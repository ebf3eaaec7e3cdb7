"""mmdet's COCO metric, with AP by class of boxes and masks, and for detectors that find nothing."""

import numpy as np
from mmdet.evaluation import CocoMetric as StockCocoMetric
from pycocotools import mask as coco_mask

import mmlite.datasets.coco_order  # noqa: F401  (labels follow the names of classes)
from mmlite.registry import METRICS


@METRICS.register_module()
class CocoMetric(StockCocoMetric):
    """As mmdet's ``CocoMetric``, but a detector without any detection has an AP of 0.

    With ``classwise`` and several metrics, ``<class>_bbox_precision`` holds the AP of boxes and
    ``<class>_precision`` that of the last metric.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        items = self._coco_api.dataset.get('annotations', ()) if self._coco_api else ()
        if any(
            type(item['id']) is not int or item['id'] < 1 or 'iscrowd' not in item for item in items
        ):
            for number, item in enumerate(items, 1):
                item['id'] = number  # pycocotools takes 0 for "not matched"
                item.setdefault('iscrowd', 0)
            self._coco_api.createIndex()

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
