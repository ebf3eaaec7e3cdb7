"""The few types besides tensors that pickled OpenMMLab checkpoints hold, rebuilt from plain data.

torch's restricted unpickler calls what a name in the file is served with, and passes the file's
bytes to ``__setstate__``. NumPy's own types trust these bytes (a dtype whose flags lie turns them
into pointers), and HistoryBuffer's would overwrite methods of its class. So every name is served
with a stand-in of this module that checks what it is given, and :func:`settle` replaces the
stand-ins by the values that they stand for.
"""

import codecs

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

ALLOWED = []  # what torch.serialization.add_safe_globals takes
HISTORY = ('max_length', '_log_history', '_count_history')  # what a HistoryBuffer holds
STATISTICS = ('current', 'max', 'mean', 'min')  # the methods that it pickles by name
PLAIN_KINDS = 'biufcSU'  # bool, integers, floats, complex, bytes, text: data without pointers


class Refusal(Exception):
    """The file asks for something that is not plain data; ``args[0]`` names it."""


def _serve(*paths):
    """Serve the decorated class or function under the names that it has in pickles.

    torch 2.4 knows no (object, name) pairs: it takes an object's name from ``__module__`` and
    ``__name__``, later versions from ``__module__`` and ``__qualname__``.
    """

    def decorate(target):
        for path in paths:
            served = target if isinstance(target, type) else _renamable(target)
            served.__module__, _, name = path.rpartition('.')
            served.__name__ = served.__qualname__ = name
            ALLOWED.append(served)
        return target

    return decorate


def _renamable(function):
    return lambda *args: function(*args)


@_serve('numpy.dtype')
class PickledDType:
    """Stand-in for ``numpy.dtype``: takes plain kinds and their byte order, nothing else."""

    def __init__(self, code, align=False, copy=False):
        self.value = np.dtype(code)
        if self.value.kind not in PLAIN_KINDS:
            raise Refusal(f'numpy.dtype({code!r})')

    def __setstate__(self, state):
        _, byte_order, subdtype, names, fields = state[:5]
        if (subdtype, names, fields) != (None, None, None):
            raise Refusal('a structured numpy.dtype')
        if byte_order in ('<', '>'):
            self.value = self.value.newbyteorder(byte_order)


@_serve('numpy.ndarray')
class PickledArray:
    """Stand-in for ``numpy.ndarray``: an array of plain kind from its bytes."""

    def __setstate__(self, state):
        _, shape, dtype, fortran, raw = state
        flat = np.frombuffer(raw, _plain(dtype))
        self.value = flat.reshape(shape, order='F' if fortran else 'C').copy(order='K')


@_serve('numpy.core.multiarray._reconstruct', 'numpy._core.multiarray._reconstruct')
def _reconstruct(subtype, shape, kind):
    if subtype is not PickledArray:
        raise Refusal('an array of another class')
    return PickledArray()


@_serve('numpy.core.multiarray.scalar', 'numpy._core.multiarray.scalar')
def _scalar(dtype, raw):
    return np.frombuffer(raw, _plain(dtype), count=1)[0]


def _plain(dtype):
    if not isinstance(dtype, PickledDType):
        raise Refusal(f'a NumPy value of type {dtype!r}')
    return dtype.value


@_serve('mmengine.logging.history_buffer.HistoryBuffer')
class PickledHistoryBuffer(HistoryBuffer):
    """Stand-in for HistoryBuffer that becomes one, without the file's statistics methods."""

    def __init__(self):  # what is pickled comes by __setstate__
        super().__init__()

    def __setstate__(self, state):
        self.__class__ = HistoryBuffer
        self._set_default_statistics()
        vars(self).update({key: state[key] for key in HISTORY})


@_serve('builtins.getattr')
def _getattr(owner, name):
    if owner is not PickledHistoryBuffer or name not in STATISTICS:
        kind = owner if isinstance(owner, type) else type(owner)
        raise Refusal(f'getattr({kind.__qualname__}, {name!r})')
    return getattr(HistoryBuffer, name)


@_serve('_codecs.encode')
def _encode(text, encoding):
    """How protocol 2 writes bytes; torch >= 2.5 allows any codec, and some of them grow."""
    if encoding != 'latin1':
        raise Refusal(f'_codecs.encode to {encoding!r}')
    return codecs.encode(text, encoding)


@_serve('builtins.bytes')
def _empty_bytes():
    """How protocol 2 writes ``b''``."""
    return b''


@_serve('builtins.bytearray')
def _bytearray(content=b''):
    """torch allows a length, too, of any size."""
    if not isinstance(content, bytes):
        raise Refusal(f'bytearray({type(content).__name__})')
    return bytearray(content)


@_serve('collections.defaultdict')
def _plain_dict(factory=None):
    return {}


@_serve('builtins.dict', 'builtins.float', 'builtins.int', 'builtins.list')
def _factory(*args):
    """The factories that a defaultdict may name. They are never called."""
    raise Refusal('a call of a builtin type')


def settle(value, _seen=None):
    """Replace the stand-ins inside ``value``, in place where it is a container.

    Args:
        value: What the restricted unpickler returned.

    Returns:
        The value, or what it stands for.

    Raises:
        Refusal: A tensor or dict has attributes that hide methods of its class.
    """
    seen = {} if _seen is None else _seen  # id -> (the original, kept alive; what it became)
    if isinstance(value, (PickledDType, PickledArray)):
        return value.value
    if not isinstance(value, (tuple, dict, list, HistoryBuffer, torch.Tensor)):
        return value
    if id(value) in seen:
        return seen[id(value)][1]
    _check_attributes(value)
    if type(value) is tuple:
        settled = tuple(settle(item, seen) for item in value)
        seen[id(value)] = value, settled
        return settled
    seen[id(value)] = value, value
    if isinstance(value, (dict, list, HistoryBuffer)):
        items = vars(value) if isinstance(value, HistoryBuffer) else value
        for key in range(len(items)) if isinstance(items, list) else list(items):
            items[key] = settle(items[key], seen)
    return value


def _check_attributes(value):
    """torch sets what attributes a file likes: ``items`` of a dict, ``numel`` of a tensor."""
    for name in getattr(value, '__dict__', {}):
        if hasattr(type(value), name):
            raise Refusal(f'another {type(value).__name__}.{name}')
