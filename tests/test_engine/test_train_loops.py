"""What the training loops do when they resume; that nothing changes is tested in test_faults."""

import pytest
import tiny
import tiny_pretrain
import torch
from run_tool import run_tool

SAVING = """
default_hooks = dict(
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2, max_keep_ckpts=9)
)
train_dataloader['batch_size'] = 2
"""
PLAIN = """
default_hooks.update(checkpoint=dict(
    type='CheckpointHook', by_epoch={by_epoch}, interval=1, max_keep_ckpts=1
))
train_cfg = {train_cfg}
"""
LOOPS = {
    'epochs': (True, "dict(type='EpochBasedTrainLoop', max_epochs=2, val_interval=1)"),
    'iterations': (False, "dict(type='IterBasedTrainLoop', max_iters=4, val_interval=2)"),
    'neither': (True, 'dict(by_epoch=True, max_epochs=2, val_interval=1)'),
}


def test_the_middle_of_an_epoch_needs_an_epoch_of_as_many_steps(tmp_path, capsys):
    config = tiny_pretrain.write_recipe(tmp_path, SAVING)
    assert run_tool('train', config, '--work-dir', tmp_path / 'work') == 0
    assert torch.load(tmp_path / 'work/iter_2.pth', weights_only=True)['meta']['epoch'] == 0
    args = ('--resume', tmp_path / 'work/iter_2.pth', '--work-dir', tmp_path / 'other')
    options = ('--cfg-options', 'train_dataloader.batch_size=1')
    assert run_tool('train', config, *args, *options) == 1
    assert 'saved after 2 of 3 steps of an epoch, but an epoch has 6' in capsys.readouterr().err


@pytest.mark.parametrize(('by_epoch', 'train_cfg'), LOOPS.values(), ids=LOOPS)
def test_validation_that_was_due_is_made_up_for(by_epoch, train_cfg, tmp_path, capfd):
    extra = PLAIN.format(by_epoch=by_epoch, train_cfg=train_cfg)
    config = tiny.write_detector(tmp_path, extra=extra)
    args = ('train', config, '--work-dir', tmp_path / 'work')
    assert run_tool(*args) == 0
    whole = capfd.readouterr().out
    assert whole.count('coco/bbox_mAP: ') == 2
    assert run_tool(*args, '--resume') == 0
    resumed = capfd.readouterr().out
    assert resumed.count('coco/bbox_mAP: ') == 1
    assert 'Saving checkpoint' in whole and 'Saving checkpoint' not in resumed
