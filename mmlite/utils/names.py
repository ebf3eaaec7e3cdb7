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

    A misspelling is one edit away (two for names of ten letters and more), where an edit adds,
    drops or replaces a letter or swaps two neighbours.
    """
    allowed = 2 if len(name) >= 10 else 1
    for candidate in sorted(candidates):
        if abs(len(candidate) - len(name)) <= allowed and 0 < edits(name, candidate) <= allowed:
            return candidate
    return None


def edits(a, b):
    """Restricted Damerau-Levenshtein distance (optimal string alignment) of two strings."""
    before, row = [], list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        older, before, row = before, row, [i]
        for j, other in enumerate(b, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
    return row[-1]


def listed(names, shown=10):
    """Join names for a message: ``'a, b, c and 5 more'``."""
    names = list(names)
    rest = f' and {len(names) - shown} more' if len(names) > shown else ''
    return ', '.join(names[:shown]) + rest
