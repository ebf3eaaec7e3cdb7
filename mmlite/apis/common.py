"""Checks that the inferencers of all tasks share."""

from pathlib import Path

from mmlite.errors import ArgumentError, UserError


def check_on_unreadable(choice):
    """Refuse a choice that is neither ``'skip'`` nor ``'stop'``."""
    if choice not in ('skip', 'stop'):
        raise ArgumentError(f"on_unreadable must be 'skip' or 'stop', got {choice!r}")


def make_directory(path):
    """Path | None: ``path``, made if needed.

    Raises:
        UserError: It cannot be made.
    """
    if path is None:
        return None
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f'directory {path} cannot be made: {error.strerror}') from error
    return path
