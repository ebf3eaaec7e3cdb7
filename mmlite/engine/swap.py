"""Backbones of the suite in recipes of mmdet and mmseg."""

from mmengine.config import ConfigDict

from mmlite.errors import UserError
from mmlite.models import Hiera, Swin, ViT
from mmlite.utils.names import check_known

from .config_file import load_config

CLASSES = (ViT, Hiera, Swin)
BACKBONES = {
    f'{cls.__name__.lower()}-{arch}': (cls, arch) for cls in CLASSES for arch in cls.arch_zoo
}
WINDOWS = dict(with_cls_token=False, window_size=14, global_blocks=(2, 5, 8, 11))  # of ViTDet
IMAGES = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True)
ADAMW = dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05)
WARM_UP = dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=1000)


def swap_backbone(recipe, name, checkpoint=None, **options):
    """Put ViT, Hiera or Swin into a recipe of mmdet or mmseg, within a config file.

    .. code-block:: python

        _base_ = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'
        from mmlite import swap_backbone
        model, optim_wrapper, param_scheduler = swap_backbone(_base_, 'vit-tiny')

    A :class:`~mmlite.models.SimpleFeaturePyramid` with the levels of the recipe's neck follows a
    ViT, which attends in windows in detectors; the others go into the recipe's neck. Channels of
    neck and heads follow from the backbone. Heads without a neck read the stages of these, or
    levels of the pyramid with the strides of the recipe's stages. In place of a plain ViT, ours
    has as many maps of stride 16.

    The learning rate decays by layer, at 0.8. An optimizer other than AdamW is replaced by AdamW
    with a learning rate of 1e-4 and a weight decay of 0.05, and loses its ``custom_keys``. AdamW
    keeps its settings but for the keys of the backbone. Where there is no warm-up, one of 1000
    iterations is added.

    Args:
        recipe (ConfigDict): Recipe with ``model``, ``optim_wrapper`` and ``param_scheduler``:
            ``_base_`` of the config file. It stays as it is.
        name (str): ``'vit-tiny'``, ``'vit-small'``, ``'vit-base'``, ``'hiera-tiny'``,
            ``'hiera-base'``, ``'swin-1g'`` or ``'swin-tiny'``.
        checkpoint (str, optional): Weights of the backbone. Defaults to None, random weights.
        **options: Further arguments of the backbone, e.g. ``drop_path_rate``, which is 0.1
            otherwise.

    Returns:
        tuple[ConfigDict, ConfigDict, list[dict]]: ``model``, what changes in the recipe's;
        ``optim_wrapper`` and ``param_scheduler``. ``model.update(decode_head=dict(num_classes=3))``
        changes single settings.

    Raises:
        UserError: The recipe has no backbone, or a neck that does not take its maps as a list.
    """
    check_known('name', name, BACKBONES)
    recipe = recipe.to_dict()
    if 'backbone' not in recipe.get('model', {}):
        raise UserError('swap_backbone requires a recipe with model.backbone')
    if checkpoint:
        options['init_cfg'] = dict(type='Pretrained', checkpoint=checkpoint)
    if name.startswith('vit') and recipe.get('default_scope') == 'mmdet':
        options = WINDOWS | options
    model = swap_model(recipe['model'], *BACKBONES[name], options)
    wrapper, schedule = swap_optimization(recipe)
    return ConfigDict(model), ConfigDict(wrapper), schedule


def shrink_model(recipe, base, sizes):
    """Make the model of a recipe small, within the config file of a small task.

    Args:
        recipe (str): Config file, e.g. ``'mmlite::det/retinanet_vit-tiny-sfp_8xb2-12e_coco.py'``.
        base (ConfigDict): ``_base_`` of the config file, whose data and preprocessing stay.
        sizes (list[tuple[int, int]]): Pairs of an integer of the recipe, wherever it stands, and
            what takes its place. The first pair is the number of classes.

    Returns:
        dict: ``model``, in place of the base's.
    """

    def shrink(node):
        if isinstance(node, dict):
            small = {key: shrink(value) for key, value in node.items()}
            if isinstance(weights := small.get('class_weight'), list):  # the last: no object
                small['class_weight'] = weights[: sizes[0][1]] + weights[-1:]
            return small
        if isinstance(node, list | tuple):
            return type(node)(shrink(value) for value in node)
        return numbers.get(node, node) if type(node) is int else node

    numbers = dict(sizes)
    model = shrink(load_config(recipe).model.to_dict())
    return model | dict(_delete_=True, data_preprocessor=base.model.data_preprocessor)


def swap_model(given, cls, arch, options):
    """Changes of a model: backbone, neck, channels of what reads them, normalization of images."""
    own, neck, later = given['backbone'], given.get('neck'), []
    if isinstance(neck, list):
        neck, *later = neck
    heads = {key: head for key, head in given.items() if key.endswith('head')}
    readers = [part for head in heads.values() for part in map_readers(head)]
    dim = cls.arch_zoo[arch]['embed_dims']
    widths = [dim] * 4 if cls is ViT else [dim * 2**stage for stage in range(4)]
    if own.get('patch_size', 0) > 8:
        arguments, neck, maps = beside_plain(own, neck, cls, widths)
    elif neck:
        arguments, neck, maps = beside_neck(neck, cls, widths)
    else:
        arguments, neck, maps = beside_stages(own, readers, cls, widths)
    backbone = dict(type=f'mmlite.{cls.__name__}', arch=arch, drop_path_rate=0.1, _delete_=True)
    changes = dict(backbone=backbone | arguments | options, data_preprocessor=IMAGES)
    if neck:
        replaces = dict(_delete_=True) if given.get('neck') and not later else {}
        changes['neck'] = [neck, *later] if later else neck | replaces
    if 'pretrained' in given:
        changes['pretrained'] = None
    if maps:
        for part in readers:
            rewire(part, maps)
        changes.update(heads)
    return changes


def beside_neck(neck, cls, widths):
    """Arguments of the backbone, the neck, and no other maps for the heads.

    The neck takes the last of four stages, whose strides are 4, 8, 16 and 32.
    """
    inputs = neck.get('in_channels')
    if not isinstance(inputs, list | tuple):
        raise UserError(
            f'swap_backbone requires a neck with a list of in_channels, {neck["type"]} has {inputs}'
        )
    first = 4 - len(inputs)
    if cls is not ViT:
        return dict(out_indices=tuple(range(first, 4))), neck | dict(in_channels=widths[first:]), ()
    start = first + neck.get('start_level', 0)
    count = neck.get('num_outs') or 4 - start
    return {}, pyramid(widths, start, count, neck['out_channels']), ()


def beside_stages(own, readers, cls, widths):
    """The same where heads read the stages; for each, the position and width of its new map."""
    if cls is not ViT:
        return {}, None, list(enumerate(widths))
    # a dilated stage has the level of the one before
    levels = [list(own.get('strides', (1, 2, 2, 2)))[: stage + 1].count(2) for stage in range(4)]
    used = [levels[index] for part in readers for index in maps_read(part)]
    start, count = min(used), max(used) - min(used) + 1
    return {}, pyramid(widths, start, count, 256), [(level - start, 256) for level in levels]


def beside_plain(own, neck, cls, widths):
    """The same in place of a plain ViT, whose maps all have a stride of 16."""
    maps = list(enumerate(widths))
    if cls is ViT:
        arguments = dict(final_norm=own.get('final_norm', False))
        if not isinstance(own.get('out_indices', -1), int):  # as many, spread over the 12 blocks
            step = 12 // len(own['out_indices'])
            arguments['out_indices'] = tuple(range(step - 1, 12, step))
        if neck and 'embed_dim' not in neck:
            return arguments, neck | dict(in_channels=widths), ()
        return arguments, neck and neck | dict(embed_dim=widths[0]), maps
    if not neck:
        return {}, None, maps
    scales = neck.get('scales') or neck.get('rescales') or [1] * 4
    rescale = dict(
        type='MultiLevelNeck',
        in_channels=widths,
        out_channels=neck.get('out_channels') or neck['embed_dim'],
        scales=[scale * 2**stage / 4 for stage, scale in enumerate(scales)],
    )
    return {}, rescale, ()


def pyramid(widths, start_level, num_outs, out_channels):
    """Pyramid after a ViT."""
    return dict(
        type='mmlite.SimpleFeaturePyramid', in_channels=widths[0], out_channels=out_channels,
        start_level=start_level, num_outs=num_outs,
    )  # fmt: skip


def map_readers(head):
    """Parts of a head, or of a list of heads, that read maps and have their channels."""
    if isinstance(head, list):
        return [part for item in head for part in map_readers(item)]
    if 'kernel_generate_head' in head:  # of K-Net
        return map_readers(head['kernel_generate_head'])
    return [head] if 'in_channels' in head else []


def maps_read(part):
    """Positions of the maps that a head reads."""
    if isinstance(part['in_channels'], int):
        return [part.get('in_index', -1)] + [0] * ('c1_in_channels' in part)
    return list(part.get('in_index', range(4)))


def rewire(part, maps):
    """Give a head the positions and channels of its new maps."""
    found = [maps[index] for index in maps_read(part)]
    several = not isinstance(part['in_channels'], int)
    if 'in_index' in part:
        part['in_index'] = [index for index, _ in found] if several else found[0][0]
    part['in_channels'] = [width for _, width in found] if several else found[0][1]
    if 'c1_in_channels' in part:  # of DeepLabV3+
        part['c1_in_channels'] = found[1][1]


def swap_optimization(recipe):
    """Optimizer wrapper with layer-wise decay, and schedules with a warm-up."""
    wrapper, schedule = recipe['optim_wrapper'], recipe['param_scheduler']
    schedule = schedule if isinstance(schedule, list) else [schedule]
    optimizer, rules = wrapper['optimizer'], (wrapper.get('paramwise_cfg') or {})
    rules = rules.get('custom_keys', {})
    if optimizer['type'] != 'AdamW':
        for part in schedule:
            if part.get('eta_min'):
                part['eta_min'] *= ADAMW['lr'] / optimizer['lr']
        optimizer, rules = ADAMW, {}
    wrapper.update(
        _delete_=True,
        optimizer=optimizer,
        constructor='mmlite.LayerDecayOptimWrapperConstructor',
        paramwise_cfg=dict(
            layer_decay_rate=0.8,
            flat_decay_mult=0.0,
            custom_keys={k: v for k, v in rules.items() if not k.startswith('backbone')},
        ),
    )
    schedule = [part for part in schedule if part['type'] != 'ConstantLR']  # a warm-up in one step
    if all(part['type'] != 'LinearLR' for part in schedule):
        for part in schedule:
            if part['type'] == 'PolyLR':  # the others do not depend on where they begin
                part['begin'] = WARM_UP['end']
        schedule.insert(0, WARM_UP)
    return wrapper, schedule
