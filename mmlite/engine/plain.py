"""Turns mmengine's checkpoints into plain tensors and plain types, and back.

mmengine pickles :class:`HistoryBuffer` and NumPy objects into a checkpoint, which
``torch.load(file, weights_only=True)`` refuses without an allow-list.
"""

from collections import Counter, OrderedDict
from pathlib import PurePath

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

from mmlite.errors import CheckpointError

PLAIN = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device)


def to_plain(value, path='checkpoint'):
    """A copy of ``value`` made of tensors, containers and plain types only.

    NumPy scalars become Python numbers, arrays nested lists, a ``HistoryBuffer`` a dict of its
    tensors (``log_history`` and ``count_history``, float64), any mapping a dict (an
    ``OrderedDict`` stays one, with the ``_metadata`` that torch keeps on a state dict), any other
    collection a list or tuple. Tensors are not copied.

    Args:
        value: A checkpoint or a part of it.
        path (str): Where it stands, for the message.

    Raises:
        CheckpointError: ``value`` holds an object of any other type; names where, and the type.
    """
    if isinstance(value, torch.Tensor):
        return value.detach()
    if isinstance(value, np.generic):  # before PLAIN: np.float64 is a float
        return value.item()
    if type(value) in PLAIN:
        return value
    if isinstance(value, np.ndarray):
        return to_plain(value.tolist(), path)
    if isinstance(value, HistoryBuffer):
        return _buffer_to_dict(value)
    if isinstance(value, dict):
        return _plain_dict(value, path)
    if isinstance(value, tuple):
        return tuple(to_plain(item, f'{path}[{i}]') for i, item in enumerate(value))
    if isinstance(value, (list, set, frozenset)) or type(value).__name__ == 'deque':
        return [to_plain(item, f'{path}[{i}]') for i, item in enumerate(value)]
    if isinstance(value, PurePath):
        return str(value)
    for base in (bool, int, float, str):  # enums and other subclasses of plain types
        if isinstance(value, base):
            return base(value)
    kind = f'{type(value).__module__}.{type(value).__qualname__}'
    raise CheckpointError(
        f'cannot save {path}: it is a {kind}, and a checkpoint holds tensors and plain types only'
    )


def restore(checkpoint):
    """Undo :func:`to_plain` in place where mmengine needs its own types to resume.

    Args:
        checkpoint (dict): A loaded checkpoint, plain or mmengine's own.
    """
    scalars = checkpoint.get('message_hub', {}).get('log_scalars', {})
    for name, value in scalars.items():
        if isinstance(value, dict) and 'log_history' in value:
            scalars[name] = HistoryBuffer(
                value['log_history'].tolist(), value['count_history'].tolist(), value['max_length']
            )
    schedulers = checkpoint.get('param_schedulers', [])
    groups = schedulers.values() if isinstance(schedulers, dict) else [schedulers]
    for state in (state for group in groups for state in group):
        if isinstance(state.get('milestones'), dict):
            state['milestones'] = Counter(state['milestones'])


def _plain_dict(value, path):
    items = ((to_plain(k, path), to_plain(v, f'{path}.{k}')) for k, v in value.items())
    if not isinstance(value, OrderedDict):
        return dict(items)
    result = OrderedDict(items)
    if hasattr(value, '_metadata'):
        result._metadata = to_plain(value._metadata, f'{path}._metadata')
    return result


def _buffer_to_dict(buffer):
    logs, counts = buffer.data
    return dict(
        log_history=torch.as_tensor(logs, dtype=torch.float64),
        count_history=torch.as_tensor(counts, dtype=torch.float64),
        max_length=buffer.max_length,
    )
