"""Downloads that resume, from web servers and Google Drive, each error one sentence."""

import errno
import json
import os
import re
import shutil
import sys
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlparse
from urllib.request import Request, urlopen

from mmlite.errors import CheckpointError, OutputError, StackError
from mmlite.utils import Progress

BLOCK = 1 << 20
TIMEOUT_SECONDS = 30
OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)


def download(address, path):
    """Download a file, from where an earlier call of any process was interrupted.

    Until the file is complete it is ``PATH.part``, with ``PATH.part.json`` beside it. A file that
    has changed on the server since then is downloaded from its beginning.

    Args:
        address (str): ``http(s)://...``; a file of Google Drive is downloaded by gdown. The
            environment variable ``MMLITE_MIRROR`` replaces scheme and host, of Drive, too.
        path (Path): Where the file goes, in a directory that exists.

    Raises:
        CheckpointError: The server cannot be reached, refuses, ends early, or gives a web page.
        OutputError: The file cannot be written, e.g. for lack of space.
        StackError: gdown is required and not installed.
    """
    mirror = os.environ.get('MMLITE_MIRROR')
    url = mirror.rstrip('/') + urlparse(address).path if mirror else address
    try:
        from_drive = urlparse(url).hostname == 'drive.google.com'
        (_from_drive if from_drive else _from_server)(url, path)
    except OutputError:
        raise
    except HTTPError as error:
        raise CheckpointError(f'{url} cannot be downloaded: HTTP error {error.code}') from error
    except (OSError, HTTPException, ValueError) as error:
        if getattr(error, 'errno', None) in OF_THE_DISK:
            remove(path)  # which would keep a full disk full
            raise OutputError(f'cannot write {path}: {error.strerror}') from error
        reason = getattr(error, 'reason', None) or error
        raise CheckpointError(f'{url} cannot be downloaded: {reason}') from error
    with open(path, 'rb') as file:
        head = file.read(64)
    if re.match(rb'\s*<(!|html|\?xml)', head, re.I):
        path.unlink()
        raise CheckpointError(f'{url} is a web page, not a file: it may have moved')


def remove(path):
    """Remove a download, complete or not."""
    for file in path.parent.glob(f'{path.name}*'):
        with suppress(OSError):
            file.unlink()


def _from_server(url, path):
    part, record = Path(f'{path}.part'), Path(f'{path}.part.json')
    done, earlier = 0, {}
    with suppress(OSError, ValueError):
        earlier = json.loads(record.read_text())
        done = part.stat().st_size
    if not (done and done == earlier.get('size')):
        headers = {'User-Agent': 'mmlite', 'Accept-Encoding': 'identity'}
        if done and earlier.get('mark'):
            headers |= {'Range': f'bytes={done}-', 'If-Range': earlier['mark']}
        with urlopen(Request(url, headers=headers), timeout=TIMEOUT_SECONDS) as response:
            done = done if response.status == 206 else 0
            _store(response, part, record, done)
    os.replace(part, path)
    record.unlink(missing_ok=True)


def _store(response, part, record, done):
    """Append what a server sends to the ``done`` bytes of a partial file."""
    length = response.headers.get('Content-Length')
    size = done + int(length) if length else None
    free = shutil.disk_usage(part.parent).free
    if (size or 0) - done > free:
        remove(part)
        raise OutputError(
            f'no space left to write {part}: {size - done:,} bytes needed, {free:,} free on that '
            'disk'
        )
    tag = response.headers.get('ETag') or ''
    mark = response.headers.get('Last-Modified') if tag.startswith('W/') or not tag else tag
    record.write_text(json.dumps(dict(size=size, mark=mark)))
    with (
        open(part, 'ab' if done else 'wb') as file,
        Progress(part.name.removesuffix('.part'), size or 0, 'bytes', done) as progress,
    ):
        while block := response.read(BLOCK):
            file.write(block)
            progress.advance(len(block))
    if size is not None and (got := part.stat().st_size) != size:
        raise ConnectionError(f'it ended after {got:,} of {size:,} bytes; the next call resumes')


def _from_drive(url, path):
    try:
        import gdown
    except ImportError as error:
        raise StackError(
            f"{url} requires gdown: pip install 'mmlite[drive]', or download the file by hand and "
            'give it to mmlite weights get NAME --file FILE'
        ) from error
    number, quiet = url.rstrip('/').rpartition('/')[2], not sys.stderr.isatty()
    try:
        got = gdown.download(id=number, output=str(path), resume=True, quiet=quiet)
    except OSError:
        raise
    except Exception as error:  # gdown has its own, such as for a file with too many downloads
        raise ConnectionError(' '.join(str(error).split())) from error
    if got is None:
        raise ConnectionError('Google Drive gives no file')
