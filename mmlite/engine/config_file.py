"""Reads config files, and turns what can be wrong with one into a single sentence."""

import ast
import difflib
import json
import traceback
from pathlib import Path

from mmengine.config import Config

from mmlite.errors import UserError

from .checks.values import check_containers

SUFFIXES = ('.py', '.json', '.yaml', '.yml')


def load_config(path, options=None):
    """Read a config file with its bases and merge the overrides of the command line.

    Args:
        path (str | Path): Config file.
        options (dict | None): ``--cfg-options``, e.g. ``{'model.backbone.depth': 50}``.

    Returns:
        mmengine.config.Config: The resolved config.

    Raises:
        UserError: The file or one of its bases is missing, is no valid Python, fails while it
            runs, an option does not fit the config, or a part of it is no dict or list.
    """
    path = Path(path)
    _check_chain(path, named_by=None)
    try:
        cfg = Config.fromfile(path)
    except Exception as error:  # whatever a config's own code raises is the user's to mend
        raise UserError(_describe(path, error)) from error
    if options:
        merge_options(cfg, options)
    check_containers(cfg)
    return cfg


def merge_options(cfg, options):
    """Merge ``--cfg-options`` into ``cfg`` in place, one by one so that a bad one is named.

    Raises:
        UserError: An option addresses an item that is not there or goes below a plain value.
    """
    for key, value in options.items():
        try:
            cfg.merge_from_dict({key: value})
        except (KeyError, TypeError, AttributeError) as error:
            reason = str(error.args[0] if error.args else error).split(' in child config')[0]
            raise UserError(
                f'--cfg-options {key}={value} does not fit the config: {_shorten(reason)}'
            ) from error


def _check_chain(path, named_by):
    """Check that ``path`` and every file that it inherits from exist and parse."""
    if not path.is_file():
        origin = f'_base_ of {named_by}' if named_by else 'config'
        if path.is_dir():
            raise UserError(f'{origin} is a folder: {path}; name a file in it')
        raise UserError(f'{origin} not found: {path}{_near_files(path)}')
    if path.suffix not in SUFFIXES:
        raise UserError(f'config {path} must end in one of {", ".join(SUFFIXES)}')
    if path.suffix != '.py':
        return
    try:
        tree = ast.parse(path.read_text(encoding='utf-8'), filename=str(path))
    except SyntaxError as error:
        text = (error.text or '').strip()
        raise UserError(
            f'config {path}, line {error.lineno}: {error.msg}{f": {text}" if text else ""}'
        ) from error
    for base in _bases(tree):
        # 'pkg::path' lives in an installed package, '{{ }}' is filled in by mmengine.
        if '::' not in base and '{{' not in base:
            _check_chain(path.parent / base, named_by=path)


def _bases(tree):
    """The literal ``_base_`` of a parsed config as a list of paths."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id == '_base_' for t in node.targets
        ):
            try:
                value = ast.literal_eval(node.value)
            except ValueError:  # computed by code: mmengine resolves it
                return []
            return [value] if isinstance(value, str) else list(value)
    return []


def _near_files(path):
    """A hint that names files of a similar name, in the folder first, then in its siblings."""
    folder = path.parent
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    try:
        here = {p.stem: p for p in folder.glob('*') if p.suffix in SUFFIXES}
        around = {p.stem: p for p in folder.parent.glob('*/*') if p.suffix in SUFFIXES}
    except OSError:  # a folder that may not be read, or is gone by now: there is no hint then
        return ''
    for files, cutoff in ((here, 0.6), (around, 0.8)):
        names = difflib.get_close_matches(path.stem, files, n=3, cutoff=cutoff)
        if names:
            return f'; near names: {", ".join(str(files[name]) for name in names)}'
    return ''


def _describe(path, error):
    """One sentence for an exception out of ``Config.fromfile``."""
    if isinstance(error, json.JSONDecodeError):
        return f'config {path} is no valid JSON: {error}'
    place = f'config {path}'
    frames = traceback.extract_tb(error.__traceback__)
    for caller, frame in zip(frames, frames[1:], strict=False):
        if caller.name == '_file2dict' and frame.name == '<module>':
            place = f'config {frame.filename}, line {frame.lineno}'
    reason = error.args[0] if isinstance(error, KeyError) and error.args else error
    return f'{place}: {type(error).__name__}: {_shorten(reason)}'


def _shorten(text, limit=300):
    """First line of ``text``, cut to ``limit`` characters."""
    line = str(text).strip().split('\n')[0]
    return line if len(line) <= limit else f'{line[:limit]} ...'
