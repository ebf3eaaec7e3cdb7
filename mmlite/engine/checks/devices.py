"""Check that the devices which a config asks for exist."""

import inspect

from mmengine import registry as root
from mmengine.device import get_device
from mmengine.optim import AmpOptimWrapper, ApexOptimWrapper

from mmlite.errors import UserError

from .types import find


def check_devices(cfg, phase, scope):
    """Raise a :class:`UserError` for what needs a GPU on a machine where torch sees none."""
    if get_device() not in ('cpu', 'mps'):
        return
    if str(cfg.get('device') or '').startswith('cuda'):
        raise UserError(f'device={cfg.device!r} needs CUDA, but torch sees no GPU: set device=cpu')
    name = (cfg.get('optim_wrapper') or {}).get('type')
    target = find(name, root.OPTIM_WRAPPERS, scope) if isinstance(name, str) else name
    mixed = inspect.isclass(target) and issubclass(target, (AmpOptimWrapper, ApexOptimWrapper))
    if phase == 'train' and mixed:
        raise UserError(
            f'optim_wrapper.type={target.__name__!r} trains in mixed precision, which needs a GPU, '
            'but torch sees none: add --no-amp (or --cfg-options optim_wrapper.type=OptimWrapper)'
        )
