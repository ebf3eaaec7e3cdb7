"""Which backbone weights belong to: read off their shapes, built, and compared."""

import inspect
import math
import re

import torch

from mmlite.errors import CheckpointError, UserError
from mmlite.models import SimpleFeaturePyramid

#: Heads of a ViT by its width, as the code of each source builds it: shapes do not tell.
VIT_HEADS = {
    'mae-lite': {192: 12, 384: 12, 768: 12},
    'mae': {768: 12, 1024: 16, 1280: 16},
    'deit': {192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16},
    'timm': {192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16},
    'ostrack': {192: 12, 384: 12, 768: 12, 1024: 16},
    'vitdet': {192: 12, 384: 12, 768: 12, 1024: 16, 1280: 16},
}
#: Heads of Hiera's first stage by its width, wherever the file is from.
HIERA_HEADS = {46: 1, 96: 1, 112: 2, 144: 2, 256: 4}


def shape_of(state, name, ndim):
    """Shape of a weight that every backbone has.

    Raises:
        CheckpointError: If it is missing or has another number of axes than ``ndim``.
    """
    if name not in state:
        raise CheckpointError(f"'{name}' is not in it: it is cut short or of another architecture")
    shape = tuple(state[name].shape)
    if len(shape) != ndim:
        raise CheckpointError(f"'{name}' has shape {shape} where {ndim} axes are expected")
    return shape


def bias_table(state):
    """Shape (rows, heads) of the first table of relative positions, None without one."""
    names = (name for name in state if name.endswith('.relative_position_bias_table'))
    name = next(names, None)
    return name and shape_of(state, name, 2)


def table_side(table):
    """Side of the token grid of a table of relative positions of shape ((2 side - 1)^2 + 3, _)."""
    return (math.isqrt(max(table[0] - 3, 0)) + 1) // 2


def vit_arguments(state, source, heads):
    """Arguments of the :class:`mmlite.ViT` that weights belong to, read off their shapes.

    Args:
        state (dict[str, Tensor]): Weights by their new names.
        source (str): Where they are from.
        heads (int, optional): Number of heads, if the user gave it.

    Returns:
        tuple[dict, str]: The arguments, and where the number of heads is known from.

    Raises:
        UserError: If the number of heads is unknown or contradicted.
        CheckpointError: If a weight is missing or has another number of axes.
    """
    dim, channels, patch, _ = shape_of(state, 'backbone.patch_embed.proj.weight', 4)
    stored = grid = math.isqrt(shape_of(state, 'backbone.pos_embed', 3)[1] - 1)
    told, rel_pos, windows = None, None, {}
    lengths = _decomposed_lengths(state)
    if lengths:
        told = dim // state['backbone.blocks.0.attn.rel_pos_h'].shape[1]
        rel_pos, grid = 'decomposed', max(lengths)
        if min(lengths) < grid:
            global_blocks = tuple(i for i, length in enumerate(lengths) if length == grid)
            windows = dict(window_size=min(lengths), global_blocks=global_blocks)
    elif bias_table(state):
        told = bias_table(state)[1]
        rel_pos, grid = 'bias', table_side(bias_table(state))
    heads, heads_from = _count_heads(heads, told, VIT_HEADS.get(source, {}), dim, source)
    kwargs = dict(
        arch=_arch(state, dim, _depth(state), heads),
        img_size=grid * patch,
        pretrain_img_size=None if stored == grid else stored * patch,
        patch_size=patch,
        in_channels=channels,
        with_cls_token='backbone.cls_token' in state,
        rel_pos=rel_pos,
        **windows,
        layer_scale_init_value=1.0 if 'backbone.blocks.0.ls1.gamma' in state else None,
    )
    return kwargs, heads_from


def hiera_arguments(state, source, heads):
    """Arguments of the :class:`mmlite.Hiera` that weights belong to, as :func:`vit_arguments`."""
    dim, channels = shape_of(state, 'backbone.patch_embed.proj.weight', 4)[:2]
    heads, heads_from = _count_heads(heads, None, HIERA_HEADS, dim, source)
    depth = _depth(state)
    starts = [i for i in range(depth) if f'backbone.blocks.{i}.proj.weight' in state]
    depths = tuple(b - a for a, b in zip([0, *starts], [*starts, depth], strict=True))
    kwargs = dict(
        arch=_arch(state, dim, depths, heads),
        img_size=4 * math.isqrt(shape_of(state, 'backbone.pos_embed', 3)[1]),
        in_channels=channels,
    )
    return kwargs, heads_from


def _arch(state, dim, depth, heads):
    hidden = shape_of(state, 'backbone.blocks.0.mlp.fc1.weight', 2)[0]
    ratio = hidden / dim if hidden % dim else hidden // dim
    return dict(embed_dims=dim, num_layers=depth, num_heads=heads, mlp_ratio=ratio)


def _depth(state):
    blocks = [int(name.split('.')[2]) for name in state if name.startswith('backbone.blocks.')]
    return 1 + max(blocks, default=-1)


def _decomposed_lengths(state):
    """Sides of the grids that the decomposed tables of the blocks are for; empty without tables."""
    names = [f'backbone.blocks.{index}.attn.rel_pos_h' for index in range(_depth(state))]
    if not any(name in state for name in names):
        return []
    return [(shape_of(state, name, 2)[0] + 1) // 2 for name in names]


def _count_heads(given, told, usual, dim, source):
    """Number of heads, and where it is known from."""
    if None not in (given, told) and given != told:
        raise UserError(f'heads={given} cannot be: its relative positions are made for {told}')
    if given is not None:
        heads, known_from = given, 'option'
    elif told is not None:
        heads, known_from = told, 'relative position tables'
    elif dim in usual:
        heads, known_from = usual[dim], f'what {source} builds with {dim} channels'
    else:
        raise UserError(
            f'how many heads {source} builds with {dim} channels is not known: give them (--heads)'
        )
    if heads < 1 or dim % heads:
        raise UserError(f'heads={heads} cannot be: it does not divide the {dim} channels')
    return heads, known_from


def check_weights(state, cls, kwargs):
    """Build the models that weights are meant for, and compare the weights with theirs.

    Args:
        state (dict[str, Tensor]): Weights by their new names.
        cls (type): :class:`mmlite.ViT` or :class:`mmlite.Hiera`.
        kwargs (dict): Its arguments.

    Returns:
        Backbone: The model, on the meta device.

    Raises:
        CheckpointError: If weights are missing, left over, or have other shapes.
    """
    try:
        with torch.device('meta'):
            backbone = cls(**kwargs, out_type='raw')
    except ValueError as error:
        raise CheckpointError(f'its shapes fit no mmlite.{cls.__name__}: {error}') from error
    _compare(state, 'backbone.', backbone, optional=r'backbone\.((fc_)?norm\..*|cls_token)')
    if any(name.startswith('neck.') for name in state):
        width = shape_of(state, 'neck.levels.2.0.weight', 4)[0]
        with torch.device('meta'):
            neck = SimpleFeaturePyramid(kwargs['arch']['embed_dims'], width)
        _compare(state, 'neck.', neck)
    return backbone


def _compare(state, prefix, module, optional=''):
    own = {f'{prefix}{name}': tuple(v.shape) for name, v in module.state_dict().items()}
    given = {name: tuple(v.shape) for name, v in state.items() if name.startswith(prefix)}
    for name in sorted(own.keys() ^ given.keys()):
        if not re.fullmatch(optional, name):
            problem = 'is not in it' if name in own else 'has no place'
            raise CheckpointError(f"'{name}' {problem}: it is cut short or of another architecture")
    for name in own.keys() & given.keys():
        if own[name] != given[name]:
            raise CheckpointError(
                f"'{name}' has shape {given[name]} where {own[name]} follows from other weights"
            )


def shortest_config(backbone, kwargs):
    """The config of a backbone without defaults, with the name of its architecture if it has one.

    Args:
        backbone (Backbone): The model.
        kwargs (dict): Arguments that it was built with.

    Returns:
        dict: ``type``, ``arch`` and what differs from the defaults.
    """
    cls = type(backbone)
    defaults = inspect.signature(cls).parameters
    changed = {k: v for k, v in kwargs.items() if k != 'arch' and v != defaults[k].default}
    names = [name for name, arch in cls.arch_zoo.items() if arch == kwargs['arch']]
    return dict(type=f'mmlite.{cls.__name__}', arch=(names or [kwargs['arch']])[0], **changed)
