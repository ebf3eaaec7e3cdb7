"""Checkpoints become plain without losing what mmengine resumes from."""

import enum
from collections import Counter, OrderedDict, deque, namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer
from torch import nn

from mmlite.engine.plain import restore, to_plain
from mmlite.errors import CheckpointError

Pair = namedtuple('Pair', 'a b')
Colour = enum.IntEnum('Colour', 'RED GREEN')


def test_everything_is_read_back_without_an_allow_list(tmp_path):
    value = dict(
        state_dict=nn.Sequential(nn.BatchNorm2d(3)).state_dict(),
        score=np.float64(0.5),
        flag=np.bool_(True),
        name=np.str_('x'),
        palette=np.array([[1, 2], [3, 4]], np.uint8),
        config=ConfigDict(a=dict(b=[1, None])),
        kept=deque([1, 2]),
        milestones=Counter([3, 3, 7]),
        size=torch.Size([2, 3]),
        pair=Pair(1, 2.5),
        path=Path('a') / 'b',
        colour=Colour.GREEN,
        classes={'only'},
        dtype=torch.float16,
    )
    torch.save(to_plain(value), tmp_path / 'x.pth')
    back = torch.load(tmp_path / 'x.pth', weights_only=True)
    state = back.pop('state_dict')
    assert isinstance(state, OrderedDict)
    assert state._metadata['0'] == {'version': 2}  # which batch norm looks at
    assert back == dict(
        score=0.5,
        flag=True,
        name='x',
        palette=[[1, 2], [3, 4]],
        config={'a': {'b': [1, None]}},
        kept=[1, 2],
        milestones={3: 2, 7: 1},
        size=(2, 3),
        pair=(1, 2.5),
        path='a/b',
        colour=2,
        classes=['only'],
        dtype=torch.float16,
    )
    assert type(back['score']) is float
    assert type(back['colour']) is int


def test_tensors_are_neither_copied_nor_given_a_graph():
    weight = nn.Parameter(torch.ones(2))
    plain = to_plain([weight])[0]
    assert plain.data_ptr() == weight.data_ptr()
    assert not plain.requires_grad


class Odd:
    pass


def test_what_is_not_plain_is_named():
    with pytest.raises(CheckpointError, match=r'cannot save checkpoint\.a\.b\[1\]: it is a .*Odd'):
        to_plain({'a': {'b': [1, Odd()]}})


def test_log_history_and_milestones_come_back():
    buffer = HistoryBuffer([1.5, 2.5], [1, 3], max_length=10)
    checkpoint = dict(
        message_hub=dict(log_scalars=OrderedDict(loss=buffer)),
        param_schedulers=[dict(milestones=Counter([2, 5]), last_step=1), dict(gamma=1)],
    )
    plain = to_plain(checkpoint)
    torch.testing.assert_close(
        plain['message_hub']['log_scalars']['loss']['log_history'],
        torch.tensor([1.5, 2.5], dtype=torch.float64),
    )
    restore(plain)
    back = plain['message_hub']['log_scalars']['loss']
    assert isinstance(back, HistoryBuffer)
    assert [list(column) for column in back.data] == [[1.5, 2.5], [1, 3]]
    assert back.mean() == pytest.approx((1.5 + 2.5) / 4)  # log_history holds sums, as mmengine's
    back.update(3.0)
    assert back.current() == 3.0
    assert plain['param_schedulers'][0]['milestones'] == Counter([2, 5])
    assert isinstance(plain['param_schedulers'][0]['milestones'], Counter)


def test_restore_leaves_mmengines_own_checkpoints_and_bare_weights():
    buffer = HistoryBuffer([1.0], [1])
    checkpoint = dict(message_hub=dict(log_scalars=dict(loss=buffer)), param_schedulers={})
    restore(checkpoint)
    assert checkpoint['message_hub']['log_scalars']['loss'] is buffer
    weights = dict(weight=torch.ones(1))
    restore(weights)
    assert list(weights) == ['weight']


def test_schedulers_of_several_optimisers():
    checkpoint = dict(param_schedulers=dict(a=[dict(milestones={4: 1})], b=[dict(x=1)]))
    restore(checkpoint)
    assert isinstance(checkpoint['param_schedulers']['a'][0]['milestones'], Counter)
