"""The backbone that weights belong to: read off their shapes, built, and compared."""

import inspect
import math
import re

import torch

from mmlite.errors import CheckpointError, UserError
from mmlite.models import SimpleFeaturePyramid
from mmlite.models.weights import compare

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
    """Shape of a weight that every backbone has, with ``ndim`` axes."""
    if name not in state:
        raise CheckpointError(f"'{name}' is not in it: it is truncated or of another architecture")
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
    """Arguments of the :class:`mmlite.models.ViT` that weights fit, and the origin of the heads.

    ``heads`` is the user's; a number that is unknown or contradicted is a UserError.
    """
    dim, channels, patch, _ = shape_of(state, 'backbone.patch_embed.proj.weight', 4)
    stored = grid = math.isqrt(shape_of(state, 'backbone.pos_embed', 3)[1] - 1)
    table_heads, rel_pos, windows = None, None, {}
    lengths = _decomposed_lengths(state)
    if lengths:
        table_heads = dim // state['backbone.blocks.0.attn.rel_pos_h'].shape[1]
        rel_pos, grid = 'decomposed', max(lengths)
        if min(lengths) < grid:
            global_blocks = tuple(i for i, length in enumerate(lengths) if length == grid)
            windows = dict(window_size=min(lengths), global_blocks=global_blocks)
    elif bias_table(state):
        table_heads = bias_table(state)[1]
        rel_pos, grid = 'bias', table_side(bias_table(state))
    heads, heads_from = _count_heads(heads, table_heads, VIT_HEADS.get(source, {}), dim, source)
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
    """Arguments of the :class:`mmlite.models.Hiera` that weights fit, as :func:`vit_arguments`."""
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


def _count_heads(given, table_heads, usual, dim, source):
    """Number of heads, and where it is known from."""
    if None not in (given, table_heads) and given != table_heads:
        raise UserError(
            f'heads={given} cannot be: its relative positions are made for {table_heads}'
        )
    if given is not None:
        heads, known_from = given, 'option'
    elif table_heads is not None:
        heads, known_from = table_heads, 'relative position tables'
    elif dim in usual:
        heads, known_from = usual[dim], f'what {source} builds with {dim} channels'
    else:
        raise UserError(
            f'how many heads {source} builds with {dim} channels is not known: give them (--heads)'
        )
    if heads < 1 or dim % heads:
        raise UserError(f'heads={heads} cannot be: it does not divide the {dim} channels')
    return heads, known_from


def build_backbone(state, cls, kwargs):
    """Build the backbone of weights on the meta device, and compare all weights with their models.

    Missing, left-over or misshapen weights are a CheckpointError.
    """
    try:
        with torch.device('meta'):
            backbone = cls(**kwargs, out_type='raw')
    except ValueError as error:
        raise CheckpointError(f'its shapes fit no mmlite.{cls.__name__}: {error}') from error
    _compare(state, 'backbone.', backbone, optional=r'(fc_)?norm\..*|cls_token')
    if any(name.startswith('neck.') for name in state):
        width = shape_of(state, 'neck.levels.2.0.weight', 4)[0]
        with torch.device('meta'):
            neck = SimpleFeaturePyramid(kwargs['arch']['embed_dims'], width)
        _compare(state, 'neck.', neck)
    return backbone


def _compare(state, prefix, module, optional=''):
    given = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    missing, unexpected, misshapen = compare(module, given)
    for name in sorted(missing + unexpected):
        if not re.fullmatch(optional, name):
            problem = 'is not in it' if name in missing else 'has no place'
            raise CheckpointError(
                f"'{prefix}{name}' {problem}: it is truncated or of another architecture"
            )
    for name in misshapen:
        shapes = tuple(given[name].shape), tuple(module.state_dict()[name].shape)
        raise CheckpointError(
            f"'{prefix}{name}' has shape {shapes[0]} where {shapes[1]} follows from other weights"
        )


def shortest_config(backbone, kwargs):
    """Config of a backbone: ``type``, ``arch``, by name if it has one, and non-defaults."""
    cls = type(backbone)
    defaults = inspect.signature(cls).parameters
    changed = {k: v for k, v in kwargs.items() if k != 'arch' and v != defaults[k].default}
    names = [name for name, arch in cls.arch_zoo.items() if arch == kwargs['arch']]
    return dict(type=f'mmlite.{cls.__name__}', arch=(names or [kwargs['arch']])[0], **changed)
