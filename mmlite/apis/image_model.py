"""What an inferencer for images reads from a config: how images are prepared, and the classes."""

import copy
from pathlib import Path

import cv2
import numpy as np
from mmengine import registry as root
from mmengine.dataset import Compose
from mmengine.fileio import load
from mmpretrain.datasets import CustomDataset

from mmlite.datasets.subsets import find_classes
from mmlite.datasets.transforms import LoadImageFromFile
from mmlite.engine.build import config_name
from mmlite.engine.checks.data import datasets
from mmlite.engine.checks.types import TypeChecker, find
from mmlite.errors import DataError, UserError
from mmlite.registry import DATASETS


class ImagePipeline:
    """The test pipeline of a config for images in memory, without annotations.

    It is that of the first data set with one, of testing or else validation; ``dataset`` is its
    config. ``load`` reads files as the pipeline does, into BGR uint8; ``rgb`` says that the
    pipeline takes RGB, as of data sets that read no files. Build and call it in the scope of the
    config.
    """

    def __init__(self, cfg):
        found = [item for stage in ('test', 'val') for item in datasets(cfg, stage)]
        found = [(place, dataset) for place, dataset in found if dataset.get('pipeline')]
        if not found:
            raise UserError(
                f'{config_name(cfg)} has no pipeline in its test_dataloader: it tells how images '
                'are prepared for the model'
            )
        place, dataset = found[0]
        self.dataset = copy.deepcopy(dataset)
        scope = cfg.get('default_scope') or 'mmengine'
        TypeChecker(scope).walk(dataset.pipeline, f'{place}.pipeline', root.TRANSFORMS)
        loading, steps = {}, []
        for step in self.dataset.pipeline:
            kind = step['type']
            name = kind.rpartition('.')[2] if isinstance(kind, str) else kind.__name__
            if name.startswith('LoadImageFrom'):
                loading = step
            elif not (name.startswith('Load') and 'Annotation' in name):
                steps.append(step)
        if loading.get('color_type', 'color') != 'color':
            raise UserError(
                f'{config_name(cfg)} loads images with color_type={loading["color_type"]!r}: '
                'inferencers are for color images'
            )
        options = {k: loading[k] for k in ('imdecode_backend', 'backend_args') if k in loading}
        self.load = LoadImageFromFile(**options)
        self.rgb = not loading
        self._to_float32 = bool(loading.get('to_float32', False))
        self._compose = Compose(steps)

    def __call__(self, image, source):
        """Prepare a BGR uint8 image (H, W, 3) of an :class:`ImageInput`, or raise a DataError."""
        given = np.ascontiguousarray(image[..., ::-1]) if self.rgb else image
        given = given.astype(np.float32) if self._to_float32 else given
        size = image.shape[:2]
        path = source.place if source.array is None else None
        # mmdet packs the id, which only its metrics read
        record = dict(img=given, img_path=path, img_id=0, img_shape=size, ori_shape=size)
        try:
            return self._compose(record)
        except (cv2.error, ValueError, ZeroDivisionError) as error:
            reason = ' '.join(str(error).split())
            raise DataError(
                f'{source.place} of {size[1]}x{size[0]} pixels cannot be prepared for the model: '
                f'{reason}'
            ) from error


def read_classes(recorded, dataset, scope):
    """Find names and RGB colors of the classes; None, None where they are unknown.

    They are those ``recorded`` in a checkpoint, or else of a ``dataset`` whose files may be
    missing.
    """
    try:
        built = DATASETS.build({**dataset, 'pipeline': [], 'lazy_init': True})
        meta = built.metainfo
        if isinstance(built, CustomDataset) and built.with_label and not built.ann_file:
            # as they are read in testing
            meta.setdefault('classes', find_classes(built.img_prefix))
    except Exception:  # data sets fail in many ways where files are missing, and names may be known
        kind = dataset['type']
        kind = find(kind, root.DATASETS, scope) if isinstance(kind, str) else kind
        meta = {**(getattr(kind, 'METAINFO', None) or {}), **(dataset.get('metainfo') or {})}
    sources = [m for m in (recorded, meta) if isinstance(m.get('classes'), (list, tuple))]
    classes = tuple(sources[0]['classes']) if sources else None
    for source in sources:
        palette = source.get('palette')
        same = tuple(source['classes']) == classes
        if same and isinstance(palette, (list, tuple)) and len(palette) == len(classes):
            return classes, [tuple(color) for color in palette]
    return classes, None


def read_category_ids(dataset):
    """Category ids of a data set's COCO file: name -> id. Empty where there is no such file."""
    file = Path(dataset.get('data_root') or '') / (dataset.get('ann_file') or '')
    if file.suffix != '.json' or not file.is_file():
        return {}
    try:
        return {item['name']: item['id'] for item in load(str(file))['categories']}
    except (KeyError, TypeError, ValueError):
        return {}
