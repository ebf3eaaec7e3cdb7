"""Keyword arguments of registered classes and functions, read from their source.

OpenMMLab classes pass ``**kwargs`` to their parents. They are followed in the resolution order of
methods while they go to ``super().__init__`` and nowhere else; anything less certain is open.
"""

import ast
import functools
import inspect
import re
import textwrap
from typing import NamedTuple


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
        # start is '' or the name in super(X, self)
        names = [owner.__name__ for owner in owners]
        position = (names.index(start) if start in names else position) + 1
    return Accepted(frozenset(hints), False, hints)


def _parameters(function):
    """Types by name of what can be given by keyword, and the name of ``**kwargs`` or None."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # implemented in C: nothing is known
        return {}, 'kwargs'
    by_keyword = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    hints = {p.name: _hint_of(p) for p in parameters if p.kind in by_keyword and p.name != 'self'}
    return hints, next((p.name for p in parameters if p.kind is p.VAR_KEYWORD), None)


def _hint_of(parameter):
    """Type of a parameter by annotation or default; None if unknown."""
    if parameter.annotation is not parameter.empty and not isinstance(parameter.annotation, str):
        return parameter.annotation
    return float if type(parameter.default) in (int, float) else None


def _forwarded_to(init, var_keyword):
    """The X of the only ``super(X, self).__init__(**kwargs)``, ``''`` without X, else None."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(init)))
    except (OSError, TypeError, SyntaxError):
        return None
    nodes = list(ast.walk(tree))
    uses = [node for node in nodes if isinstance(node, ast.Name) and node.id == var_keyword]
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    unpacked = {id(k.value): call for call in calls for k in call.keywords if k.arg is None}
    if len(uses) != 1 or id(uses[0]) not in unpacked:
        return None
    called = re.match(
        r'super\((?:(\w+), \w+)?\)\.__init__$', ast.unparse(unpacked[id(uses[0])].func)
    )
    return called and (called[1] or '')
