"""Files of a data set, unpacked or in zip archives that are read without unpacking them."""

import functools
import os
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from mmlite.errors import DataError

OPEN_ARCHIVES = 8
"""Archives that a process keeps open; a class of LaSOT has 50,000 entries, about 25 MB of names."""

_UNREADABLE = (OSError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error)


class Tree:
    """Files below a directory, where any directory ``a/b`` may also be an archive ``a/b.zip``.

    An archive holds the content of its directory, or the directory itself; an unpacked directory
    takes precedence. Paths are relative to the root with ``/`` on all systems; ``''`` is the root.
    Other processes may get copies. All methods raise DataError for missing or damaged files.
    """

    def __init__(self, root, what='the data set'):
        self.root = str(root)
        if not os.path.isdir(self.root):
            raise DataError(f"data_root '{self.root}' does not exist; it must have {what}")

    def files(self, folder):
        """List the file names of a directory, unsorted, without hidden ones."""
        return self._list(folder)[0]

    def folders(self, folder):
        """List the sorted names of subdirectories, packed ones included, without hidden ones."""
        return sorted(self._list(folder)[1])

    def is_folder(self, path):
        """Whether ``path`` is a directory, unpacked or in an archive."""
        if os.path.isdir(self._plain(path)):
            return True
        archive, inner = self._find_archive(path)
        return archive is not None and inner in archive.folders

    def read(self, path):
        try:
            return Path(self._plain(path)).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            archive, inner = self._find_archive(path)
        except OSError as error:
            raise DataError(f'{self.where(path)} cannot be read: {error.strerror}') from error
        if archive is None or inner not in archive.members:
            raise DataError(f'{self.where(path)} is missing')
        return archive.read(inner)

    def where(self, path):
        """Printable path; a file in an archive is ``archive.zip/its/name``."""
        plain = self._plain(path)
        if os.path.exists(plain):
            return plain
        archive, inner = self._find_archive(path)
        return plain if archive is None else f'{archive.path}/{inner}'.rstrip('/')

    def _plain(self, path):
        return os.path.join(self.root, path) if path else self.root

    def _list(self, folder):
        plain = self._plain(folder)
        if os.path.isdir(plain):
            return _list_plain(plain)
        archive, inner = self._find_archive(folder)
        if archive is None or inner not in archive.folders:
            raise DataError(f"directory '{plain}' is missing")
        return archive.folders[inner]

    def _find_archive(self, path):
        """The innermost archive that may hold ``path``, and the name of ``path`` inside it."""
        parts = PurePosixPath(path).parts
        for count in range(len(parts), 0, -1):
            file = self._plain('/'.join(parts[:count])) + '.zip'
            if os.path.isfile(file):
                archive = _open_archive(file, os.stat(file).st_mtime_ns, os.getpid())
                return archive, '/'.join(parts[count:])
        return None, ''


class WatchedTree(Tree):
    """A tree that notes, in ``stamps``, the state of all that is listed, read or looked for."""

    def __init__(self, root):
        super().__init__(root)
        self.stamps = {}  # path -> its stamp()

    def watch(self, path):
        """Note the state of a path, and of the archives that may hold it."""
        self.where(path)

    def _plain(self, path):
        plain = super()._plain(path)
        if path not in self.stamps:
            self.stamps[path] = stamp(plain)
        return plain


def stamp(path):
    """Size and modification time of a file, directory or its archive; None if there is none."""
    for candidate in (path, f'{path}.zip'):
        if os.path.exists(candidate):
            stat = os.stat(candidate)
            return [stat.st_size, stat.st_mtime_ns]
    return None


class Archive:
    """An open zip archive; a common top directory of the archive's own name is dropped."""

    def __init__(self, path):
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except _UNREADABLE as error:
            raise DataError(f'archive {path} cannot be read: {error}') from error
        members = {
            str(PurePosixPath(member.filename)): member
            for member in self._zip.infolist()
            if not member.is_dir() and not member.filename.startswith('__MACOSX/')
        }
        top = Path(path).stem + '/'
        if all(name.startswith(top) for name in members):
            members = {name[len(top) :]: member for name, member in members.items()}
        self.members = members  # path -> entry, of the files
        self.folders = {'': ([], set())}  # path -> names of its files and of its directories
        for name in members:
            folder, _, file = name.rpartition('/')
            self._add_folder(folder)[0].append(file)

    def _add_folder(self, folder):
        if folder not in self.folders:
            parent, _, name = folder.rpartition('/')
            self._add_folder(parent)[1].add(name)
            self.folders[folder] = [], set()
        return self.folders[folder]

    def read(self, name):
        try:
            return self._zip.read(self.members[name])
        except _UNREADABLE as error:
            raise DataError(f'{self.path}/{name} cannot be read: {error}') from error


@functools.lru_cache(OPEN_ARCHIVES)
def _open_archive(path, _modified, _process):
    """``_process`` keeps a forked process from reading through its parent's file position."""
    return Archive(path)


def _list_plain(folder):
    files, folders = [], set()
    for entry in os.scandir(folder):
        if entry.name.startswith('.'):
            continue
        if entry.is_dir():
            folders.add(entry.name)
        else:
            files.append(entry.name)
            if entry.name.endswith('.zip'):
                folders.add(entry.name.removesuffix('.zip'))
    return files, folders
