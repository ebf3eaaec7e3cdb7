"""Which inferencer a config is for, and checks that all inferencers share."""

from mmengine import registry as root

from mmlite.engine.build import config_name, model_settings
from mmlite.engine.checks.types import TypeChecker
from mmlite.errors import ArgumentError, UserError

INFERENCERS = dict(
    classification='ClsInferencer', detection='DetInferencer', segmentation='SegInferencer',
    tracking='SOTInferencer',
)  # fmt: skip
"""Task -> its inferencer in :mod:`mmlite.apis`."""

BASES = dict(
    BaseClassifier='classification', BaseDetector='detection', BaseSegmentor='segmentation'
)
"""Base class of mmpretrain, mmdet and mmseg -> task."""


def find_task(cfg):
    """Task of a config, a key of :data:`INFERENCERS`, by the class of its model."""
    model = model_settings(cfg)
    kind = model['type']
    if isinstance(kind, str):
        scope = model.get('_scope_') or cfg.get('default_scope') or 'mmengine'
        kind = TypeChecker(scope).resolve(kind, 'model.type', root.MODELS)
    for base in getattr(kind, '__mro__', ()):
        if base.__name__ in BASES:
            return BASES[base.__name__]
    if hasattr(kind, 'embed_template') and hasattr(kind, 'locate'):
        return 'tracking'
    raise UserError(
        f'{config_name(cfg)} is of a {kind.__name__}, for which there is no inferencer: give the '
        f'config of a model for {", ".join(INFERENCERS)}'
    )


def check_task(cfg, task, weights):
    """Check that a config is of a task; returns the path of its ``weights`` or ``load_from``."""
    found = find_task(cfg)
    if found != task:
        raise UserError(f'{config_name(cfg)} is for {found}: give it to {INFERENCERS[found]}')
    weights = weights or cfg.get('load_from')
    if not weights:
        raise UserError(f'no weights are given: {task} requires the checkpoint of its training')
    return weights


def check_on_unreadable(choice):
    """Refuse anything but ``'skip'`` and ``'stop'``."""
    if choice not in ('skip', 'stop'):
        raise ArgumentError(f"on_unreadable must be 'skip' or 'stop', got {choice!r}")
