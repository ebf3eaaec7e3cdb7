"""Files that are written whole or not at all."""

import csv
import hashlib
import io
import json
import math
import os
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import OutputError


@contextmanager
def atomic_write(path, size=0):
    """Open a binary file for writing that takes the place of ``path`` when the block ends.

    Where the block raises, ``path`` is as it was. The content is flushed to the disk before it is
    renamed. Directories are made as needed. Code that writes by path may write to ``file.name``.

    Args:
        path (str | Path): File to write.
        size (int): Bytes that will be written, if known: the free space is compared with it first.

    Raises:
        OutputError: The file cannot be written.
    """
    path = Path(path)
    partial = path.with_name(f'.{path.name}.{os.getpid()}.partial')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if size > (free := shutil.disk_usage(path.parent).free):
            raise OutputError(
                f'no space left to write {path}: {size:,} bytes needed, {free:,} free on that disk'
            )
        with open(partial, 'wb') as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        _sync_directory(path.parent)
    except OSError as error:
        named = str(error.filename or partial)
        if isinstance(error, OutputError) or not partial.is_relative_to(named):
            raise
        raise OutputError(f'cannot write {path}: {error.strerror}') from error
    finally:
        with suppress(OSError):
            partial.unlink()


def write_bytes(path, data):
    """Write bytes; see :func:`atomic_write`."""
    with atomic_write(path, size=len(data)) as file:
        file.write(data)


def write_text(path, text):
    """Write a string in UTF-8; see :func:`atomic_write`."""
    write_bytes(path, text.encode())


def write_json(path, value, indent=2):
    """Write JSON, in which NaN and infinities are ``null``; see :func:`atomic_write`."""
    text = json.dumps(_finite(value), indent=indent, ensure_ascii=False, allow_nan=False)
    write_text(path, text + '\n')


def write_csv(path, rows, header=None):
    """Write a CSV file; see :func:`atomic_write`.

    ``rows`` are sequences of cells or dicts by column; None is an empty cell. ``header`` (names of
    the columns) defaults to the keys of the first dict.
    """
    rows = list(rows)
    if rows and isinstance(rows[0], dict):
        header = header or list(rows[0])
        rows = [[row.get(key) for key in header] for row in rows]
    out = io.StringIO()
    csv.writer(out, lineterminator='\n').writerows([header, *rows] if header else rows)
    write_text(path, out.getvalue())


def append_csv(path, row):
    """Add a row, a dict by column, to a CSV file; an OutputError if the file has other columns."""
    lines = []
    if Path(path).is_file():
        with open(path, newline='', encoding='utf-8') as file:
            lines = list(csv.reader(file))
    if lines and lines[0] != list(row):
        raise OutputError(f'{path} has other columns: {", ".join(lines[0])}')
    write_csv(path, [*lines[1:], row.values()], list(row))


def sha256(path):
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _sync_directory(folder):
    """Have the new name of a file on the disk, too, where the system can do that."""
    if os.name == 'posix':
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _finite(value):
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
