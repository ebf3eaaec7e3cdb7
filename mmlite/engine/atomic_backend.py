"""A file backend that replaces a file only when the new one is whole."""

import os
import shutil

from mmengine.fileio import LocalBackend, register_backend

from mmlite.errors import CheckpointError

ATOMIC = 'mmlite.atomic'
"""Name for ``backend_args=dict(backend=...)``."""


class AtomicLocalBackend(LocalBackend):
    """Local files, written to a neighbour first and then moved into place."""

    def put(self, obj, filepath):
        """Write bytes to ``filepath``, making its folder if needed.

        Args:
            obj (bytes): The content.
            filepath (str | Path): Where it goes.

        Raises:
            CheckpointError: No space is left or the folder cannot be written; names the path and
                the bytes needed and free. A file that was there is untouched.
        """
        filepath = os.fspath(filepath)
        folder = os.path.dirname(os.path.abspath(filepath))
        unfinished = f'{filepath}.unfinished'
        try:
            os.makedirs(folder, exist_ok=True)
            free = shutil.disk_usage(folder).free
            if free < len(obj):
                raise CheckpointError(
                    f'no space left to save {filepath}: {len(obj):,} bytes needed, {free:,} free '
                    'on that disk; earlier checkpoints are intact'
                )
            with open(unfinished, 'wb') as file:
                file.write(obj)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, filepath)
            _flush_folder(folder)
        except OSError as error:
            _remove(unfinished)
            raise CheckpointError(
                f'cannot save {filepath} ({len(obj):,} bytes): {error.strerror}, '
                f'{_free_space(folder)} free on that disk; earlier checkpoints are intact'
            ) from error

    def put_text(self, obj, filepath, encoding='utf-8'):
        """Write text to ``filepath``; see :meth:`put`."""
        self.put(obj.encode(encoding), filepath)


def _flush_folder(folder):
    """Have the new name of a file on the disk, too, where the system can do that."""
    if os.name == 'posix':
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _remove(path):
    if os.path.exists(path):
        os.remove(path)


def _free_space(folder):
    return f'{shutil.disk_usage(folder).free:,} bytes' if os.path.isdir(folder) else 'no bytes'


register_backend(ATOMIC, AtomicLocalBackend)
