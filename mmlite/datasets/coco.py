"""COCO annotations, judged while they are loaded."""

import functools
import gc
import logging
from collections import Counter

from mmdet.datasets import CocoDataset as BaseCocoDataset
from mmdet.datasets.api_wrappers import COCO
from mmengine.logging import print_log

from mmlite.errors import DataError
from mmlite.registry import DATASETS
from mmlite.utils.names import listed

from . import coco_order  # noqa: F401  (labels follow the names of classes)
from .formats.coco import judge_coco
from .formats.record import read_json


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
        DataError: While loading, see :func:`~mmlite.datasets.formats.coco.judge_coco`. Degenerate
            boxes (below one pixel) and crowds are fine; mmdet skips or ignores them.
    """

    def __init__(self, *args, pipeline: list = (), defer_faults=False, **kwargs):
        self.defer_faults = defer_faults
        self.bad_annotations = []
        self._masks = any(isinstance(step, dict) and step.get('with_mask') for step in pipeline)
        super().__init__(*args, pipeline=pipeline, **kwargs)

    def load_data_list(self):
        """Load and check ``ann_file``; see mmdet."""
        faults = [] if self.defer_faults else None
        self.COCOAPI = functools.partial(
            CheckedCOCO,
            classes=self.metainfo['classes'],
            annotated=not self.test_mode,
            masks=self._masks,
            faults=faults,
        )
        self._objects = 0
        samples = super().load_data_list()
        by_id = {sample['img_id']: sample for sample in samples} if faults else {}
        for fault in faults or ():
            sample = by_id.get(fault.image_id, {})
            sample.setdefault('fault', fault.reason)
            self.bad_annotations.append((sample.get('img_path', self.ann_file), fault.reason))
        if not self.test_mode:
            self._report(samples)
        return samples

    def parse_data_info(self, raw_data_info):
        """Parse the annotations of an image; see mmdet."""
        self._objects += len(raw_data_info['raw_ann_info'])
        return super().parse_data_info(raw_data_info)

    def _report(self, samples):
        """Warn of classes without an object, and of files whose objects are mostly not used."""
        labels = Counter(
            instance['bbox_label']
            for sample in samples
            for instance in sample['instances']
            if not instance['ignore_flag']
        )
        names = self.metainfo['classes']
        absent = [name for label, name in enumerate(names) if not labels[label]]
        used, total = sum(labels.values()), self._objects
        texts = []
        if absent:
            texts.append(f'no object of {listed(map(repr, absent), 5)}')
        if used < total / 2:
            texts.append(
                f'{used} of {total} objects are used: the others are crowds, below one pixel, or '
                'of classes that are not trained'
            )
        for text in texts:
            print_log(f'{self.ann_file}: {text}', logger='current', level=logging.WARNING)

    def filter_data(self):
        """Filter as mmdet does, but keep samples with a fault, so that positions do not change."""
        kept = super().filter_data()
        if self.bad_annotations:
            ids = {sample['img_id'] for sample in kept}
            kept = [s for s in self.data_list if s['img_id'] in ids or 'fault' in s]
        if self.data_list and not kept:
            raise DataError(
                f'{self.ann_file}: none of its {len(self.data_list)} images is left by '
                f'filter_cfg={dict(self.filter_cfg)}: they have no object of '
                f'{listed(map(repr, self.metainfo["classes"]), 5)}, or are smaller than min_size'
            )
        return kept

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
        classes, annotated, masks: See :func:`~mmlite.datasets.formats.coco.judge_coco`.
        faults (list, optional): Receives the faults, whose annotations are left out of the index;
            by default the first one is an error.
    """

    def __init__(self, annotation_file, classes=(), annotated=True, masks=False, faults=None):
        self._check = annotation_file, classes, annotated, masks
        self._faults = faults
        super().__init__()
        collecting = gc.isenabled()
        gc.disable()  # none of the millions of objects is garbage; looking for it takes a third
        try:
            self.dataset = read_json(annotation_file)
            self.createIndex()
        finally:
            if collecting:
                gc.enable()
        self.img_ann_map, self.cat_img_map = self.imgToAnns, self.catToImgs

    def createIndex(self):  # noqa: N802 - pycocotools' name
        """Check ``self.dataset``, then index it."""
        faults, repairs = judge_coco(self.dataset, *self._check)
        if faults and self._faults is None:
            raise DataError(faults[0].reason)
        for text in repairs:
            print_log(text, logger='current', level=logging.WARNING)
        if faults:
            self._faults += faults
            wrong = {fault.row for fault in faults}
            rows = enumerate(self.dataset['annotations'])
            self.dataset['annotations'] = [item for row, item in rows if row not in wrong]
        super().createIndex()
