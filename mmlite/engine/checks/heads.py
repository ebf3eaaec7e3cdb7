"""Checks that the heads of detectors and segmentors have as many classes as the data."""

from mmlite.errors import UserError

from .classes import listed_classes
from .data import datasets
from .values import check_whole

HEADS = (
    'bbox_head',
    'mask_head',
    'roi_head.bbox_head',
    'roi_head.mask_head',
    'decode_head',
    'auxiliary_head',
)
"""Keys below ``model`` of heads that tell the classes of the data apart."""

OTHER = ('STDCHead', 'SideAdapterCLIPHead')
"""Heads with classes of their own: boundaries, and those of CLIP without background."""


def check_heads(cfg, stages):
    """Compare ``num_classes`` of the heads with the classes that the data sets name.

    A head with too few would fail in the middle of training, one with too many in the evaluation
    behind it.

    Args:
        cfg (mmengine.config.Config): A config whose types are checked.
        stages (Iterable[str]): Of ``'train'``, ``'val'`` and ``'test'``.

    Raises:
        UserError: Names the head, the data set and both numbers.
    """
    model = cfg.get('model') or {}
    if 'language_model' in model:  # its heads score words
        return
    scope = cfg.get('default_scope') or 'mmengine'
    heads = [found for place in HEADS for found in _heads(model, place)]
    for stage in stages:
        for path, dataset in datasets(cfg, stage):
            names = listed_classes(dataset, scope)
            for place, count in heads if names else ():
                check_whole(f'{place}.num_classes', count, 1)
                if count != len(names):
                    raise UserError(
                        f'{place}.num_classes={count}, but {path} has {len(names)} classes: set '
                        f'the one to {len(names)}, or {path}.metainfo.classes to {count} names'
                    )


def _heads(model, place):
    """Key and number of classes of the heads at a place; cascades have several."""
    value = model
    for name in place.split('.'):
        value = value.get(name) if isinstance(value, dict) else None
    several = isinstance(value, (list, tuple))
    for index, head in enumerate(value if several else [value]):
        key = f'model.{place}[{index}]' if several else f'model.{place}'
        if not isinstance(head, dict) or head.get('class_agnostic') or head.get('type') in OTHER:
            continue
        if 'num_classes' in head:
            yield key, head['num_classes']
