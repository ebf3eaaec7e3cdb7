"""Run an mmengine Runner from a config file and command-line options, for every task."""

import os
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from mmengine.config import ConfigDict
from mmengine.device import get_device
from mmengine.dist import broadcast_object_list, init_dist, is_main_process
from mmengine.logging import print_log
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from mmengine.utils.dl_utils import set_multi_processing

from mmlite import __version__, stack
from mmlite.errors import DataError, UserError
from mmlite.utils import write_json

from .check_config import check_config, require
from .checkpointing import find_checkpoint, saved_seed, to_plain
from .checks.data import datasets
from .checks.values import walk
from .cli import check_out_folder, report_errors_once
from .config_file import load_config
from .datasets import judge_loaders, judged
from .hooks.fit import optim_wrappers
from .loops import keep_workers

# scope -> the stock hook that draws predictions, None for our own
DRAWING_HOOKS = {
    'mmdet': dict(type='mmdet.DetVisualizationHook', draw=True),
    'mmseg': None,
    'mmpretrain': dict(type='mmpretrain.VisualizationHook', enable=True, interval=1),
}
VISUALIZERS = dict(mmdet='mmdet.DetLocalVisualizer', mmpretrain='mmpretrain.UniversalVisualizer')
# scope -> the metric that writes predictions to a file, if it is not DumpResults
DUMPS = {'mmdet': 'mmdet.DumpDetResults', 'mmseg': 'mmlite.DumpSegResults'}
MASK_PARTS = ('.mask_head', '.loss_mask', '.panoptic_head')  # of a model that predicts masks
# compares the checkpoint that a run starts from with the model
FIT = dict(type='mmlite.CheckpointFitHook', whole=True)


def read_config(config, work_dir=None, cfg_options=None, launcher='none'):
    """Load a config and apply the command-line options that concern every phase."""
    cfg = load_config(config, cfg_options)
    cfg.launcher = launcher
    work_dir = work_dir or cfg.get('work_dir') or f'./work_dirs/{Path(config).stem}'
    cfg.work_dir = os.path.expanduser(work_dir)
    _fill_loaders(cfg)
    hooks = cfg.setdefault('default_hooks', ConfigDict())
    hooks.setdefault('checkpoint', ConfigDict(type='mmlite.CheckpointHook', interval=1))
    if launcher != 'none' and get_device() == 'cpu':
        if (cfg_options or {}).get('env_cfg.dist_cfg.backend') == 'nccl':
            wrong = 'env_cfg.dist_cfg.backend=nccl needs CUDA, but torch sees no GPU'
            raise UserError(f'{wrong}: leave it out to use gloo')
        _use_gloo(cfg)
    return cfg


def train(cfg):
    """Check a config of :func:`read_config` and train; returns the runner."""
    if (cfg.get('auto_scale_lr') or {}).get('enable'):
        set_auto_scale_lr(cfg)
    _choose_checkpoint(cfg)
    fit = dict(FIT, whole=bool(cfg.get('resume')))
    _add_hooks(cfg, fit, dict(type='mmlite.FiniteHook'), dict(type='mmlite.StopHook'))
    runner = _build_runner(cfg, 'train')
    runner.train()
    return runner


def test(cfg, out=None):
    """Check a config of :func:`set_test` and evaluate; returns metrics and writes them to ``out``.

    NaN is ``null`` there. On the main process, a DataError after the evaluation says that a part
    of the data was left out.
    """
    _add_hooks(cfg, FIT)
    runner = _build_runner(cfg, 'test')
    keep_workers(runner.test_loop.dataloader)
    metrics = runner.test()
    if is_main_process():
        if out:
            write_json(out, to_plain(metrics, 'metrics'))
        problem = getattr(runner.test_loop, 'problem', None)
        if problem:
            raise DataError(problem)
    return metrics


def set_amp(cfg, enable):
    """``--amp`` and ``--no-amp``: switch between ``AmpOptimWrapper`` and ``OptimWrapper``."""
    wrapper = cfg.get('optim_wrapper') or {}
    name = wrapper.get('type', 'OptimWrapper')
    if name not in ('OptimWrapper', 'AmpOptimWrapper'):
        option = '--amp' if enable else '--no-amp'
        raise UserError(f'{option} knows OptimWrapper and AmpOptimWrapper, not {name!r}')
    wrapper['type'] = 'AmpOptimWrapper' if enable else 'OptimWrapper'
    if enable:
        wrapper.setdefault('loss_scale', 'dynamic')
    else:
        for key in ('loss_scale', 'dtype', 'use_fsdp'):
            wrapper.pop(key, None)
    cfg.optim_wrapper = wrapper


def set_auto_scale_lr(cfg):
    """``--auto-scale-lr``: scale the learning rate by the total over the base batch size."""
    if not (cfg.get('auto_scale_lr') or {}).get('base_batch_size'):
        raise UserError(
            '--auto-scale-lr needs auto_scale_lr=dict(base_batch_size=...) in the config: the '
            'total batch size that its learning rate is meant for'
        )
    cfg.auto_scale_lr.enable = True


def set_resume(cfg, resume):
    """``--resume``: from a file, or ``'auto'``, the latest checkpoint of the work_dir if any."""
    cfg.resume = 'auto' if resume == 'auto' else True
    if resume != 'auto':
        cfg.load_from = resume


def set_test(cfg, checkpoint):
    """Evaluate ``checkpoint``, whatever the config would load."""
    require(cfg, 'test')
    cfg.load_from = str(checkpoint)
    cfg.resume = False


def set_tta(cfg):
    """``--tta``: wrap the model in ``tta_model`` and test with ``tta_pipeline``."""
    missing = [key for key in ('tta_model', 'tta_pipeline') if not cfg.get(key)]
    if missing:
        raise UserError(f'--tta needs {" and ".join(missing)} in the config')
    masks = any(path.endswith(MASK_PARTS) and part for path, part in walk(cfg.model, 'model'))
    if masks and cfg.tta_model.type in ('DetTTAModel', 'mmdet.DetTTAModel'):
        raise UserError('--tta: DetTTAModel merges boxes only, and this model predicts masks, too')
    cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)
    for _, dataset in datasets(cfg, 'test'):
        dataset.pipeline = cfg.tta_pipeline


def set_dump(cfg, out):
    """``--out FILE.pkl``: also write the predictions (masks as RLE, segmentation as labels)."""
    kind = DUMPS.get(cfg.get('default_scope'), 'DumpResults')
    nested = isinstance(cfg.test_evaluator, dict) and 'metrics' in cfg.test_evaluator
    owner, key = (cfg.test_evaluator, 'metrics') if nested else (cfg, 'test_evaluator')
    metrics = owner[key] if isinstance(owner[key], (list, tuple)) else [owner[key]]
    owner[key] = [*metrics, ConfigDict(type=kind, out_file_path=str(out))]


def set_show_dir(cfg, directory):
    """``--show-dir``: draw every prediction with the hook of the scope, or of the tracking loop."""
    scope = cfg.get('default_scope')
    directory = os.path.abspath(directory)
    hooks = cfg.setdefault('default_hooks', ConfigDict())
    if str((cfg.get('test_cfg') or {}).get('type')).endswith('SequenceTestLoop'):
        hooks.visualization = ConfigDict(type='mmlite.TrackSheetHook', out_dir=directory)
        return
    if scope not in DRAWING_HOOKS:
        only = f'only for {", ".join(DRAWING_HOOKS)} and trackers'
        raise UserError(f'--show-dir cannot draw for default_scope={scope!r}, {only}')
    stock, drawing = DRAWING_HOOKS[scope], dict(type='mmlite.SegPredictionHook')
    if stock:
        hook = {**(hooks.get('visualization') or {}), **stock}  # e.g. with score_thr
        drawing = dict(type='mmlite.PredictionHook', hook=hook)
        visualizer = cfg.get('visualizer') or {}
        if visualizer.get('type', 'Visualizer') == 'Visualizer':  # which draws no samples
            cfg.visualizer = ConfigDict(visualizer, type=VISUALIZERS[scope])
    hooks.visualization = ConfigDict(drawing, out_dir=directory)


def _add_hooks(cfg, *hooks):
    """Add hooks of every run; a config that lists one of them sets its arguments."""
    own = list(cfg.get('custom_hooks') or [])
    listed = [hook.get('type') for hook in [*own, *filter(None, cfg.default_hooks.values())]]
    added = [ConfigDict(hook) for hook in hooks if hook['type'] not in listed]
    cfg.custom_hooks = [*own, *added]


def _choose_checkpoint(cfg):
    """Let rank 0 choose the checkpoint, whose seed is needed before the data loaders are built."""
    if not cfg.get('resume') and not _restarted():
        return
    _join_processes(cfg)
    choice = [None]
    if is_main_process():
        try:
            choice = [_find_checkpoint(cfg)]
        except UserError as error:
            choice = [error]
    broadcast_object_list(choice)
    with report_errors_once(cfg.launcher):
        if isinstance(choice[0], UserError):
            raise choice[0]
    cfg.load_from, cfg.resume, seed = choice[0]
    if seed is not None:
        cfg.setdefault('randomness', ConfigDict()).seed = seed


def _find_checkpoint(cfg):
    """``load_from``, ``resume`` and the seed of a run that is to be resumed."""
    source, resume = cfg.get('load_from'), cfg.get('resume')
    if _restarted() or resume == 'auto' or source is None:
        found = find_checkpoint(cfg.work_dir)
        if found:
            source, resume = str(found), True
        elif resume == 'auto' or source is None:
            resume = False
    readable = resume and os.path.isfile(source)
    return source, bool(resume), saved_seed(source) if readable else None


def _restarted():
    """Whether torch's launcher has replaced a process, which then resumes by itself."""
    return int(os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)) > 0


def _build_runner(cfg, phase):
    with report_errors_once(cfg.launcher):
        check_config(cfg, phase)
        # fail before training rather than at the first checkpoint
        check_out_folder('work_dir', cfg.work_dir)
    os.makedirs(cfg.work_dir, exist_ok=True)
    if get_device() == 'cpu':
        _join_processes(cfg)
    try:
        runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    except Exception:
        with report_errors_once(cfg.launcher):  # of a model that cannot have its num_classes
            list(judged(cfg, [phase]))
        raise
    judge_loaders(runner)
    _count_accumulation(runner)
    runner.logger.info(f'mmlite {__version__}: {"; ".join(stack.changes())}')
    return runner


def _count_accumulation(runner):
    """Scale the learning rate by the images of an optimizer step, which may take iterations."""
    scale = runner.scale_lr

    def scale_lr(optim_wrapper, auto_scale_lr=None):
        if not (auto_scale_lr or {}).get('enable'):
            return
        for wrapper in optim_wrappers(optim_wrapper):
            base, count = auto_scale_lr['base_batch_size'], wrapper._accumulative_counts
            if count > 1:
                runner.logger.info(f'{count} iterations a step: base {base} / {count} each')
            scale(wrapper, dict(auto_scale_lr, base_batch_size=base / count))

    runner.scale_lr = scale_lr


def _fill_loaders(cfg):
    """Set what mmpretrain's configs leave to its tools."""
    if cfg.get('default_scope') != 'mmpretrain':
        return
    for stage in ('train', 'val', 'test'):
        loader = cfg.get(f'{stage}_dataloader')
        if loader:
            loader.setdefault('pin_memory', torch.cuda.is_available())
            loader.setdefault('persistent_workers', bool(loader.get('num_workers')))
            loader.setdefault('collate_fn', dict(type='default_collate'))


def _use_gloo(cfg):
    """Set the backend of a distributed run on CPUs, and DDP without device ids."""
    cfg.setdefault('env_cfg', ConfigDict()).setdefault('dist_cfg', ConfigDict()).backend = 'gloo'
    wrapper = cfg.get('model_wrapper_cfg') or ConfigDict(
        type='MMDistributedDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )
    cfg.model_wrapper_cfg = ConfigDict({**wrapper, 'device_ids': None})
    if cfg.model_wrapper_cfg.type == 'MMDistributedDataParallel':
        cfg.model_wrapper_cfg.type = 'mmlite.CPUDistributedDataParallel'


def _join_processes(cfg):
    """Join the process group of a distributed run, which the runner would do later."""
    if cfg.launcher == 'none' or dist.is_initialized():
        return
    env = cfg.get('env_cfg') or {}
    if get_device() != 'cpu':
        set_multi_processing(**env.get('mp_cfg', {}), distributed=True)
        init_dist(cfg.launcher, **env.get('dist_cfg', {}))
        return
    if cfg.launcher != 'pytorch':
        raise UserError(
            f'--launcher {cfg.launcher} needs a GPU for each process: on CPUs, use tools/dist_*.sh'
        )
    # mmengine's way sets a CUDA device first
    timeout = cfg.env_cfg.dist_cfg.get('timeout')
    dist.init_process_group('gloo', timeout=timeout and timedelta(seconds=timeout))
    print_log('No GPU: distributed processes communicate by gloo.', logger='current')
