"""Checkpoints read as data: ``weights_only=True``, a short allow-list, and safetensors.

:func:`install` replaces mmengine's loaders of files and URLs; its other schemes end in these or in
a plain ``torch.load``, which reads data only since torch 2.6.
"""

import argparse
import functools
import hashlib
import importlib
import json
import pickle
import re
import sys
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import torch
from filelock import FileLock
from mmengine.logging import HistoryBuffer
from mmengine.runner import checkpoint as mmengine_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader
from safetensors import safe_open

from ..errors import CheckpointError, CheckpointNotFoundError

ZIP_MAGIC = b'PK\x03\x04'
LEGACY_MAGIC = b'l\xfc\x9cF\xf9 j\xa8P\x19'  # in the first bytes of files of torch before 1.6
OTHER_FILES = {
    b'version https:': 'a pointer of Git LFS, not the file itself: fetch that by "git lfs pull"',
    **dict.fromkeys((b'<!', b'<html', b'<?xml'), 'a web page: download the file again'),
}
FAMILIES = ('mae-lite', 'mae', 'hiera', 'timm')
"""First parts of the names in :mod:`mmlite.weights.published`."""
STATISTICS = ('current', 'max', 'mean', 'min')


def _getattr(owner, name):
    """``getattr`` for the one use that mmengine's files make of it."""
    if owner is not HistoryBuffer or name not in STATISTICS:
        raise ValueError('GLOBAL builtins.getattr was not allowed')  # in torch's words
    return getattr(HistoryBuffer, name)


ALLOWED = (
    (HistoryBuffer, 'mmengine.logging.history_buffer.HistoryBuffer'),
    (_getattr, 'builtins.getattr'),
    (dict, 'mmengine.config.config.ConfigDict'),
    (lambda factory=None: {}, 'collections.defaultdict'),
    *((kind, f'builtins.{kind.__name__}') for kind in (dict, float, int, list)),  # its factories
    (argparse.Namespace, 'argparse.Namespace'),  # options in the files of MAE and DeiT
    (lambda: b'', 'builtins.bytes'),  # as protocol 2 writes b''
    (np.ndarray, 'numpy.ndarray'),
    (np.dtype, 'numpy.dtype'),
    *{type(np.dtype(code)) for code in '?bBhHiIlLqQefdFDSU'},  # bool to text, no objects
    *(
        (function, f'numpy.{core}.multiarray.{function.__name__}')
        for function in (np.zeros(0).__reduce__()[0], np.float64(0).__reduce__()[0])
        for core in ('core', '_core')  # NumPy 1 and 2
    ),
)
"""What files of OpenMMLab, MAE and DeiT hold besides tensors, for ``add_safe_globals``."""


def load(source, map_location='cpu'):
    """Read a checkpoint as data.

    Args:
        source (str | Path): A file (``~`` is expanded), a URL, a name of published weights (see
            :mod:`mmlite.weights.published`), or a name by one of mmengine's schemes, such as
            ``torchvision://resnet18``.
        map_location: Where the tensors go, as in :func:`torch.load`. Defaults to ``'cpu'``.

    Returns:
        dict: Contents of the file; of ``.safetensors`` ``state_dict`` and, its values decoded from
        JSON, ``meta``.

    Raises:
        CheckpointNotFoundError: There is no such file.
        CheckpointError: The file is empty, truncated, no checkpoint, unpacks to more than its own
            size, or asks for more than plain data and :data:`ALLOWED`; or the download fails.
    """
    return CheckpointLoader.load_checkpoint(str(source), map_location, logger='silent')


def load_from_local(filename, map_location=None):
    """Read a file of this machine."""
    path = Path(filename).expanduser()
    return _read(path, map_location, str(path))


def load_from_published(filename, map_location=None):
    """Read published weights by name, downloaded at the first use; a file of that path wins."""
    published = importlib.import_module('mmlite.weights.published')  # as late as registries do
    is_name = published.find_named(filename)
    return load_from_local(published.resolve(filename) if is_name else filename, map_location)


def load_from_http(filename, map_location=None):
    """Download a URL once, below ``checkpoints`` in :func:`torch.hub.get_dir`, and read it."""
    path = _download(filename)
    return _read(path, map_location, f'{filename} (kept at {path})')


def _download(url):
    """Path of the local copy. Of the processes of a machine one downloads; the others wait."""
    directory = Path(torch.hub.get_dir()) / 'checkpoints'
    name = Path(urlparse(url).path).name
    if not re.search(r'-[0-9a-f]{8}\.', name):  # without a hash, two servers may have that name
        directory /= hashlib.sha256(url.encode()).hexdigest()[:8]
    target = directory / name
    if target.exists():
        return target
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with FileLock(f'{target}.lock'):
            if not target.exists():
                torch.hub.download_url_to_file(url, str(target), progress=sys.stderr.isatty())
    except OSError as error:  # such as URLError, ConnectionError, no space left
        raise CheckpointError(
            f'{url} cannot be downloaded ({error}); put the file at {target}.'
        ) from error
    return target


def install():
    """Allow :data:`ALLOWED` and let mmengine's ``CheckpointLoader`` read by this module."""
    torch.serialization.add_safe_globals(list(ALLOWED))
    mmengine_checkpoint.load_from_http = load_from_http  # called by the loaders of names
    CheckpointLoader.register_scheme('', load_from_local, force=True)
    CheckpointLoader.register_scheme(['http://', 'https://'], load_from_http, force=True)
    families = [f'{family}/' for family in FAMILIES]
    CheckpointLoader.register_scheme(families, load_from_published, force=True)
    stock = CheckpointLoader.load_checkpoint

    @functools.wraps(stock)
    def load_checkpoint(filename, *args, **kwargs):
        try:
            return stock(filename, *args, **kwargs)
        except KeyError as error:  # mmengine looks names up in its lists
            scheme = filename.partition('://')[0]
            raise CheckpointError(
                f'There is no {error} among the checkpoints of {scheme}://.'
            ) from error

    CheckpointLoader.load_checkpoint = load_checkpoint


def _read(path, map_location, name):
    if path.is_dir():
        raise CheckpointError(f'Checkpoint {name} is a directory, not a file.')
    if not path.is_file():
        raise CheckpointNotFoundError(f'Checkpoint {name} does not exist.')
    if not path.stat().st_size:
        raise CheckpointError(f'Checkpoint {name} is empty.')
    try:
        with path.open('rb') as file:
            head = file.read(16)
        for mark, kind in OTHER_FILES.items():
            if head.startswith(mark):
                raise CheckpointError(f'is {kind}')
        is_zip = head.startswith(ZIP_MAGIC)
        named_so = path.suffix == '.safetensors' and not is_zip
        read = _read_safetensors if named_so or head[8:9] == b'{' else _read_pickle
        return read(path, map_location)
    except CheckpointError as error:
        raise CheckpointError(f'Checkpoint {name} {error}.') from error.__cause__
    except OSError as error:
        raise CheckpointError(f'Checkpoint {name} cannot be read: {error.strerror}.') from error


def _read_safetensors(path, map_location):
    device = str(map_location) if isinstance(map_location, str | torch.device) else 'cpu'
    try:
        with safe_open(path, framework='pt', device=device) as file:
            state_dict = {key: file.get_tensor(key) for key in file.keys()}
            metadata = file.metadata() or {}
    except Exception as error:  # foreign bytes can fail in any way
        raise CheckpointError(f'is truncated or no safetensors file: {error}') from error
    meta = {}
    for key, text in metadata.items():
        try:
            meta[key] = json.loads(text)
        except (ValueError, RecursionError):  # such as format='pt', which other libraries write
            meta[key] = text
    return dict(state_dict=state_dict, meta=meta)


def _read_pickle(path, map_location):
    _refuse_bomb(path)
    try:
        with path.open('rb') as file, warnings.catch_warnings():
            head = file.read(32)
            file.seek(0)
            if head[:1] == pickle.PROTO and LEGACY_MAGIC not in head:
                checkpoint = ArrayUnpickler(file, encoding='latin1').load()
            else:
                warnings.filterwarnings('ignore', 'Detected pickle protocol')
                checkpoint = torch.load(file, map_location=map_location, weights_only=True)
    except Exception as error:  # foreign bytes can fail in any way
        raise CheckpointError(_explain(error, map_location)) from error
    if not isinstance(checkpoint, dict):
        raise CheckpointError(f'holds a {type(checkpoint).__name__}, not a dict of weights')
    return checkpoint


def _refuse_bomb(path):
    """Refuse an archive that unpacks to more than its size: torch compresses nothing."""
    with open(path, 'rb') as file:
        if file.read(len(ZIP_MAGIC)) != ZIP_MAGIC:
            return
    if not zipfile.is_zipfile(path):
        raise CheckpointError('is truncated: it has no central directory')
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    size = path.stat().st_size
    if unpacked > size:
        raise CheckpointError(
            f'was refused: it unpacks to {unpacked:,} bytes from {size:,}, and torch compresses '
            'nothing'
        )


NAMED = tuple(entry for entry in ALLOWED if isinstance(entry, tuple))


class ArrayUnpickler(pickle.Unpickler):
    """Unpickler of plain data and NumPy arrays, such as detectron2's model zoo."""

    known = {
        'collections.OrderedDict': OrderedDict,
        '_codecs.encode': lambda text, _: text.encode('latin1'),  # bytes in protocol 2
        'numpy._core.numeric._frombuffer': np.zeros(0).__reduce_ex__(5)[0],
        'numpy.core.numeric._frombuffer': np.zeros(0).__reduce_ex__(5)[0],
        **{name: made for made, name in NAMED if name.startswith('numpy.')},
    }

    def find_class(self, module, name):
        """The object of a name in :attr:`known`."""
        if f'{module}.{name}' not in self.known:
            raise pickle.UnpicklingError(f'GLOBAL {module}.{name} was not allowed')
        return self.known[f'{module}.{name}']


def _explain(error, map_location):
    """What is wrong with a file that torch refused, without torch's advice to trust it."""
    text = str(error)
    refused = re.search(
        r"(?:GLOBAL |Can only .*<class ')([\w.]+)(?: was not| whose module|'>)", text
    )
    if refused:
        return (
            f'was refused: it asks for {refused[1]}, and only tensors and plain data are read; if '
            'you trust its source, save its state_dict alone and read that'
        )
    if 'Attempting to deserialize object on' in text:
        return (
            'holds tensors of a device that is not here and is read with '
            f'map_location={map_location!r}: give map_location="cpu"'
        )
    return 'is damaged or no checkpoint of torch'
