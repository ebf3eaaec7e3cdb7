"""Which inferencer a config is for."""

from mmengine import registry as root

from mmlite.engine.build import config_name
from mmlite.engine.checks.types import TypeChecker
from mmlite.errors import UserError

INFERENCERS = {
    'classification': 'ClsInferencer',
    'detection': 'DetInferencer',
    'segmentation': 'SegInferencer',
    'tracking': 'SOTInferencer',
}
"""Task -> its inferencer in :mod:`mmlite.apis`."""

BASES = {
    'BaseClassifier': 'classification',
    'BaseDetector': 'detection',
    'BaseSegmentor': 'segmentation',
}
"""Base class of mmpretrain, mmdet and mmseg -> task."""


def find_task(cfg):
    """The task of a config, told by the class of its model; nothing is built.

    Args:
        cfg (mmengine.config.Config): A config.

    Returns:
        str: A key of :data:`INFERENCERS`.

    Raises:
        UserError: If there is no model, its class is unknown, or there is no inferencer for it.
    """
    name = config_name(cfg)
    if not isinstance(cfg.get('model'), dict) or 'type' not in cfg.model:
        raise UserError(f'{name} has no model')
    kind = cfg.model['type']
    if isinstance(kind, str):
        scope = cfg.model.get('_scope_') or cfg.get('default_scope') or 'mmengine'
        kind = TypeChecker(scope).resolve(kind, 'model.type', root.MODELS)
    for base in getattr(kind, '__mro__', ()):
        if base.__name__ in BASES:
            return BASES[base.__name__]
    if hasattr(kind, 'embed_template') and hasattr(kind, 'locate'):
        return 'tracking'
    raise UserError(
        f'{name} is of a {kind.__name__}, for which there is no inferencer: give the config of a '
        f'model for {", ".join(INFERENCERS)}'
    )
