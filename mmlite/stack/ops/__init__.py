"""Operators of ``mmcv.ops`` in torch and torchvision, for CPU and GPU, one a file.

A new operator is a differentiable function with the arguments of mmcv's autograd function and a
line of :data:`FUNCTIONS`; where no gradient is asked for, a function of ``mmcv._ext`` and a line of
:data:`KERNELS` may do.
"""

import importlib
import sys

from .box_iou_rotated import box_iou_rotated
from .carafe import carafe
from .deform_roi_pool import deform_roi_pool
from .masked_conv2d import masked_conv2d
from .nms import nms
from .nms_rotated import nms_rotated
from .psa_mask import psa_mask
from .roi_align import roi_align
from .roi_align_rotated import roi_align_rotated
from .roi_pool import roi_pool
from .soft_nms import softnms

KERNELS = {
    'box_iou_rotated': box_iou_rotated,
    'nms': nms,
    'nms_rotated': nms_rotated,
    'softnms': softnms,
}
"""Name in ``mmcv._ext`` -> function."""
FUNCTIONS = {
    'carafe.CARAFEFunction': carafe,
    'carafe.CARAFENaiveFunction': carafe,
    'deform_roi_pool.DeformRoIPoolFunction': deform_roi_pool,
    'masked_conv.MaskedConv2dFunction': masked_conv2d,
    'psa_mask.PSAMaskFunction': psa_mask,
    'roi_align.RoIAlignFunction': roi_align,
    'roi_align_rotated.RoIAlignRotatedFunction': roi_align_rotated,
    'roi_pool.RoIPoolFunction': roi_pool,
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
