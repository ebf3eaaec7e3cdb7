"""Checks that the devices which a config asks for are there."""

import inspect

from mmengine import registry as root
from mmengine.device import get_device
from mmengine.optim import AmpOptimWrapper, ApexOptimWrapper

from mmlite.errors import UserError

from .types import find


def check_devices(cfg, phase, scope):
    """Refuse what needs a GPU on a machine where torch sees none.

    Args:
        cfg (mmengine.config.Config): A config whose types are checked.
        phase (str): ``'train'`` or ``'test'``; mixed precision matters to training only.
        scope (str): Default scope of the config.

    Raises:
        UserError: Names the key and the option that makes the run work on the CPU.
    """
    if get_device() not in ('cpu', 'mps'):
        return
    if str(cfg.get('device') or '').startswith('cuda'):
        raise UserError(f'device={cfg.device!r} needs CUDA, but torch sees no GPU: set device=cpu')
    name = (cfg.get('optim_wrapper') or {}).get('type')
    if phase == 'train' and _is_mixed_precision(name, scope):
        label = name if isinstance(name, str) else name.__name__
        raise UserError(
            f'optim_wrapper.type={label!r} trains in mixed precision, which needs a GPU, but torch '
            'sees none: add --no-amp (or --cfg-options optim_wrapper.type=OptimWrapper)'
        )


def _is_mixed_precision(name, scope):
    target = find(name, root.OPTIM_WRAPPERS, scope) if isinstance(name, str) else name
    return inspect.isclass(target) and issubclass(target, (AmpOptimWrapper, ApexOptimWrapper))
