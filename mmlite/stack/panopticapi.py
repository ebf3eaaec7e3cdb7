"""The part of ``panopticapi`` (COCO's, on no package index) that mmdet's panoptic data sets, metric
and inferencer use: ids of segments in images, and panoptic quality (arXiv 1801.00868, eq. 1)."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

VOID = 0
OFFSET = 256**3


def rgb2id(color):
    """Ids (H, W) of the segments of an image (H, W, 3): R + 256 G + 65536 B."""
    return color.astype(np.int64) @ np.array([1, 256, 256**2])


def id2rgb(ids):
    """Inverse of :func:`rgb2id`: uint8 (H, W, 3)."""
    return (np.asarray(ids)[..., None] >> np.array([0, 8, 16]) & 255).astype(np.uint8)


@dataclass
class PQStatCat:
    """Sum of IoUs and numbers of true and false positives and false negatives of a category."""

    iou: float = 0.0
    tp: int = 0
    fp: int = 0
    fn: int = 0

    def __iadd__(self, other):
        for key, value in vars(other).items():
            setattr(self, key, getattr(self, key) + value)
        return self


class PQStat:
    """Matches by id of category."""

    def __init__(self):
        self.pq_per_cat = defaultdict(PQStatCat)

    def __getitem__(self, category):
        return self.pq_per_cat[category]

    def __iadd__(self, other):
        for category, stat in other.pq_per_cat.items():
            self.pq_per_cat[category] += stat
        return self

    def pq_average(self, categories, isthing):
        """Means over the categories that occur, and the values of each category (all 0 if not).

        ``categories`` has ``isthing`` by id; ``isthing`` selects things or stuff, None takes all.
        """
        values = {}
        for category, info in categories.items():
            if isthing is not None and bool(info['isthing']) != isthing:
                continue
            stat = self.pq_per_cat[category]
            count = stat.tp + 0.5 * stat.fp + 0.5 * stat.fn
            seen = count > 0
            values[category] = (
                dict(
                    pq=stat.iou / count if seen else 0.0,
                    sq=stat.iou / stat.tp if stat.tp else 0.0,
                    rq=stat.tp / count if seen else 0.0,
                ),
                seen,
            )
        found = [value for value, seen in values.values() if seen]
        means = {
            key: sum(value[key] for value in found) / max(len(found), 1)
            for key in ('pq', 'sq', 'rq')
        }
        return dict(means, n=len(found)), {key: value for key, (value, _) in values.items()}
