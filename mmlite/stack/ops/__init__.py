"""Operators of ``mmcv.ops`` in torch and torchvision, for CPU and GPU, one a file.

A new operator is a differentiable function with the arguments of mmcv's autograd function and a
line of :data:`FUNCTIONS`; where no gradient is asked for, a function of ``mmcv._ext`` and a line of
:data:`KERNELS` may do.
"""

import importlib
import inspect
import sys

from .bbox_overlaps import bbox_overlaps
from .box_iou_rotated import box_iou_rotated
from .carafe import carafe
from .deform_conv import deform_conv2d
from .deform_roi_pool import deform_roi_pool
from .masked_conv2d import masked_conv2d
from .modulated_deform_conv import modulated_deform_conv2d
from .ms_deform_attn import ms_deform_attn
from .nms import nms
from .nms_match import nms_match
from .nms_rotated import nms_rotated
from .psa_mask import psa_mask
from .roi_align import roi_align
from .roi_align_rotated import roi_align_rotated
from .roi_pool import roi_pool
from .sigmoid_focal_loss import sigmoid_focal_loss
from .soft_nms import softnms
from .softmax_focal_loss import softmax_focal_loss
from .sync_bn import DIST, sync_batch_norm

KERNELS = {
    'bbox_overlaps': bbox_overlaps,
    'box_iou_rotated': box_iou_rotated,
    'nms': nms,
    'nms_match': nms_match,
    'nms_rotated': nms_rotated,
    'softnms': softnms,
}
"""Name in ``mmcv._ext`` -> function."""
FUNCTIONS = {
    'carafe.CARAFEFunction': carafe,
    'carafe.CARAFENaiveFunction': carafe,
    'deform_conv.DeformConv2dFunction': deform_conv2d,
    'deform_roi_pool.DeformRoIPoolFunction': deform_roi_pool,
    'focal_loss.SigmoidFocalLossFunction': sigmoid_focal_loss,
    'focal_loss.SoftmaxFocalLossFunction': softmax_focal_loss,
    'masked_conv.MaskedConv2dFunction': masked_conv2d,
    'modulated_deform_conv.ModulatedDeformConv2dFunction': modulated_deform_conv2d,
    'multi_scale_deform_attn.MultiScaleDeformableAttnFunction': ms_deform_attn,
    'psa_mask.PSAMaskFunction': psa_mask,
    'roi_align.RoIAlignFunction': roi_align,
    'roi_align_rotated.RoIAlignRotatedFunction': roi_align_rotated,
    'roi_pool.RoIPoolFunction': roi_pool,
    'sync_bn.SyncBatchNormFunction': sync_batch_norm,
}
"""Autograd function, below ``mmcv.ops`` -> function that takes the place of its ``apply``."""


def install():
    """Put the functions in the place of mmcv's, under every name that ``mmcv.ops`` has for them.

    Returns the names in mmcv's own, among them those of all kernels that nothing calls any more.
    """
    names = set()
    for path, function in FUNCTIONS.items():
        module, name = path.split('.')
        original = getattr(importlib.import_module(f'mmcv.ops.{module}'), name)
        for method in (original.forward, original.backward):
            names.update(inspect.unwrap(method).__code__.co_names)
        original.apply = staticmethod(function)
        for module in [m for n, m in sys.modules.items() if f'{n}.'.startswith('mmcv.ops.')]:
            for alias, value in list(vars(module).items()):
                if getattr(value, '__self__', None) is original:  # roi_align = ....apply
                    setattr(module, alias, function)
    sys.modules['mmcv.ops.sync_bn'].dist = DIST
    return names
