"""Checkpoints are plain, written whole or not at all, and resumed from the newest intact one."""

import enum
import resource
import shutil
from collections import Counter, OrderedDict, deque, namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer
from torch import nn

from mmlite.engine.checkpointing import (
    POINTER,
    AtomicLocalBackend,
    damage,
    find_checkpoint,
    restore_types,
    saved_seed,
    to_plain,
)  # fmt: skip
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
        score=0.5, flag=True, name='x', palette=[[1, 2], [3, 4]], config={'a': {'b': [1, None]}},
        kept=[1, 2], milestones={3: 2, 7: 1}, size=(2, 3), pair=(1, 2.5), path='a/b', colour=2,
        classes=['only'], dtype=torch.float16,
    )  # fmt: skip
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


def test_log_history_and_milestones_are_restored():
    buffer = HistoryBuffer([1.5, 2.5], [1, 3], max_length=10)
    plain = to_plain(
        dict(
            message_hub=dict(log_scalars=OrderedDict(loss=buffer)),
            param_schedulers=[dict(milestones=Counter([2, 5]), last_step=1), dict(gamma=1)],
        )
    )
    torch.testing.assert_close(
        plain['message_hub']['log_scalars']['loss']['log_history'],
        torch.tensor([1.5, 2.5], dtype=torch.float64),
    )
    restore_types(plain)
    back = plain['message_hub']['log_scalars']['loss']
    assert isinstance(back, HistoryBuffer)
    assert [list(column) for column in back.data] == [[1.5, 2.5], [1, 3]]
    assert back.mean() == pytest.approx((1.5 + 2.5) / 4)  # log_history holds sums, as mmengine's
    back.update(3.0)
    assert back.current() == 3.0
    several = dict(param_schedulers=dict(a=plain['param_schedulers'], b=[dict(x=1)]))
    restore_types(several)
    milestones = several['param_schedulers']['a'][0]['milestones']
    assert milestones == Counter([2, 5]) and isinstance(milestones, Counter)


def save(path, value=0.0, **options):
    content = dict(state_dict=dict(w=torch.full((999,), value)), meta=dict(seed=5))
    torch.save(content, path, **options)
    return path


@pytest.fixture
def folder(tmp_path):
    """Two checkpoints and the pointer to the newer one."""
    for epoch in (9, 10):
        save(tmp_path / f'epoch_{epoch}.pth')
    save(tmp_path / 'best_score_epoch_11.pth')
    (tmp_path / POINTER).write_text(str(tmp_path / 'epoch_10.pth'))
    return tmp_path


def test_the_pointer_decides(folder):
    assert find_checkpoint(folder) == folder / 'epoch_10.pth'
    (folder / POINTER).write_text(str(folder / 'epoch_9.pth'))
    assert find_checkpoint(folder) == folder / 'epoch_9.pth'
    copy = shutil.copytree(folder, folder / 'copy')
    assert find_checkpoint(copy) == copy / 'epoch_9.pth'


@pytest.mark.parametrize('text', [None, '', '/elsewhere/epoch_10.pth', 'epoch_12.pth'])
def test_without_a_right_pointer_the_newest_is_taken(text, folder):
    (folder / POINTER).unlink()
    if text is not None:
        (folder / POINTER).write_text(text)
    assert find_checkpoint(folder) == folder / 'epoch_10.pth'


def test_a_midway_checkpoint_is_newer_than_its_epoch(folder):
    (folder / POINTER).unlink()
    for name in ('epoch_10_iter_42.pth', 'epoch_9_iter_41.pth'):
        save(folder / name)
    assert find_checkpoint(folder).name == 'epoch_10_iter_42.pth'


@pytest.mark.parametrize('tenth', [0, 9])
def test_a_truncated_file_is_named_and_the_one_before_it_taken(tenth, folder, capsys):
    truncated = folder / 'epoch_10.pth'
    content = truncated.read_bytes()
    truncated.write_bytes(content[: len(content) * tenth // 10])
    assert find_checkpoint(folder) == folder / 'epoch_9.pth'
    (line,) = [line for line in capsys.readouterr().out.splitlines() if 'epoch_10' in line]
    assert 'is damaged (the archive is truncated): trying epoch_9.pth' in line


def test_any_changed_byte_is_survived(folder):
    """zipfile raises NotImplementedError, UnicodeDecodeError, struct.error, ... on some of them."""
    file = folder / 'epoch_10.pth'
    content = file.read_bytes()
    directory = content.index(b'PK\x01\x02')
    for position in (len(content) // 2, *range(directory, len(content))):
        changed = bytearray(content)
        changed[position] ^= 0xFF
        file.write_bytes(changed)
        found = find_checkpoint(folder)
        assert found.name == 'epoch_9.pth' or position > directory
    file.write_bytes(content[: len(content) // 2] + b'?' + content[len(content) // 2 + 1 :])
    assert damage(file).startswith('the checksum of ')


@pytest.mark.parametrize('zipped', [True, False])
def test_both_formats_of_torch_are_intact_and_have_a_seed(zipped, tmp_path):
    file = save(tmp_path / 'epoch_1.pth', _use_new_zipfile_serialization=zipped)
    assert damage(file) is None and saved_seed(file) == 5
    file.write_bytes(file.read_bytes()[:-2000])
    assert damage(file)


def test_nothing_starts_from_scratch_where_all_are_damaged(folder):
    for epoch in (9, 10):
        (folder / f'epoch_{epoch}.pth').write_bytes(b'PK')
    with pytest.raises(CheckpointError, match='all 2 checkpoints in .* are damaged: remove them'):
        find_checkpoint(folder)


def test_a_directory_without_checkpoints(tmp_path):
    assert find_checkpoint(tmp_path) is None
    assert find_checkpoint(tmp_path / 'missing') is None


@pytest.mark.parametrize('tenth', [0, 9])
def test_a_write_that_the_system_cuts_off_leaves_the_old_file(tenth, tmp_path):
    file = tmp_path / 'epoch_1.pth'
    save(file)
    before, new = file.read_bytes(), save(tmp_path / 'new.pth', 1.0).read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(new) * tenth // 10, hard))
    try:
        with pytest.raises(CheckpointError, match='File too large.* are intact'):
            AtomicLocalBackend().put(new, file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert file.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ['epoch_1.pth', 'new.pth']
