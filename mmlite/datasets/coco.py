"""COCO annotations that contradict themselves are refused or left out, not trained on."""

import functools
import json

from mmdet.datasets import CocoDataset as BaseCocoDataset
from mmdet.datasets.api_wrappers import COCO
from mmdet.datasets.transforms import LoadAnnotations

from mmlite.errors import DataError
from mmlite.registry import DATASETS

from . import coco_order  # noqa: F401  (labels follow the names of classes)
from .coco_faults import check_coco


@DATASETS.register_module()
class CocoDataset(BaseCocoDataset):
    """mmdet's ``CocoDataset``, which checks the annotation file while loading it.

    Args:
        *args, **kwargs: See mmdet.
        defer_faults (bool): Raise the fault of an annotation when its image is loaded, rather than
            while loading the file; the training loops set this where bad samples are allowed.
            Defaults to False.

    Attributes:
        bad_annotations (list[tuple[str, str]]): Path of the image, or of ``ann_file`` where that
            is unknown, and the fault of an annotation.

    Raises:
        DataError: While loading, see :func:`~mmlite.datasets.coco_faults.check_coco`. Degenerate
            boxes (below one pixel) and crowds are fine; mmdet skips or ignores them.
    """

    def __init__(self, *args, defer_faults=False, **kwargs):
        self.defer_faults = defer_faults
        self.bad_annotations = []
        super().__init__(*args, **kwargs)

    def load_data_list(self):
        """Load and check ``ann_file``; see mmdet."""
        faults = [] if self.defer_faults else None
        self.COCOAPI = functools.partial(
            CheckedCOCO,
            classes=self.metainfo['classes'],
            has_annotations=not self.test_mode,
            faults=faults,
        )
        samples = super().load_data_list()
        by_id = {sample['img_id']: sample for sample in samples} if faults else {}
        for fault in faults or ():
            sample = by_id.get(fault.image_id, {})
            sample.setdefault('fault', fault.reason)
            self.bad_annotations.append((sample.get('img_path', self.ann_file), fault.reason))
        return samples

    def filter_data(self):
        """Filter as mmdet does, but keep samples with a fault, so that positions do not change."""
        kept = super().filter_data()
        if not self.bad_annotations:
            return kept
        ids = {sample['img_id'] for sample in kept}
        return [s for s in self.data_list if s['img_id'] in ids or 'fault' in s]

    def prepare_data(self, idx):
        """Sample ``idx`` after the pipeline."""
        data = self.get_data_info(idx)
        if 'fault' in data:
            raise DataError(data['fault'])
        return self.pipeline(data)


class CheckedCOCO(COCO):
    """mmdet's COCO reader that checks the file before it builds the index.

    Args:
        annotation_file (str): JSON file of the COCO format.
        classes, has_annotations: See :func:`~mmlite.datasets.coco_faults.check_coco`.
        faults (list, optional): Receives the faults, whose annotations are left out of the index;
            by default the first one is an error.
    """

    def __init__(self, annotation_file, classes=(), has_annotations=True, faults=None):
        self._check = annotation_file, classes, has_annotations
        self._faults = faults
        try:
            super().__init__(annotation_file)
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            message = f'annotation file {annotation_file} is not valid JSON: {error}'
            raise DataError(message) from error
        except AssertionError as error:  # pycocotools' check of the top level
            raise DataError(f'{annotation_file}: a COCO file is a JSON object') from error

    def createIndex(self):  # noqa: N802 - pycocotools' name
        """Check ``self.dataset``, then index it."""
        faults = check_coco(self.dataset, *self._check)
        if faults and self._faults is None:
            raise DataError(faults[0].reason)
        if faults:
            self._faults += faults
            wrong = {fault.row for fault in faults}
            rows = enumerate(self.dataset['annotations'])
            self.dataset['annotations'] = [item for row, item in rows if row not in wrong]
        super().createIndex()


load_masks = LoadAnnotations._load_masks


def _load_masks(self, results):
    """Load the masks of an image as polygons, or as bitmaps if one is run lengths (RLE).

    mmdet ignores every object with run lengths where ``poly2mask=False``.
    """
    wanted, items = self.poly2mask, results.get('instances', ())
    self.poly2mask = wanted or any(isinstance(item.get('mask'), dict) for item in items)
    try:
        load_masks(self, results)
    finally:
        self.poly2mask = wanted


LoadAnnotations._load_masks = _load_masks
