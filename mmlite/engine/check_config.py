"""Check of a whole config before anything is built: names, keys, values, files and devices."""

import importlib.util

from mmengine import registry as root
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmlite.errors import UserError
from mmlite.utils.names import misspelled

from .checks.data import check_checkpoints, check_data
from .checks.devices import check_devices
from .checks.signatures import Accepted, accepted_keys
from .checks.types import TypeChecker, check_keys, find
from .checks.values import LOADER, check_settings, check_value, walk
from .config_file import TOP_LEVEL

NEEDED = {
    'train': ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper'),
    'test': ('model', 'test_dataloader', 'test_cfg', 'test_evaluator'),
}

STAGES = (
    ('train_dataloader', 'train_cfg', 'optim_wrapper'),
    *(
        tuple(f'{stage}_{part}' for part in ('dataloader', 'cfg', 'evaluator'))
        for stage in ('val', 'test')
    ),
)
LOGGERS = {
    f'{name}VisBackend': name.lower()
    for name in ('Aim', 'ClearML', 'DVCLive', 'MLflow', 'Neptune', 'Tensorboard', 'Wandb')
}  # class of mmengine -> the package that it needs

REGISTRIES = {
    'model': (root.MODELS, None),
    'tta_model': (root.MODELS, None),
    'data_preprocessor': (root.MODELS, None),
    'tta_pipeline': (root.TRANSFORMS, None),
    'val_cfg': (root.LOOPS, 'ValLoop'),
    'test_cfg': (root.LOOPS, 'TestLoop'),
    'param_scheduler': (root.PARAM_SCHEDULERS, None),
    'custom_hooks': (root.HOOKS, None),
    'visualizer': (root.VISUALIZERS, 'Visualizer'),
    'log_processor': (root.LOG_PROCESSORS, 'LogProcessor'),
    'model_wrapper_cfg': (root.MODEL_WRAPPERS, 'MMDistributedDataParallel'),
}  # top-level key -> registry, and the class that mmengine builds where no type is given
OF_MMENGINE = {'num_batch_per_epoch', 'disable_subprocess_warning'}
RANDOMNESS = accepted_keys(Runner.set_randomness)
LOADER_KEYS = Accepted(accepted_keys(DataLoader).names | OF_MMENGINE, closed=True)


def check_config(cfg, phase='train', data=True):
    """Refuse a resolved config at the first setting that cannot work for ``'train'`` or ``'test'``.

    With ``data``, data and checkpoint files are checked, too. The UserError, DataError or
    CheckpointError names the key of the config, what is wrong and what would be right.
    """
    _check_top_level(cfg)
    require(cfg, phase)
    _check_stages(cfg)
    _check_loggers(cfg)
    check_settings(cfg)
    check_keys(RANDOMNESS, 'the runner', cfg.get('randomness') or {}, 'randomness')
    checker = TypeChecker(cfg.get('default_scope') or 'mmengine')
    for key, (registry, default) in REGISTRIES.items():
        checker.walk(_with_type(cfg.get(key), default), key, registry)
    checker.walk(_train_loop(cfg.get('train_cfg')), 'train_cfg', root.LOOPS)
    for name, hook in (cfg.get('default_hooks') or {}).items():
        checker.walk(hook, f'default_hooks.{name}', root.HOOKS)
    wrapper = cfg.get('optim_wrapper') or {}
    # several optimizers have no ``optimizer``: their constructor knows the keys
    default = 'OptimWrapper' if 'optimizer' in wrapper else None
    checker.walk(_with_type(wrapper, default), 'optim_wrapper', root.OPTIM_WRAPPERS)
    if isinstance(name := wrapper.get('constructor'), str):
        checker.resolve(name, 'optim_wrapper.constructor', root.OPTIM_WRAPPER_CONSTRUCTORS)
    for stage in ('train', 'val', 'test'):
        loader, evaluator = f'{stage}_dataloader', f'{stage}_evaluator'
        _check_loader(checker, cfg.get(loader), loader)
        _check_evaluator(checker, cfg.get(evaluator), evaluator)
    if phase == 'train':
        _check_schedules(cfg)
    check_devices(cfg, phase, checker.scope)
    if data:
        stages = [phase, 'val'] if phase == 'train' and cfg.get('val_cfg') else [phase]
        check_data(cfg, stages)
        check_checkpoints(cfg, phase)


def check_stage_data(cfg, stage):
    """As :func:`check_config`, for the data of ``'train'``, ``'val'`` or ``'test'`` only."""
    key = f'{stage}_dataloader'
    if not cfg.get(key):
        raise UserError(f'the config has no {key}')
    check_settings(cfg)
    _check_loader(TypeChecker(cfg.get('default_scope') or 'mmengine'), cfg[key], key)
    check_data(cfg, [stage])


def _check_top_level(cfg):
    for key, value in cfg.items():
        meant = None if key in TOP_LEVEL else misspelled(key, TOP_LEVEL)
        # a variable may look like a key that takes a plain value, so only containers count
        if meant and isinstance(value, (dict, list)):
            raise UserError(f'the config has an unknown key {key!r}; did you mean {meant!r}?')


def _check_stages(cfg):
    """Refuse a stage of which a part is None, as mmengine would."""
    for keys in STAGES:
        missing = [key for key in keys if cfg.get(key) is None]
        if 0 < len(missing) < len(keys):
            raise UserError(
                f'the config has no {" and no ".join(missing)}: set all of {", ".join(keys)}, or '
                'none of them'
            )


def _check_loggers(cfg):
    """Refuse a logger of mmengine whose package is not installed."""
    for path, node in walk(cfg.get('visualizer') or {}, 'visualizer'):
        name = str(node.get('type')) if isinstance(node, dict) else ''
        package = LOGGERS.get(name.removeprefix('mmengine.'))
        if package and not importlib.util.find_spec(package):
            raise UserError(
                f'{path}.type={name} needs the package {package}: pip install {package}'
            )


def require(cfg, phase):
    """Raise a :class:`UserError` if ``cfg`` lacks what ``'train'`` or ``'test'`` needs."""
    missing = [key for key in NEEDED[phase] if cfg.get(key) is None]
    if missing:
        raise UserError(f'the config cannot {phase}: it has no {", ".join(missing)}')


def _with_type(value, default):
    """``value`` with the type that mmengine would add."""
    return {'type': default, **value} if isinstance(value, dict) and default else value


def _train_loop(value):
    """``train_cfg`` with the loop that ``by_epoch`` stands for."""
    value = dict(value or {})
    if value and ('type' in value) == ('by_epoch' in value):
        raise UserError('train_cfg needs exactly one of type=... and by_epoch=True or False')
    if 'by_epoch' in value:
        value['type'] = 'EpochBasedTrainLoop' if value.pop('by_epoch') else 'IterBasedTrainLoop'
    return value


def _check_schedules(cfg):
    """Refuse a schedule that begins after the run or after its own end, as mmengine would."""
    schedules, train = cfg.get('param_scheduler') or [], cfg.train_cfg
    for index, schedule in enumerate([schedules] if 'type' in schedules else schedules):
        if not isinstance(schedule, dict):  # several optimizers have a dict of lists
            continue
        key = f'param_scheduler.{index}'
        begin, end = schedule.get('begin', 0), schedule.get('end')
        if end is not None and end <= begin:
            raise UserError(f'{key}.end={end} must be above {key}.begin={begin}')
        length = 'max_epochs' if schedule.get('by_epoch', True) else 'max_iters'
        if end is None and train.get(length) is not None and train[length] <= begin:
            raise UserError(
                f'{key}.begin={begin}, but the run ends at train_cfg.{length}={train[length]}: '
                f'shorten it by --epochs or --iters, or lower {key}.begin and the end of the '
                'warm-up before it' + (f', param_scheduler.{index - 1}.end' if index else '')
            )


def _check_loader(checker, loader, path):
    if isinstance(loader, (list, tuple)):
        for index, item in enumerate(loader):
            _check_loader(checker, item, f'{path}.{index}')
    elif isinstance(loader, dict):
        for key in LOADER.keys() & loader.keys():
            check_value(f'{path}.{key}', loader[key], LOADER[key])
        check_keys(LOADER_KEYS, 'a data loader', loader, path)
        checker.walk(loader.get('dataset'), f'{path}.dataset', root.DATASETS)
        for key in ('sampler', 'batch_sampler'):
            checker.walk(loader.get(key), f'{path}.{key}', root.DATA_SAMPLERS)
        for key in ('collate_fn', 'worker_init_fn'):
            checker.walk(loader.get(key), f'{path}.{key}', root.FUNCTIONS)
        if loader.get('persistent_workers') and not loader.get('num_workers'):
            raise UserError(
                f'{path}.persistent_workers=True needs num_workers > 0: add {path}.'
                'persistent_workers=False to --cfg-options, or set num_workers'
            )


def _check_evaluator(checker, evaluator, path):
    """Check metrics, or an evaluator that holds them."""
    kind = evaluator.get('type', 'Evaluator') if isinstance(evaluator, dict) else None
    if kind and find(str(kind), root.EVALUATOR, checker.scope):
        own = dict(evaluator, type=kind)
        evaluator = own.pop('metrics', None)
        checker.walk(own, path, root.EVALUATOR)
        path = f'{path}.metrics'
    checker.walk(evaluator, path, root.METRICS)
