"""What the command line makes of a config."""

import json
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
import tiny
import torch
from mmengine.config import Config

from mmlite.engine import launch
from mmlite.errors import CheckpointError, UserError


@pytest.fixture
def cfg():
    return Config(
        dict(
            default_scope='mmdet',
            model=dict(type='RetinaNet', backbone=dict(norm_cfg=dict(type='SyncBN'))),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
            test_dataloader=dict(dataset=dict(dataset=dict(pipeline=['plain']))),
            test_cfg={},
            test_evaluator=dict(type='CocoMetric'),
        )
    )


def write(folder, text):
    (folder / 'c.py').write_text(text)
    return folder / 'c.py'


def test_work_dir_comes_from_the_command_line_the_config_or_its_name(tmp_path):
    path = write(tmp_path, "work_dir = 'mine'")
    assert launch.read_config(path, work_dir='given').work_dir == 'given'
    assert launch.read_config(path).work_dir == 'mine'
    assert launch.read_config(write(tmp_path, '')).work_dir == './work_dirs/c'


@pytest.mark.parametrize(
    ('hooks', 'used'),
    [
        ('', 'mmlite.CheckpointHook'),
        ("checkpoint=dict(type='CheckpointHook', interval=3)", 'mmlite.CheckpointHook'),
        ("checkpoint=dict(type='mine.CheckpointHook', interval=3)", 'mine.CheckpointHook'),
        ('checkpoint=None', None),
    ],
)
def test_stock_checkpoint_hooks_are_replaced(hooks, used, tmp_path):
    hook = launch.read_config(write(tmp_path, f'default_hooks = dict({hooks})')).default_hooks
    assert (hook.checkpoint and hook.checkpoint.type) == used
    if 'interval' in hooks:
        assert hook.checkpoint.interval == 3


def test_loaders_of_mmpretrain_get_what_its_tools_add(tmp_path):
    text = 'train_dataloader = dict(num_workers=%d)\nval_dataloader = dict(collate_fn=1)'
    cfg = launch.read_config(write(tmp_path, f"default_scope = 'mmpretrain'\n{text % 2}"))
    assert cfg.train_dataloader.collate_fn == dict(type='default_collate')
    assert cfg.train_dataloader.persistent_workers
    assert cfg.val_dataloader.collate_fn == 1
    assert not cfg.val_dataloader.persistent_workers
    cfg = launch.read_config(write(tmp_path, f"default_scope = 'mmdet'\n{text % 2}"))
    assert cfg.train_dataloader == dict(num_workers=2)


def test_amp_and_back(cfg):
    launch.set_amp(cfg, True)
    assert cfg.optim_wrapper.type == 'AmpOptimWrapper'
    assert cfg.optim_wrapper.loss_scale == 'dynamic'
    cfg.optim_wrapper.dtype = 'bfloat16'
    launch.set_amp(cfg, False)
    assert cfg.optim_wrapper == dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1))
    cfg.optim_wrapper.type = 'ApexOptimWrapper'
    with pytest.raises(UserError, match="--amp knows OptimWrapper .* not 'ApexOptimWrapper'"):
        launch.set_amp(cfg, True)


def test_auto_scale_lr_is_turned_on(cfg):
    cfg.auto_scale_lr = dict(enable=False, base_batch_size=64)
    launch.set_auto_scale_lr(cfg)
    assert cfg.auto_scale_lr == dict(enable=True, base_batch_size=64)


def test_the_learning_rate_counts_accumulated_iterations():
    scaled, wrapper = [], SimpleNamespace(_accumulative_counts=8)
    runner = SimpleNamespace(scale_lr=lambda _, auto: scaled.append(auto), logger=Mock())
    launch._count_accumulation(runner)
    runner.scale_lr(wrapper, None)
    runner.scale_lr(wrapper, dict(enable=True, base_batch_size=16))
    assert scaled == [dict(enable=True, base_batch_size=2)]


def choose(cfg, resume=None, **settings):
    """What a run starts from, and its seed."""
    cfg.merge_from_dict(dict(launcher='none', **settings))
    if resume:
        launch.set_resume(cfg, resume)
    launch._choose_checkpoint(cfg)
    seed = (cfg.get('randomness') or {}).get('seed')
    return cfg.get('load_from'), bool(cfg.get('resume')), seed


@pytest.mark.parametrize('found', [True, False])
@pytest.mark.parametrize('restarted', [True, False])
@pytest.mark.parametrize('resume', [None, 'auto', 'file'])
def test_resuming_keeps_load_from_where_no_checkpoint_is_found(
    resume, restarted, found, cfg, tmp_path, monkeypatch
):
    monkeypatch.setenv('TORCHELASTIC_RESTART_COUNT', str(int(restarted)))
    files = [str(tmp_path / name) for name in ('start.pth', 'given.pth', 'work/iter_3.pth')]
    start, given, latest = files
    (tmp_path / 'work').mkdir()
    for seed, file in enumerate(files):
        if file != latest or found:
            torch.save(dict(state_dict={}, meta=dict(seed=seed)), file)
    want = dict(auto=(start, False, None), file=(given, True, 1)).get(resume, (start, False, None))
    if found and (restarted or resume == 'auto'):
        want = latest, True, 2
    option = given if resume == 'file' else resume
    work_dir = str(tmp_path / 'work')
    assert choose(cfg, option, work_dir=work_dir, load_from=start) == want


def test_only_the_first_process_chooses_a_checkpoint(cfg, tmp_path, monkeypatch):
    sent = []
    monkeypatch.setattr(launch, 'is_main_process', lambda: False)
    monkeypatch.setattr(launch, 'find_checkpoint', lambda folder: pytest.fail('looks itself'))
    monkeypatch.setattr(launch, 'broadcast_object_list', lambda data: data.__setitem__(0, sent[0]))
    sent[:] = [('x.pth', True, 7)]
    assert choose(cfg, 'auto', work_dir=str(tmp_path)) == sent[0]
    sent[:] = [CheckpointError('all 2 checkpoints are damaged')]
    with pytest.raises(CheckpointError, match='all 2 checkpoints'):
        choose(cfg, 'auto')


def test_tta_wraps_model_and_pipeline(cfg):
    with pytest.raises(UserError, match='--tta needs tta_model and tta_pipeline in the config'):
        launch.set_tta(cfg)
    cfg.tta_model = dict(type='DetTTAModel', tta_cfg=dict(a=1))
    with pytest.raises(UserError, match='--tta needs tta_pipeline in the config'):
        launch.set_tta(cfg)
    cfg.tta_pipeline = ['augmented']
    inner = cfg.model
    cfg.model = dict(inner, roi_head=dict(mask_head=dict(type='FCNMaskHead')))
    with pytest.raises(UserError, match='DetTTAModel merges boxes only'):
        launch.set_tta(cfg)
    cfg.model = inner
    launch.set_tta(cfg)
    assert cfg.model == dict(type='DetTTAModel', tta_cfg=dict(a=1), module=inner)
    assert cfg.test_dataloader.dataset.dataset.pipeline == ['augmented']


@pytest.mark.parametrize(
    ('scope', 'evaluator', 'types'),
    [
        ('mmdet', dict(type='A'), ['A', 'mmdet.DumpDetResults']),
        ('mmseg', [dict(type='A'), dict(type='B')], ['A', 'B', 'mmlite.DumpSegResults']),
        ('mmlite', dict(type='Evaluator', metrics=dict(type='A')), ['A', 'DumpResults']),
    ],
)
def test_predictions_are_dumped_beside_the_metrics(scope, evaluator, types, cfg):
    cfg.default_scope = scope
    cfg.test_evaluator = evaluator
    launch.set_dump(cfg, 'p.pkl')
    found = cfg.test_evaluator
    metrics = found.metrics if isinstance(found, dict) else found
    assert [m['type'] for m in metrics] == types
    assert metrics[-1]['out_file_path'] == 'p.pkl'


DRAWN = dict(type='mmdet.DetVisualizationHook', draw=True, score_thr=0.5)


@pytest.mark.parametrize(
    ('scope', 'loop', 'expected'),
    [
        ('mmdet', 'TestLoop', dict(type='mmlite.PredictionHook', hook=DRAWN)),
        ('mmseg', 'TestLoop', dict(type='mmlite.SegPredictionHook')),  # ours has no score_thr
        ('mmengine', 'mmlite.SequenceTestLoop', dict(type='mmlite.TrackSheetHook')),
        ('mmlite', 'TestLoop', None),
    ],
)
def test_predictions_are_drawn_by_the_hook_of_the_scope(scope, loop, expected, cfg, tmp_path):
    cfg.default_scope = scope
    cfg.test_cfg = dict(type=loop)
    cfg.default_hooks = dict(visualization=dict(type='Other', score_thr=0.5))
    if expected is None:
        with pytest.raises(UserError, match=f"cannot draw for default_scope='{scope}', only"):
            launch.set_show_dir(cfg, 'out')
        return
    launch.set_show_dir(cfg, tmp_path / 'out')
    assert cfg.default_hooks.visualization == dict(expected, out_dir=str(tmp_path / 'out'))
    drawn = scope == 'mmdet'  # by stock hooks, which need a visualizer of samples
    assert cfg.get('visualizer') == (dict(type='mmdet.DetLocalVisualizer') if drawn else None)


@pytest.fixture
def on_cpu(monkeypatch):
    monkeypatch.setattr(launch, 'get_device', lambda: 'cpu')


def test_distributed_runs_on_cpu_use_gloo(tmp_path, on_cpu):
    path = write(
        tmp_path,
        "find_unused_parameters = True\nenv_cfg = dict(dist_cfg=dict(backend='nccl', timeout=9))",
    )
    assert 'model_wrapper_cfg' not in launch.read_config(path)
    cfg = launch.read_config(path, launcher='pytorch')
    assert cfg.env_cfg.dist_cfg == dict(backend='gloo', timeout=9)
    assert cfg.model_wrapper_cfg.device_ids is None
    assert cfg.model_wrapper_cfg.find_unused_parameters
    assert cfg.model_wrapper_cfg.type == 'mmlite.CPUDistributedDataParallel'


def test_nccl_needs_cuda(tmp_path, on_cpu):
    options = {'env_cfg.dist_cfg.backend': 'nccl'}
    with pytest.raises(UserError, match='backend=nccl needs CUDA, but torch sees no GPU'):
        launch.read_config(write(tmp_path, ''), launcher='pytorch', cfg_options=options)


def test_a_work_dir_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    path = tiny.write_detector(tmp_path)
    monkeypatch.setattr('os.access', lambda path, mode: False)
    cfg = launch.read_config(path, work_dir=str(tmp_path / 'below_it'))
    with pytest.raises(UserError, match=rf'cannot be written: {tmp_path} is not writable'):
        launch.train(cfg)


@pytest.mark.parametrize('value', [float('nan'), np.float32('nan'), np.float64('-inf'), 0.5])
def test_metrics_are_strict_json(value, cfg, tmp_path, monkeypatch):
    loop = SimpleNamespace(dataloader=SimpleNamespace())
    runner = SimpleNamespace(test_loop=loop, test=lambda: {'coco/AP': value})
    monkeypatch.setattr(launch, '_build_runner', lambda *args: runner)
    monkeypatch.setattr(launch, 'keep_workers', lambda loader: None)
    cfg.default_hooks = {}
    launch.test(cfg, tmp_path / 'metrics.json')
    written = json.loads((tmp_path / 'metrics.json').read_text())
    assert written == {'coco/AP': value if value == 0.5 else None}
