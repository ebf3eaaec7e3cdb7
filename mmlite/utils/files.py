"""Files that are written whole or not at all."""

import csv
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
    """Open a file for writing that takes the place of ``path`` when the block ends.

    Where the block raises, ``path`` is as it was. The content is flushed to the disk before it is
    renamed. Directories are made as needed.

    Args:
        path (str | Path): File to write.
        size (int): Bytes that will be written, if known: the free space is compared with it first.

    Yields:
        file: Binary, writable, with a ``name``; for code that writes by path, write to that.

    Raises:
        OutputError: The file cannot be written; names the path and the free space.
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
        if isinstance(error, OutputError) or error.filename not in (None, *_names(path, partial)):
            raise
        raise OutputError(f'cannot write {path}: {error.strerror}{_free(path.parent)}') from error
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

    Args:
        path (str | Path): File to write.
        rows (Iterable[Sequence] | Iterable[dict]): Cells by position or, without ``header``, by
            column; None is an empty cell.
        header (Sequence[str], optional): Names of the columns. Defaults to the first dict's keys.
    """
    rows = list(rows)
    out = io.StringIO()
    if header is None and rows and isinstance(rows[0], dict):
        header = list(rows[0])
    writer = csv.writer(out, lineterminator='\n')
    if header is not None:
        writer.writerow(header)
    for row in rows:
        writer.writerow([row.get(key) for key in header] if isinstance(row, dict) else row)
    write_text(path, out.getvalue())


def append_csv(path, row):
    """Append a row to a CSV file, which gets its header with the first one.

    Args:
        path (str | Path): The file; its directory is made.
        row (dict): Column -> value; None is an empty cell.

    Raises:
        OutputError: The file has other columns or cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, 'a+', newline='', encoding='utf-8') as file:
            file.seek(0)
            header = next(csv.reader(file), None)
            if header not in (None, list(row)):
                raise OutputError(f'{path} has other columns: {", ".join(header)}')
            writer = csv.DictWriter(file, list(row), lineterminator='\n')
            if header is None:
                writer.writeheader()
            writer.writerow(row)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f'cannot write {path}: {error.strerror}') from error


def _names(*paths):
    """Spellings under which an OSError may name a file that is being written, or its directory."""
    return [name for path in paths for p in (path, path.parent) for name in (p, os.fspath(p))]


def _free(folder):
    return f' ({shutil.disk_usage(folder).free:,} bytes free)' if folder.is_dir() else ''


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
