"""Which checkpoint is resumed from, and what a torn file or a full disk leaves behind."""

import resource

import pytest
import torch

from mmlite.engine.atomic_backend import AtomicLocalBackend
from mmlite.engine.resume import POINTER, damage, find_checkpoint, saved_seed
from mmlite.errors import CheckpointError


def save(path, value=0.0):
    torch.save(dict(state_dict=dict(w=torch.full((999,), value)), meta=dict(seed=5)), path)
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
    assert saved_seed(folder / 'epoch_9.pth') == 5


@pytest.mark.parametrize('text', [None, '', '/elsewhere/epoch_10.pth', 'epoch_12.pth'])
def test_without_a_right_pointer_the_newest_is_taken(text, folder):
    (folder / POINTER).unlink()
    if text is not None:
        (folder / POINTER).write_text(text)
    assert find_checkpoint(folder) == folder / 'epoch_10.pth'


def test_a_midway_checkpoint_is_newer_than_its_epoch(folder):
    (folder / POINTER).unlink()
    assert find_checkpoint(folder).name == 'epoch_10.pth'
    for name in ('epoch_10_iter_42.pth', 'epoch_9_iter_41.pth'):
        save(folder / name)
    assert find_checkpoint(folder).name == 'epoch_10_iter_42.pth'


@pytest.mark.parametrize('tenth', range(10))
def test_a_torn_file_is_named_and_the_one_before_it_taken(tenth, folder, capsys):
    torn = folder / 'epoch_10.pth'
    content = torn.read_bytes()
    torn.write_bytes(content[: len(content) * tenth // 10])
    assert find_checkpoint(folder) == folder / 'epoch_9.pth'
    (line,) = [line for line in capsys.readouterr().out.splitlines() if 'epoch_10' in line]
    assert 'is not whole (the archive is truncated): trying epoch_9.pth' in line


def test_a_changed_byte_is_seen(folder):
    file = folder / 'epoch_10.pth'
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert damage(file).startswith('check sum of ')


def test_where_none_is_whole_nothing_is_begun_anew(folder):
    for epoch in (9, 10):
        (folder / f'epoch_{epoch}.pth').write_bytes(b'PK')
    with pytest.raises(CheckpointError, match='none of the 2 checkpoints'):
        find_checkpoint(folder)


def test_a_folder_without_checkpoints(tmp_path):
    assert find_checkpoint(tmp_path) is None
    assert find_checkpoint(tmp_path / 'missing') is None


@pytest.mark.parametrize('tenth', range(10))
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
