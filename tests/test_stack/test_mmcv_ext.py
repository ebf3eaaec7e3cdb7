"""The stand-in for ``mmcv._ext``: what it refuses and how it says so."""

import subprocess
import sys

import pytest
import torch
from mmcv import _ext
from mmcv.ops import PrRoIPool, RoIAlign, roi_align
from mmcv.ops.roi_align import RoIAlignFunction
from mmdet.structures.mask import structures

from mmlite.errors import UserError
from mmlite.stack import ops


def test_one_roi_align_wherever_it_is_imported_from():
    assert roi_align is RoIAlignFunction.apply is structures.roi_align is ops.roi_align
    assert RoIAlign.forward.__globals__['roi_align'] is roi_align


def test_operator_without_kernel_names_itself():
    call = PrRoIPool(2)
    with pytest.raises(NotImplementedError, match='prroi_pool_forward .*pip install') as caught:
        call(torch.ones(1, 1, 4, 4), torch.tensor([[0.0, 0, 0, 2, 2]]))
    assert isinstance(caught.value, UserError) and '\n' not in str(caught.value)


def test_every_operator_name_exists():
    assert _ext.any_name_at_all is _ext.any_name_at_all
    with pytest.raises(UserError, match='any_name_at_all'):
        _ext.any_name_at_all()
    with pytest.raises(AttributeError, match='__path__'):
        _ext.__path__  # noqa: B018


def test_kernels_of_replaced_functions_are_not_missed():
    missing = {name.rpartition('_forward')[0] for name in _ext.NOT_PROVIDED if 'forward' in name}
    assert {'prroi_pool', 'ball_query'} <= missing
    assert not missing & {'roi_align', 'deform_conv', 'ms_deform_attn', 'sigmoid_focal_loss'}
    assert not [name for name in _ext.NOT_PROVIDED if name.startswith(('deform_conv', 'sync_bn'))]


def test_functions_also_where_the_extension_is_imported_first():
    program = """
import mmlite, mmcv._ext
from mmcv.ops import RoIAlign, roi_align
from mmlite.stack import ops
print(roi_align is ops.roi_align is RoIAlign.forward.__globals__['roi_align'])
"""
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert done.stdout.split() == ['True'], done.stderr
