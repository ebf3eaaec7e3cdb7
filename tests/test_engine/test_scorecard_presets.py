"""Presets of the scorecard: their recipes are there, and are what the preset says of them."""

import pytest
from mmengine.config import Config

from mmlite.engine.scorecard import Task, load_preset, preset_names, task_config
from mmlite.engine.sweep import parse_options

KINDS = ('mmlite.ViT', 'mmlite.Hiera')


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('name', preset_names())
def test_recipes_and_options_of_a_preset_exist(name, kind, tmp_path):
    preset = load_preset(name, kind)
    supervised = [task.supervised for task in preset.tasks]
    assert supervised == [True] + [False] * (len(preset.tasks) - 1)
    for task in preset.tasks:
        cfg = Config.fromfile(task.config)
        assert cfg.model.backbone.type == kind
        for key in parse_options(task.options):
            assert reach(cfg, key), f'{task.config} has no {key}'
        changed = task_config(task, tmp_path)
        length = changed.train_cfg.get('max_epochs') or changed.train_cfg.get('max_iters')
        assert max(schedule.end for schedule in changed.param_scheduler) == length
        assert task.minutes or (task.gmac and task.images)


def reach(cfg, key):
    """Whether a dotted key exists in a config."""
    for part in key.split('.'):
        if isinstance(cfg, list):
            cfg = dict(enumerate(cfg))
            part = int(part)
        if part not in cfg:
            return False
        cfg = cfg[part]
    return True


def test_lengths_of_the_quick_preset_are_set_by_options_alone():
    quick, whole = (load_preset(name, KINDS[0]) for name in ('shapes-quick', 'shapes'))
    assert [task.config for task in quick.tasks] == [task.config for task in whole.tasks]
    assert len(whole.seeds) == 3 and not any(task.options for task in whole.tasks)


def test_gpu_hours_count_two_operations_a_multiply_add():
    task = Task('t', 'T', None, 'm', 'm', gmac=1.0, images=3_600)
    assert task.gpu_hours(tflops=1.0) == pytest.approx(3 * 2 * 1e9 / 1e12)
    assert Task('t', 'T', None, 'm', 'm', minutes=3).gpu_hours(1.0) is None
