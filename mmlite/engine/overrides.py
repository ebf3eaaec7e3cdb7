"""Length, image size and initialization of a training, each of many keys, as one option each."""

import math

from mmlite.errors import UserError

from .checks.values import walk
from .initializations import set_init

MODEL_SIZES = ('img_size', 'pad_size_divisor', 'size', 'crop_size', 'search_size')
PIPELINE_SIZES = ('scale', 'crop_size', 'size', 'second_scale')
MASKED_PATCHES = ('num_masking_patches', 'min_num_patches', 'max_num_patches')
GRIDS = ('grid', 'input_size')  # of the masked decoder and of mask generators, in patches
CROPS = {'CropPair': 'size', 'RandomCrop': 'crop_size'}  # of ...RandomResizedCrop: 'scale'
PATCH = 16  # of ViT; a unit of Hiera and a token of Swin's last stage have two patches a side


def apply_overrides(cfg, options):
    """Apply ``--epochs``, ``--iters``, ``--image-size``, ``--init``; returns other ``options``."""
    for unit in ('epochs', 'iters'):
        if (length := options.get(f'--{unit}')) is not None:
            set_length(cfg, unit, length)
    if (size := options.get('--image-size')) is not None:
        set_image_size(cfg, size)
    if (init := options.get('--init')) is not None:
        if 'model.backbone.arch' in options:  # first: --init depends on it
            cfg.merge_from_dict({'model.backbone.arch': options['model.backbone.arch']})
            options = {k: v for k, v in options.items() if k != 'model.backbone.arch'}
        set_init(cfg, init, options.get('load_from', cfg.get('load_from')))
    return {key: value for key, value in options.items() if not key.startswith('--')}


def set_length(cfg, unit, new):
    """Train for ``new`` epochs or iterations; the schedules move along.

    Ends and milestones keep their place relative to the whole. A warm-up keeps its length unless it
    is longer than a tenth of the new training, of which it then takes its old share or a tenth,
    whichever is more. Epochs of ``custom_hooks`` (``start_epoch``, ``warm_epochs``) are scaled.
    """
    train_cfg, length = cfg.get('train_cfg') or {}, f'max_{unit}'
    if length not in train_cfg:
        other = {'epochs': 'iters', 'iters': 'epochs'}[unit]
        counted = f'train_cfg.max_{other}={train_cfg.get(f"max_{other}")}'
        raise UserError(f'--{unit} does not fit this config, which has {counted}: use --{other}')
    old = train_cfg[length]
    for owner in (train_cfg, cfg):
        if length in owner:
            owner[length] = new
    schedulers = cfg.get('param_scheduler') or []
    schedulers = schedulers if isinstance(schedulers, list) else [schedulers]
    warm_up = max([s.end for s in schedulers if _is_warm_up(s, old)], default=0)
    new_warm_up = min(warm_up, math.ceil(max(warm_up / old, 0.1) * new), new - 1)

    def moved(value):
        if value <= warm_up:
            return round(value * new_warm_up / warm_up) if warm_up else 0
        return min(new, max(new_warm_up + 1, round(value * new / old)))

    for scheduler in schedulers:
        for key in ('begin', 'end'):
            if isinstance(scheduler.get(key), int):
                scheduler[key] = moved(scheduler[key])
        if 'milestones' in scheduler:
            scheduler.milestones = [moved(value) for value in scheduler.milestones]
        if isinstance(scheduler.get('T_max'), int):
            scheduler.T_max = max(1, round(scheduler.T_max * new / old))
    if schedulers:  # less a warm-up of no length
        cfg.param_scheduler = [s for s in schedulers if s.get('end', new) > s.get('begin', 0)]
    for hook in cfg.get('custom_hooks') or []:
        for key in ('start_epoch', 'warm_epochs'):
            if unit == 'epochs' and key in hook:
                hook[key] = round(hook[key] * new / old)


def set_image_size(cfg, size):
    """Train and test with training crops of ``size`` pixels, a multiple of the patches.

    What equals the old side, or follows from it, is scaled: crops, resizing, padding and sliding
    windows, template and search region of trackers, positions that the model stores, the decoder's
    grid, and attention windows where the image shrinks.
    """
    loaders = [cfg.get(f'{stage}_dataloader') for stage in ('train', 'val', 'test')]
    pipelines = [loader.dataset for loader in loaders if loader]
    old = _crop_size(pipelines[:1]) or cfg.model.get('backbone', {}).get('img_size')
    kind = cfg.model.get('backbone', {}).get('type', '')
    step = 2 * PATCH if kind.endswith(('Hiera', 'Swin')) else PATCH
    if old is None:
        raise UserError('--image-size finds no crop of fixed size in the training pipeline')
    if size % step:
        raise UserError(f'--image-size must be a multiple of {step} (got {size})')
    ratio = size / old

    def scaled(value):
        if isinstance(value, (list, tuple)):
            return type(value)(scaled(item) for item in value)
        return round(value * ratio)

    for node in _dicts([*pipelines, cfg.get('tta_pipeline') or []]):
        for key in PIPELINE_SIZES:
            if _is_size(node.get(key)):
                node[key] = scaled(node[key])
    for node in _dicts([*pipelines, cfg.model]):
        for key in GRIDS:
            if node.get(key) in (old // PATCH, (old // PATCH,) * 2, [old // PATCH] * 2):
                node[key] = scaled(node[key])
        for key in MASKED_PATCHES:
            if node.get(key):
                node[key] = round(node[key] * ratio**2)
    for node in _dicts(cfg.model):
        for key, value in node.items():
            if key in MODEL_SIZES and value in (old, (old, old), [old, old]):
                node[key] = scaled(value)
            elif key == 'template_size' or key == 'stride' and node.get('mode') == 'slide':
                node[key] = scaled(value)
            elif key == 'window_size' and value and ratio < 1:
                node[key] = max(1, scaled(value))
    for key in ('image_size', 'image_scale', 'crop_size'):
        if key in cfg:
            cfg[key] = scaled(cfg[key])


def _is_warm_up(scheduler, length):
    start = scheduler.get('begin', 0) == 0
    return start and scheduler.type == 'LinearLR' and scheduler.get('end', length) < length


def _is_size(value):
    """Whether a value is a size in pixels: an integer or integers, not a range of ratios."""
    items = value if isinstance(value, (list, tuple)) else [value]
    return bool(items) and all(type(item) is int for item in items)


def _crop_size(datasets):
    """Side of the first square crop of a pipeline in pixels."""
    for node in _dicts(datasets):
        name = str(node.get('type')).rpartition('.')[2]
        crop = node.get('search') if name == 'CropPair' else node
        value = crop.get('scale' if name.endswith('ResizedCrop') else CROPS.get(name))
        if value is not None:
            return max(value) if isinstance(value, (list, tuple)) else value
    return None


def _dicts(node):
    """All dicts of a config, nested ones included, each object once."""
    return {id(item): item for _, item in walk(node, '') if isinstance(item, dict)}.values()
