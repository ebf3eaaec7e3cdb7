"""Operators of ``mmcv.ops`` in torch and torchvision, for CPU and GPU, one a file.

A new operator is a differentiable function with the arguments of mmcv's autograd function and a
line of :data:`FUNCTIONS`; where no gradient is asked for, a function of ``mmcv._ext`` and a line of
:data:`KERNELS` may do.
"""

import importlib
import sys

from .nms import nms
from .roi_align import roi_align
from .soft_nms import softnms

KERNELS = {'nms': nms, 'softnms': softnms}
"""Name in ``mmcv._ext`` -> function."""
FUNCTIONS = {
    'roi_align.RoIAlignFunction': roi_align,
}
"""Autograd function, below ``mmcv.ops`` -> function that takes the place of its ``apply``."""


def install():
    """Put the functions in the place of mmcv's, under every name that ``mmcv.ops`` has for them."""
    for path, function in FUNCTIONS.items():
        module, name = path.split('.')
        original = getattr(importlib.import_module(f'mmcv.ops.{module}'), name)
        original.apply = staticmethod(function)
        for module in [m for n, m in sys.modules.items() if f'{n}.'.startswith('mmcv.ops.')]:
            for alias, value in list(vars(module).items()):
                if getattr(value, '__self__', None) is original:  # roi_align = ....apply
                    setattr(module, alias, function)
