"""Reads checkpoints as data: nothing in a file is ever run."""

import json
import re
import tarfile
import threading
import zipfile
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import safe_open

from ..errors import CheckpointError
from .pickled import ALLOWED, Refusal, settle

_LOCK = threading.Lock()  # torch's allow-list is one for the whole process
ZIP_MAGIC = b'PK\x03\x04'


def load(path, map_location='cpu'):
    """Read a checkpoint file without running anything that it holds.

    A ``.safetensors`` file gives its tensors and its metadata. Any other file is read by
    ``torch.load(weights_only=True)``, helped by a short allow-list for what mmengine writes:
    HistoryBuffer, NumPy scalars and arrays of plain kinds, defaultdict (read as a dict).

    Args:
        path (str or Path): The file; ``~`` is expanded.
        map_location: Where the tensors go, as in :func:`torch.load`. Defaults to ``'cpu'``.

    Returns:
        dict: What was saved; ``dict(state_dict=..., meta=...)`` from safetensors, where the values
        of ``meta`` are decoded from JSON if they are JSON.

    Raises:
        CheckpointError: The file is missing, empty, truncated, no checkpoint, unpacks to more than
            its own size, or asks for anything that is not on the list; the message names the file
            and what it asks for.
    """
    path = Path(path).expanduser()
    return read(path, map_location, str(path))


def read(path, map_location, name):
    """:func:`load` for a file that messages call ``name``, such as the URL that it came from."""
    if not path.is_file():
        what = 'is a folder, not a file' if path.is_dir() else 'does not exist'
        raise CheckpointError(f'Checkpoint {name} {what}.')
    if not path.stat().st_size:
        raise CheckpointError(f'Checkpoint {name} is empty.')
    if path.suffix == '.safetensors':
        return _read_safetensors(path, map_location, name)
    return _read_pickle(path, map_location, name)


def _read_safetensors(path, map_location, name):
    try:
        with safe_open(path, framework='pt', device=str(_device(map_location))) as file:
            state_dict = {key: file.get_tensor(key) for key in file.keys()}
            metadata = file.metadata() or {}
    except Exception as error:  # bytes from anywhere, as in _read_pickle
        reason = _printable(_reason(error))
        raise CheckpointError(f'{name} is truncated or no safetensors file: {reason}.') from error
    return dict(state_dict=state_dict, meta={k: _decoded(v) for k, v in metadata.items()})


def _device(map_location):
    """The device that ``map_location`` sends tensors to that were saved from the CPU."""
    if isinstance(map_location, dict):
        map_location = map_location.get('cpu')
    return 'cpu' if map_location is None or callable(map_location) else map_location


def _decoded(text):
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # such as format='pt', which other libraries write
        return text


def _read_pickle(path, map_location, name):
    _refuse_programs(path, name)
    try:
        with _LOCK, _allowed(ALLOWED):
            checkpoint = settle(torch.load(path, map_location=map_location, weights_only=True))
    except Refusal as error:
        raise _refused(name, error.args[0]) from error
    except Exception as error:  # bytes from anywhere: the restricted unpickler can fail in any way
        unsafe = re.search(r'GLOBAL (\S+) (was not|whose module)', str(error))
        if unsafe:
            raise _refused(name, unsafe[1]) from error
        if 'Attempting to deserialize object on' in str(error):
            raise CheckpointError(
                f'Checkpoint {name} holds tensors of a device that is not here and is read with '
                f'map_location={map_location!r}: give map_location="cpu".'
            ) from error
        raise CheckpointError(
            f'Checkpoint {name} is damaged or no checkpoint of torch: {_printable(_reason(error))}.'
        ) from error
    if not isinstance(checkpoint, dict):
        kind = type(checkpoint).__name__
        raise CheckpointError(f'Checkpoint {name} holds a {kind}, not a dict of weights.')
    return checkpoint


def _refuse_programs(path, name):
    """Refuse archives that grow, and what torch < 2.6 runs or unpacks in spite of weights_only."""
    with open(path, 'rb') as file:
        is_zip = file.read(len(ZIP_MAGIC)) == ZIP_MAGIC
    if not is_zip:
        if tarfile.is_tarfile(path):
            raise _refused(name, 'the tar format of torch 0.1')
        return
    try:
        reader = torch._C.PyTorchFileReader(str(path))
        records = reader.get_all_records()
        declared = _declared_size(reader, records, path)
    except (RuntimeError, zipfile.BadZipFile) as error:
        reason = _printable(_reason(error))
        raise CheckpointError(f'Checkpoint {name} is truncated: {reason}.') from error
    if 'constants.pkl' in records:
        raise _refused(name, 'TorchScript, which is a program')
    if declared > path.stat().st_size:
        raise CheckpointError(
            f'Checkpoint {name} was refused: it unpacks to {declared:,} bytes from '
            f'{path.stat().st_size:,}, and torch packs nothing.'
        )


def _declared_size(reader, records, path):
    """Bytes that the records of an archive unpack to, as its directory says."""
    if hasattr(reader, 'get_record_size'):  # what torch itself goes by; not in torch 2.4
        return sum(map(reader.get_record_size, records))
    with zipfile.ZipFile(path) as archive:
        return sum(entry.file_size for entry in archive.infolist())


@contextmanager
def _allowed(served):
    """Serve these names, and those that the user allowed besides, inside the block only.

    torch asks its own list first, so what it would serve under these names is taken off it.
    """
    own = torch.serialization
    before = list(own.get_safe_globals())
    ours = {_path(entry) for entry in served}
    theirs = getattr(torch._weights_only_unpickler, '_get_allowed_globals', dict)()
    taken = {path: theirs.pop(path) for path in ours & theirs.keys()}
    own.clear_safe_globals()
    own.add_safe_globals([*served, *(entry for entry in before if _path(entry) not in ours)])
    try:
        yield
    finally:
        own.clear_safe_globals()
        own.add_safe_globals(before)
        theirs.update(taken)


def _path(entry):
    return entry[1] if isinstance(entry, tuple) else f'{entry.__module__}.{entry.__qualname__}'


def _refused(name, what):
    return CheckpointError(
        f'Checkpoint {name} was refused: it asks for {_printable(what)}, and only tensors and '
        'plain data are read; if you trust its source, save its state_dict alone and read that.'
    )


def _reason(error):
    """First sentence of the cause, without torch's advice to switch the safety off."""
    if isinstance(error, LookupError):  # of an opcode that there is not: a text, an archive, ...
        return 'torch writes no such file'
    text = re.split(r'WeightsUnpickler error:|weights_only=False`.*?\n\n', str(error), flags=re.S)
    lines = text[-1].strip().splitlines()
    return lines[0].partition('. ')[0].rstrip('.') if lines else type(error).__name__


def _printable(text, limit=200):
    """Text out of a file, for a message: short, on one line, without codes that terminals obey."""
    text = ''.join(c if c.isprintable() else repr(c)[1:-1] for c in str(text)[: limit + 1])
    return text if len(text) <= limit else f'{text[:limit]}...'
