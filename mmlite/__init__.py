"""mmlite: lightweight vision transformers from pre-training to dense prediction in OpenMMLab."""

import importlib

from . import stack

__version__ = '0.1.0'

EXPORTS = {
    'mmlite.models': ('Hiera', 'OSTrack', 'Swin', 'TimmViT', 'ViT'),
    'mmlite.engine.build': ('init_model',),
    'mmlite.engine.swap': ('swap_backbone',),
    'mmlite.apis': (
        'ClsInferencer',
        'DetInferencer',
        'SOTInferencer',
        'SegInferencer',
        'build_inferencer',
    ),
}
"""Module -> names that the package has, too; a module is imported when one of them is used."""

__all__ = ['__version__', *sorted(name for names in EXPORTS.values() for name in names)]

stack.apply()


def __getattr__(name):
    for module, names in EXPORTS.items():
        if name in names:
            return getattr(importlib.import_module(module), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__():
    return sorted({*globals(), *__all__})
