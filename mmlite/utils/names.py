"""Names in messages: those that were probably meant, and lists of them."""

import difflib


def near_names(name, candidates, count=3):
    """Up to ``count`` of ``candidates`` that look like ``name`` or contain it, best first.

    Case is ignored; they are returned in their own spelling.
    """
    by_lower = {candidate.lower(): candidate for candidate in candidates}
    found = difflib.get_close_matches(name.lower(), by_lower, n=count, cutoff=0.6)
    if len(name) > 3:
        found += sorted(k for k in by_lower if name.lower() in k and k not in found)
    return [by_lower[key] for key in found[:count]]


def misspelled(name, candidates):
    """The one of ``candidates`` that ``name`` misspells, or None.

    A misspelling adds, drops, replaces or moves one letter (two in names of ten and more).
    """
    edits = 2 if len(name) >= 10 else 1
    close = [known for known in candidates if abs(len(known) - len(name)) <= edits]
    cutoff = max((len(name) - edits) / len(name), 0.6)
    return next(iter(difflib.get_close_matches(name, sorted(close), 1, cutoff)), None)


def listed(names, shown=10):
    """Join names for a message: ``'a, b, c and 5 more'``."""
    names = list(names)
    rest = f' and {len(names) - shown} more' if len(names) > shown else ''
    return ', '.join(names[:shown]) + rest
