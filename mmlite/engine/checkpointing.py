"""Checkpoints: plain values only, written whole or not at all, and the one to resume from."""

import re
import zipfile
from collections import Counter, OrderedDict, deque
from pathlib import Path, PurePath

import numpy as np
import torch
from mmengine.fileio import LocalBackend, register_backend
from mmengine.logging import HistoryBuffer, print_log

from mmlite import stack
from mmlite.errors import CheckpointError, OutputError
from mmlite.utils import write_bytes

PLAIN = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device)
ATOMIC = 'mmlite.atomic'  # name for backend_args=dict(backend=...)
POINTER = 'last_checkpoint'  # file of a work directory that names its newest checkpoint


def to_plain(value, path='checkpoint'):
    """Copy a value into tensors, containers and plain types, which ``weights_only=True`` loads.

    NumPy scalars become Python numbers, arrays nested lists, a ``HistoryBuffer`` a dict of float64
    tensors, mappings dicts (an ``OrderedDict`` stays one, with its ``_metadata``), other
    collections lists or tuples. Tensors are not copied. A CheckpointError names the ``path`` of an
    object of any other type.
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
        logs, counts = (torch.as_tensor(column, dtype=torch.float64) for column in value.data)
        return dict(log_history=logs, count_history=counts, max_length=value.max_length)
    if isinstance(value, dict):
        items = ((to_plain(k, path), to_plain(v, f'{path}.{k}')) for k, v in value.items())
        if not isinstance(value, OrderedDict):
            return dict(items)
        result = OrderedDict(items)
        if hasattr(value, '_metadata'):
            result._metadata = to_plain(value._metadata, f'{path}._metadata')
        return result
    if isinstance(value, (tuple, list, set, frozenset, deque)):
        items = [to_plain(item, f'{path}[{i}]') for i, item in enumerate(value)]
        return tuple(items) if isinstance(value, tuple) else items
    if isinstance(value, PurePath):
        return str(value)
    for base in (bool, int, float, str):  # enums and other subclasses of plain types
        if isinstance(value, base):
            return base(value)
    kind = f'{type(value).__module__}.{type(value).__qualname__}'
    raise CheckpointError(
        f'cannot save {path}: it is a {kind}, and a checkpoint holds tensors and plain types only'
    )


def restore_types(checkpoint):
    """Undo :func:`to_plain` in a checkpoint, in place, where mmengine needs its own types."""
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


class AtomicLocalBackend(LocalBackend):
    """File backend that replaces a local file only when the new one is complete."""

    def put(self, obj, filepath):
        """Write bytes; raises a :class:`CheckpointError` with the path and the free space."""
        try:
            write_bytes(filepath, obj)
        except OutputError as error:
            raise CheckpointError(f'{error}; earlier checkpoints are intact') from error

    def put_text(self, obj, filepath, encoding='utf-8'):
        """Write a string; see :meth:`put`."""
        self.put(obj.encode(encoding), filepath)


register_backend(ATOMIC, AtomicLocalBackend)


def find_checkpoint(work_dir):
    """Path of the newest intact checkpoint of a work directory, None without any.

    It is the one that ``last_checkpoint`` names, or else the one with the greatest number in its
    name. A damaged one is logged, and the one before it is taken; if all are, a CheckpointError.
    """
    candidates = _candidates(Path(work_dir))
    for number, path in enumerate(candidates):
        reason = damage(path)
        if reason is None:
            return path
        rest = candidates[number + 1 :]
        following = f'trying {rest[0].name}' if rest else 'there is none before it'
        print_log(f'{path} is damaged ({reason}): {following}', logger='current')
    if candidates:
        raise CheckpointError(
            f'all {len(candidates)} checkpoints in {work_dir} are damaged: remove them to start '
            'from scratch'
        )
    return None


def damage(path):
    """Reason why a checkpoint file cannot be read, or None."""
    try:
        with open(path, 'rb') as file:
            if file.read(1) == b'\x80':  # a pickle of torch < 1.6, without checksums
                stack.load(path)
                return None
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
            return f'the checksum of {broken} does not match' if broken else None
    except FileNotFoundError:
        return 'the file is missing'
    except zipfile.BadZipFile:
        return 'the archive is truncated'
    except Exception as error:  # zipfile and pickle raise almost anything on changed bytes
        return f'{type(error).__name__}: {error}'


def saved_seed(path):
    """Seed of the run that saved a checkpoint, None where it is not recorded."""
    meta = stack.load(path).get('meta')
    return meta.get('seed') if isinstance(meta, dict) else None


def _candidates(folder):
    """Checkpoints of a directory, the first to try first."""
    found = [path for path in folder.glob('*.pth') if _progress(path)]
    found.sort(key=lambda path: (_progress(path), path.stat().st_mtime_ns), reverse=True)
    pointer = folder / POINTER
    named = Path(pointer.read_text().strip()) if pointer.is_file() else None
    if named is not None:
        own = folder / named.name  # the directory may have been moved or copied
        named = named if named.is_file() and not own.is_file() else own
        found = [named, *(path for path in found if path.name != named.name)]
    return found


def _progress(path):
    """Numbers in the name of a checkpoint, e.g. (3, 42) for ``epoch_3_iter_42.pth``."""
    if not re.match(r'(epoch|iter)_\d+', path.stem):
        return ()
    return tuple(map(int, re.findall(r'\d+', path.stem)))
