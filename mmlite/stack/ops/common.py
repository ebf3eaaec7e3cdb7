"""What several operators need."""

import functools

import torch

from mmlite.errors import OperatorError
from mmlite.stack.versions import BUILD_FULL_MMCV


def widened(*tensors):
    """The tensors (None too) in their common type, at least float32, which every kernel takes."""
    given = (t.dtype for t in tensors if t is not None)
    dtype = functools.reduce(torch.promote_types, given, torch.float32)
    return [t if t is None else t.to(dtype) for t in tensors]


def reduced(loss, reduction):
    """The loss by ``reduction`` 'none', 'sum' or 'mean', of the rows."""
    assert reduction in ('none', 'mean', 'sum'), f'{reduction!r} is not none, mean or sum'
    if reduction == 'none':
        return loss
    return loss.sum() / len(loss) if reduction == 'mean' else loss.sum()


def not_provided(operator):
    """The error of an operator, or of an option of it, that only a compiled mmcv has."""
    return OperatorError(
        f'The mmcv operator {operator} needs a compiled mmcv, and mmcv-lite is installed; with a '
        f'C++ compiler (and nvcc for the GPU) it is built by: {BUILD_FULL_MMCV}'
    )
