"""Files of a data set, unpacked or in zip archives that are read without unpacking them."""

import functools
import os
import re
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from mmlite.errors import DataError

OPEN_ARCHIVES = 8
"""Archives that a process keeps open; a class of LaSOT has 50,000 entries, about 25 MB of names."""

_UNREADABLE = (OSError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error)


class Tree:
    """The files below a folder, where any folder ``a/b`` may also be an archive ``a/b.zip``.

    The archive of a folder holds what the folder would hold, or the folder itself. An unpacked
    folder goes before its archive. Paths are relative to the root and have ``/`` on all systems;
    ``''`` is the root. Safe to copy into other processes: archives are opened by the process that
    reads them. Unpacked files are faster in random order, as in training.

    Args:
        root (str | Path): The folder.
        what (str): What it should hold, for the message. Defaults to ``'the data set'``.

    Raises:
        DataError: If the folder does not exist.
    """

    def __init__(self, root, what='the data set'):
        self.root = str(root)
        if not os.path.isdir(self.root):
            raise DataError(
                f"data_root '{self.root}' does not exist: give the folder that holds {what}"
            )

    def files(self, folder):
        """list[str]: Names of the files of a folder, in no order; DataError if it is missing.

        Hidden files are left out.
        """
        return self._list(folder)[0]

    def folders(self, folder):
        """list[str]: Sorted names of the folders of a folder, packed ones included, hidden not."""
        return sorted(self._list(folder)[1])

    def is_folder(self, path):
        """bool: Whether ``path`` is a folder, unpacked or in an archive."""
        if os.path.isdir(self._plain(path)):
            return True
        archive, inner = self._find_archive(path)
        return archive is not None and inner in archive.folders

    def read(self, path):
        """bytes: Content of a file; DataError if it is missing or cannot be read."""
        try:
            return Path(self._plain(path)).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            archive, inner = self._find_archive(path)
        except OSError as error:
            raise DataError(f'{self.where(path)} cannot be read: {error.strerror}') from error
        if archive is None or inner not in archive:
            raise DataError(f'{self.where(path)} is missing')
        return archive.read(inner)

    def where(self, path):
        """str: Printable path; a file in an archive is ``archive.zip/its/name``."""
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
            raise DataError(f"folder '{plain}' is missing")
        return archive.folders[inner]

    def _find_archive(self, path):
        """The innermost archive that may hold ``path``, and the name that it has there."""
        parts = PurePosixPath(path).parts
        for count in range(len(parts), 0, -1):
            file = self._plain('/'.join(parts[:count])) + '.zip'
            if os.path.isfile(file):
                archive = _open_archive(file, os.stat(file).st_mtime_ns, os.getpid())
                return archive, '/'.join(parts[count:])
        return None, ''


class Archive:
    """An open zip archive.

    Where all names begin with a folder of the archive's own name, that folder is left out.

    Args:
        path (str): The file.

    Raises:
        DataError: If it is no zip archive, a name in it is absolute or leaves the folder, or an
            entry is a symbolic link.

    Attributes:
        folders (dict[str, tuple[list[str], set[str]]]): Folder -> names of the files and of the
            folders in it; ``''`` is the top.
    """

    def __init__(self, path):
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except _UNREADABLE as error:
            raise DataError(f'archive {path} cannot be read: {error}') from error
        members = {}
        for member in self._zip.infolist():
            _check_entry(path, member)
            if not member.is_dir() and not member.filename.startswith('__MACOSX/'):
                members[str(PurePosixPath(member.filename))] = member
        own = Path(path).stem + '/'
        if members and all(name.startswith(own) for name in members):
            members = {name[len(own) :]: member for name, member in members.items()}
        self._members = members
        self.folders = _folders(members)

    def __contains__(self, name):
        return name in self._members

    def read(self, name):
        """bytes: Content of a file; DataError if it is damaged or encrypted."""
        try:
            return self._zip.read(self._members[name])
        except _UNREADABLE as error:
            raise DataError(f'{self.path}/{name} cannot be read: {error}') from error


@functools.lru_cache(OPEN_ARCHIVES)
def _open_archive(path, _modified, _process):
    """``_process`` keeps a forked process from reading through its parent's file position."""
    return Archive(path)


def leaves_folder(name):
    """bool: Whether a relative path leads out of its folder, on this or another system."""
    parts = name.replace('\\', '/').split('/')
    return not parts[0] or bool(re.match('[A-Za-z]:', parts[0])) or '..' in parts


def _check_entry(path, member):
    problem = None
    if leaves_folder(member.orig_filename) or leaves_folder(member.filename):
        problem = 'leaves the folder'
    elif stat.S_ISLNK(member.external_attr >> 16):
        problem = 'is a symbolic link'
    if problem:
        raise DataError(
            f'archive {path} has an entry {member.orig_filename!r}, which {problem}: no part of '
            f'the archive was read'
        )


def _folders(names):
    folders = {'': ([], set())}
    for name in names:
        folder, _, file = name.rpartition('/')
        folders.setdefault(folder, ([], set()))[0].append(file)
    for folder in sorted(folders):
        while folder:  # up to the top, through folders that hold no file
            parent, _, own = folder.rpartition('/')
            siblings = folders.setdefault(parent, ([], set()))[1]
            if own in siblings:
                break
            siblings.add(own)
            folder = parent
    return folders


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
