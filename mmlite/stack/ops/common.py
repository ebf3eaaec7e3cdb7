"""Helpers of the operators: floating types that a kernel takes, and the refusal of the others."""

import functools

import torch

from mmlite.errors import OperatorError
from mmlite.stack.versions import BUILD_FULL_MMCV


def widened(*tensors):
    """The tensors in their common floating type, at least float32, which every kernel takes."""
    dtype = functools.reduce(torch.promote_types, (t.dtype for t in tensors), torch.float32)
    return [t.to(dtype) for t in tensors]


def not_provided(operator):
    """The error of an operator, or of an option of it, that only a compiled mmcv has."""
    return OperatorError(
        f'The mmcv operator {operator} needs a compiled mmcv, and mmcv-lite is installed; with a '
        f'C++ compiler (and nvcc for the GPU) it is built by: {BUILD_FULL_MMCV}'
    )
