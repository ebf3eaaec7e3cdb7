import functools
from collections.abc import Sequence

import pytest

from mmlite.engine.checks.signatures import accepted_keys


class Root:
    def __init__(self, a, *, b=1):
        pass


class Forwards(Root):
    def __init__(self, c, **kwargs):
        super().__init__(c, **kwargs)


class InheritsInit(Forwards):
    pass


class Keeps(Root):
    def __init__(self, c, **kwargs):
        super().__init__(c, **kwargs)
        self.options = kwargs


class Pops(Root):
    def __init__(self, **kwargs):
        kwargs.pop('d', None)
        super().__init__(**kwargs)


class Elsewhere(Root):
    def __init__(self, **kwargs):
        super().__init__(1)
        self.part = Root(**kwargs)


class Jumps(Forwards):
    def __init__(self, e, **kwargs):
        super(Forwards, self).__init__(**kwargs)


class Middle(Root):
    def __init__(self, m=1, **kwargs):
        super().__init__(**kwargs)


class Diamond(Forwards, Middle):
    """``super()`` of Forwards is Middle here."""


@pytest.mark.parametrize(
    ('target', 'names', 'closed'),
    [
        (Root, 'a b', True),
        (Forwards, 'a b c', True),
        (InheritsInit, 'a b c', True),
        (Keeps, 'c', False),
        (Pops, '', False),
        (Elsewhere, '', False),
        (Jumps, 'a b e', True),
        (Diamond, 'a b c m', True),
        (dict, '', False),  # implemented in C
        (lambda x, y=1: 0, 'x y', True),
        (lambda x, **rest: 0, 'x', False),
        (functools.partial(Root, 1), 'b', True),
    ],
)
def test_keywords_are_followed_through_super(target, names, closed):
    found = accepted_keys(target)
    assert (found.names, found.closed) == (frozenset(names.split()), closed)
    assert found.hints.keys() == found.names


class Typed(Forwards):
    def __init__(self, n: int, sizes: Sequence[float] = (), f=2, g='x', **kwargs):
        super().__init__(**kwargs)


def test_types_come_from_annotations_and_from_numbers():
    hints = accepted_keys(Typed).hints
    assert hints == dict(n=int, sizes=Sequence[float], f=float, g=None, a=None, b=float, c=None)
