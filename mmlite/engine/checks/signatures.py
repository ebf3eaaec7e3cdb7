"""Keyword arguments of registered classes and functions, read from their source.

OpenMMLab classes pass ``**kwargs`` to their parents, so the signature of ``__init__`` alone does
not tell a wrong key from an inherited one. ``**kwargs`` is followed through the method resolution
order as long as it goes to ``super().__init__`` and nowhere else; anything less certain counts as
open, because a false alarm is worse than a library's own message.
"""

import ast
import functools
import inspect
import textwrap
from typing import NamedTuple

from .values import hint_of


class Accepted(NamedTuple):
    """Keyword arguments of a callable: known ``names``, all of them if ``closed``, and types."""

    names: frozenset
    closed: bool
    hints: dict = {}


@functools.cache
def accepted_keys(target):
    """Accepted: Keyword arguments that the class or function ``target`` takes."""
    if not inspect.isclass(target):
        hints, var_keyword = _parameters(target)
        return Accepted(frozenset(hints), var_keyword is None, hints)
    owners = [c for c in target.__mro__ if '__init__' in c.__dict__]
    hints, position = {}, 0
    while position < len(owners):
        init = owners[position].__init__
        found, var_keyword = _parameters(init)
        hints = {**found, **hints}  # what is nearest to the class is what callers see
        if var_keyword is None:
            return Accepted(frozenset(hints), True, hints)
        start = _forwarded_to(init, var_keyword)
        if start is None:
            break
        position = _next_owner(owners, position, start)
    return Accepted(frozenset(hints), False, hints)


def _parameters(function):
    """Types by name of what can be given by keyword, and the name of ``**kwargs`` or None."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # implemented in C: nothing is known
        return {}, 'kwargs'
    by_keyword = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    hints = {p.name: hint_of(p) for p in parameters if p.kind in by_keyword and p.name != 'self'}
    var_keyword = next((p.name for p in parameters if p.kind is p.VAR_KEYWORD), None)
    return hints, var_keyword


def _forwarded_to(init, var_keyword):
    """See :func:`_super_start` of the call that gets ``**kwargs``; None if they go elsewhere."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(init)))
    except (OSError, TypeError, SyntaxError):
        return None
    uses = sum(isinstance(n, ast.Name) and n.id == var_keyword for n in ast.walk(tree))
    starts = [
        _super_start(node.func)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and any(
            k.arg is None and isinstance(k.value, ast.Name) and k.value.id == var_keyword
            for k in node.keywords
        )
    ]
    return starts[0] if uses == len(starts) == 1 else None


def _super_start(function):
    """``''`` for ``super().__init__``, ``'X'`` for ``super(X, self).__init__``, else None."""
    if not (isinstance(function, ast.Attribute) and function.attr == '__init__'):
        return None
    call = function.value
    if not (isinstance(call, ast.Call) and getattr(call.func, 'id', None) == 'super'):
        return None
    return getattr(call.args[0], 'id', None) if call.args else ''


def _next_owner(owners, position, start):
    """Index of the class whose ``__init__`` runs after that of ``owners[position]``."""
    names = [owner.__name__ for owner in owners]
    return (names.index(start) if start in names else position) + 1
