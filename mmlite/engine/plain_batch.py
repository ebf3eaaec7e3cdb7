"""Turns a batch of a data loader into plain tensors and plain types, and back.

What is no plain type becomes a dict with the key :data:`KIND`, which says how to rebuild it. Only
the classes listed here are rebuilt, so that a file with a batch can be read without running it.
"""

from importlib import import_module

import numpy as np
import torch
from mmengine.structures import BaseDataElement

from mmlite.errors import CheckpointError

from .checkpointing import to_plain

KIND = '__kind__'
"""Key of a dict that stands for an object; its value is ``'module:Class'``."""

ELEMENTS = frozenset(
    (
        'mmdet.structures.det_data_sample:DetDataSample',
        'mmdet.structures.reid_data_sample:ReIDDataSample',
        'mmdet.structures.track_data_sample:TrackDataSample',
        'mmengine.structures.base_data_element:BaseDataElement',
        'mmengine.structures.instance_data:InstanceData',
        'mmengine.structures.label_data:LabelData',
        'mmengine.structures.pixel_data:PixelData',
        'mmpretrain.structures.data_sample:DataSample',
        'mmpretrain.structures.multi_task_data_sample:MultiTaskDataSample',
        'mmseg.structures.seg_data_sample:SegDataSample',
    )
)
"""Structures with metainfo and fields."""

MASKS = frozenset(
    f'mmdet.structures.mask.structures:{name}' for name in ('BitmapMasks', 'PolygonMasks')
)
BOXES = frozenset({'mmdet.structures.bbox.horizontal_boxes:HorizontalBoxes'})
ARRAY, SCALAR = 'numpy:ndarray', 'numpy:generic'


def batch_to_plain(batch, path='batch'):
    """A copy of ``batch`` made of tensors, dicts, lists, tuples and plain types only.

    Args:
        batch: What a data loader gives: structures of mmengine, mmdet, mmseg and mmpretrain with
            masks and boxes, tensors, NumPy arrays and numbers, plain types, and dicts, lists and
            tuples of these. Tensors are moved to the CPU, and copied if they are a part of a larger
            one.
        path (str): Where it stands, for the message. Defaults to ``'batch'``.

    Returns:
        What ``torch.save`` writes and ``torch.load(weights_only=True)`` reads.

    Raises:
        CheckpointError: The batch holds an object of another type; names where, and the type.
    """
    if isinstance(batch, torch.Tensor):
        return compact(batch)
    if isinstance(batch, (np.ndarray, np.generic)) and batch.dtype.kind in 'biufc':
        kind = ARRAY if isinstance(batch, np.ndarray) else SCALAR
        return {KIND: kind, 'data': torch.from_numpy(np.array(batch))}
    if isinstance(batch, dict):
        if KIND in batch:
            raise CheckpointError(f'cannot save {path}: its key {KIND!r} has a meaning of its own')
        return {key: batch_to_plain(value, f'{path}.{key}') for key, value in batch.items()}
    if isinstance(batch, (list, tuple)):
        items = (batch_to_plain(value, f'{path}[{i}]') for i, value in enumerate(batch))
        return list(items) if isinstance(batch, list) else tuple(items)
    content = _content(batch, f'{type(batch).__module__}:{type(batch).__qualname__}')
    if content is None:
        return to_plain(batch, path)
    return {
        key: value if key == KIND else batch_to_plain(value, f'{path}.{key}')
        for key, value in content.items()
    }


def batch_from_plain(plain):
    """Undo :func:`batch_to_plain`.

    Args:
        plain: What that gave.

    Returns:
        The batch, on the CPU.

    Raises:
        CheckpointError: An object is of a class that is not rebuilt; names it.
    """
    if isinstance(plain, (list, tuple)):
        return type(plain)(map(batch_from_plain, plain))
    if not isinstance(plain, dict):
        return plain
    content = {key: batch_from_plain(value) for key, value in plain.items()}
    return _rebuild(content.pop(KIND), content) if KIND in content else content


def compact(tensor):
    """``tensor`` on the CPU without gradient, and without the rest of a larger storage."""
    tensor = tensor.detach().cpu()
    if tensor.is_sparse or tensor.untyped_storage().nbytes() == tensor.nbytes:
        return tensor
    return tensor.clone()


def _content(value, kind):
    """What an object is made of, or None if it is of no class that is rebuilt."""
    if kind in ELEMENTS:
        # the private names that properties such as DetDataSample.gt_instances stand for
        fields = {name: getattr(value, name) for name in sorted(value._data_fields)}
        return {KIND: kind, 'metainfo': value.metainfo, 'fields': fields}
    if kind in MASKS:
        return {KIND: kind, 'masks': value.masks, 'height': value.height, 'width': value.width}
    if kind in BOXES:
        return {KIND: kind, 'tensor': value.tensor}
    return None


def _rebuild(kind, content):
    if kind in (ARRAY, SCALAR):
        array = content['data'].numpy()
        return array if kind == ARRAY else array[()]
    if kind not in ELEMENTS | MASKS | BOXES:
        raise CheckpointError(f'cannot rebuild a {kind}: it is no structure of a batch')
    module, name = kind.split(':')
    build = getattr(import_module(module), name)
    if kind in MASKS:
        return build(content['masks'], content['height'], content['width'])
    if kind in BOXES:
        return build(content['tensor'], clone=False)
    element = build()
    for name, value in content['metainfo'].items():
        element.set_field(value, name, field_type='metainfo')
    for name, value in content['fields'].items():
        BaseDataElement.set_field(element, value, name)
    return element
