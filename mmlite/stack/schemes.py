"""mmengine's checkpoint schemes (local files, URLs, model zoos), read by :mod:`.serialization`.

mmengine 0.10.7 calls ``torch.load`` without ``weights_only``: torch < 2.6 then runs what the file
says, and later versions refuse mmengine's own files. Its ``CheckpointLoader`` lets a scheme be
registered anew, which covers ``Runner.resume``, ``load_checkpoint`` and ``init_cfg`` alike.
"""

import sys
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlparse

import torch
from mmengine.dist import get_dist_info
from mmengine.fileio import get_file_backend
from mmengine.runner import checkpoint as mmengine_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader

from ..errors import CheckpointError
from .serialization import load, read


def load_from_local(filename, map_location=None):
    """Read a file of this machine."""
    return load(filename, map_location)


def load_from_http(filename, map_location=None):
    """Download a URL, once, to the ``checkpoints`` folder of :func:`torch.hub.get_dir`; read it."""
    rank, world_size = get_dist_info()
    if rank == 0:
        _download(filename)
    if world_size > 1:
        torch.distributed.barrier()
    path = _download(filename)  # the other ranks find it there, unless on another machine
    return read(path, map_location, f'{filename} (kept at {path})')


def _download(url):
    target = Path(torch.hub.get_dir()) / 'checkpoints' / Path(urlparse(url).path).name
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(target), progress=sys.stderr.isatty())
        except (URLError, ConnectionError, TimeoutError) as error:
            raise CheckpointError(
                f'{url} cannot be downloaded ({error}); put the file at {target}.'
            ) from error
    return target


def load_from_torchvision(filename, map_location=None):
    """Read the file that torchvision has under the name after ``torchvision://``."""
    urls = mmengine_checkpoint.get_torchvision_models()
    return load_from_http(_entry(urls, filename), map_location)


def load_from_openmmlab(filename, map_location=None):
    """Read the file that mmengine's list has under the name after ``openmmlab://``.

    The list may name a file below ``MMENGINE_HOME`` in place of a URL.
    """
    renamed = mmengine_checkpoint.get_deprecated_model_names()
    name = filename.partition('://')[2]
    urls = mmengine_checkpoint.get_external_models()
    entry = _entry(urls, f'openmmlab://{renamed.get(name, name)}')
    if entry.startswith(('http://', 'https://')):
        return load_from_http(entry, map_location)
    return load(Path(mmengine_checkpoint._get_mmengine_home()) / entry, map_location)


def load_from_mmcls(filename, map_location=None):
    """Read the backbone of the classifier that mmengine's list has after ``mmcls://``."""
    urls = mmengine_checkpoint.get_mmcls_models()
    checkpoint = load_from_http(_entry(urls, filename), map_location)
    return mmengine_checkpoint._process_mmcls_checkpoint(checkpoint)


def load_from_ceph(filename, map_location=None):
    """Fetch a file by the Petrel client and read it."""
    backend = get_file_backend(filename, backend_args=dict(backend='petrel'))
    with backend.get_local_path(filename) as path:
        return read(Path(path), map_location, filename)


def load_from_pavi(filename, map_location=None):
    """Refuse: the client of ``pavi://`` is not public, so this could not be tested."""
    raise CheckpointError(f'{filename} cannot be read: download the file and give its path.')


def _entry(urls, filename):
    scheme, _, name = filename.partition('://')
    if name not in urls:
        raise CheckpointError(f'There is no {name!r} among the checkpoints of {scheme}://.')
    return urls[name]


LOADERS = {
    '': load_from_local,
    'http://': load_from_http,
    'https://': load_from_http,
    'torchvision://': load_from_torchvision,
    'modelzoo://': load_from_torchvision,
    'open-mmlab://': load_from_openmmlab,
    'openmmlab://': load_from_openmmlab,
    'mmcls://': load_from_mmcls,
    r'(\S+\:)?s3://': load_from_ceph,
    r'(\S+\:)?petrel://': load_from_ceph,
    'pavi://': load_from_pavi,
}


def register():
    """Put :data:`LOADERS` in place of mmengine's own."""
    for prefix, loader in LOADERS.items():
        CheckpointLoader.register_scheme(prefix, loader, force=True)
