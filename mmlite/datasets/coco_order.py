"""Labels of mmdet's COCO data sets and metrics as indices into ``classes``, by name.

mmdet numbers labels in the order of the annotation file: where ``metainfo`` or the file of another
split has another order, it names classes wrongly. Importing this module changes that.
"""

import numpy as np
from mmdet.datasets.api_wrappers import COCO
from mmdet.evaluation.metrics import coco_metric


def _ordered_ids(self, cat_names=(), sup_names=(), cat_ids=()):
    """Category ids in the order of ``cat_names``."""
    ids = self.getCatIds(cat_names, sup_names, cat_ids)
    order = {name: index for index, name in enumerate(cat_names)}
    return sorted(ids, key=lambda number: order.get(self.cats[number]['name'], 0))


class _GivenOrder:
    """Results by category in the order of ``params.catIds``; pycocotools sorts them."""

    def evaluate(self):
        self.given_ids = list(self.params.catIds)
        return super().evaluate()

    def accumulate(self, p=None):
        super().accumulate(p)
        if self.params.useCats:
            order = [self.params.catIds.index(number) for number in self.given_ids]
            for key in ('precision', 'recall', 'scores'):
                self.eval[key] = np.take(self.eval[key], order, axis=-3)


COCO.get_cat_ids = _ordered_ids
for _name in ('COCOeval', 'COCOevalMP'):
    setattr(coco_metric, _name, type(_name, (_GivenOrder, getattr(coco_metric, _name)), {}))
