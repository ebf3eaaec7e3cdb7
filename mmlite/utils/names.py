"""Names in messages: those that are known or were probably meant, and lists of them."""

import difflib
import os

from mmlite.errors import ArgumentError


def check_known(name, value, known):
    """Raise an ArgumentError unless ``value`` is one of ``known``."""
    if value not in known:
        raise ArgumentError(f'{name} {value!r} is unknown: choose from {tuple(known)}')


def near_names(name, candidates, count=3):
    """Up to ``count`` of ``candidates`` that look like ``name`` or contain it, in any case."""
    by_lower = {candidate.lower(): candidate for candidate in candidates}
    found = difflib.get_close_matches(name.lower(), by_lower, n=count, cutoff=0.6)
    if len(name) > 3:
        found += sorted(k for k in by_lower if name.lower() in k and k not in found)
    return [by_lower[key] for key in found[:count]]


def with_near(message, near):
    """Append names that were probably meant, if any, to a message."""
    return f'{message}; near names: {", ".join(near)}' if near else message


def misspelled(name, candidates):
    """The one of ``candidates`` that ``name`` misspells, or None.

    A misspelling is one edit away (two for names of ten letters and more), where an edit adds,
    drops or replaces a letter or swaps two neighbours.
    """
    edits = 2 if len(name) >= 10 else 1
    return next((c for c in sorted(candidates) if c != name and within(edits, name, c)), None)


def within(edits, a, b):
    """Whether at most ``edits`` edits turn one string into the other."""
    if a == b or not edits:
        return a == b
    same = len(os.path.commonprefix([a, b]))
    a, b = a[same:], b[same:]
    rests = [(a[1:], b), (a, b[1:]), (a[1:], b[1:])]
    if a[:2] == b[1::-1]:
        rests.append((a[2:], b[2:]))
    return any(within(edits - 1, *rest) for rest in rests)


def listed(names, shown=10):
    """Join names for a message: ``'a, b, c and 5 more'``."""
    names = list(names)
    rest = f' and {len(names) - shown} more' if len(names) > shown else ''
    return ', '.join(names[:shown]) + rest
