"""Stand-in for ``mmcv._ext``, the compiled half of ``mmcv.ops``, on the operators of :mod:`.ops`.

Any other operator exists, because ``mmcv.ops`` asks for every name at import, and raises
:class:`~mmlite.errors.OperatorError` when it is called.
"""

import torch
import torchvision

from mmlite.stack import ops
from mmlite.stack.ops.common import not_provided

NOT_PROVIDED = {}  # operators asked for in this process that only a compiled mmcv has


def get_compiler_version():
    """Compiler of mmcv, for mmengine's environment report."""
    return f'none, kernels of torchvision {torchvision.__version__}'


def get_compiling_cuda_version():
    """CUDA version of the kernels in use, ``'not available'`` for a CPU build of torch."""
    return torch.version.cuda or 'not available'


def __getattr__(name):
    """An operator, or one that raises when it is called."""
    if name.startswith('__'):  # Python's own look-ups, such as __path__
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    if name in ops.KERNELS:
        return ops.KERNELS[name]

    def operator(*args, **kwargs):
        raise not_provided(name)

    operator.__name__ = operator.__qualname__ = name
    return NOT_PROVIDED.setdefault(name, operator)


if __name__ == 'mmcv._ext':
    for name in ops.install():
        NOT_PROVIDED.pop(name, None)
