"""The backbone that weights belong to: read off their shapes, built, and compared."""

import inspect
import math
import re
from itertools import pairwise

import torch
from torch import nn

from mmlite.errors import CheckpointError, UserError
from mmlite.models import SimpleFeaturePyramid
from mmlite.models.weights import compare

LARGE = {768: 12, 1024: 16, 1280: 16}
TWELVE, BY_64 = {192: 12, 384: 12, **LARGE}, {192: 3, 384: 6, **LARGE}
#: Heads of a ViT by its width, as the code of each source builds it: shapes do not tell.
VIT_HEADS = {'mae-lite': TWELVE, 'ostrack': TWELVE, 'vitdet': TWELVE, 'mae': LARGE, 'deit': BY_64,
             'timm': BY_64}  # fmt: skip
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
    """Arguments of the :class:`mmlite.models.ViT` that weights fit, and the origin of its heads."""
    dim, channels, patch, _ = shape_of(state, 'backbone.patch_embed.proj.weight', 4)
    stored = grid = math.isqrt(shape_of(state, 'backbone.pos_embed', 3)[1] - 1)
    depth, table_heads, rel_pos, windows = _depth(state), None, None, {}
    decomposed = [f'backbone.blocks.{index}.attn.rel_pos_h' for index in range(depth)]
    if any(name in state for name in decomposed):
        shapes = [shape_of(state, name, 2) for name in decomposed]
        sides = [(rows + 1) // 2 for rows, _ in shapes]
        table_heads, rel_pos, grid = dim // shapes[0][1], 'decomposed', max(sides)
        if min(sides) < grid:
            global_blocks = tuple(i for i, side in enumerate(sides) if side == grid)
            windows = dict(window_size=min(sides), global_blocks=global_blocks)
    elif table := bias_table(state):
        table_heads, rel_pos, grid = table[1], 'bias', table_side(table)
    heads, heads_from = _count_heads(heads, table_heads, VIT_HEADS.get(source, {}), dim, source)
    kwargs = dict(
        arch=_arch(state, dim, depth, heads),
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


def swin_arguments(state, source, heads):
    """Arguments of the :class:`mmlite.models.Swin` that weights fit, as :func:`vit_arguments`."""
    dim, channels = shape_of(state, 'backbone.patch_embed.proj.weight', 4)[:2]
    table = shape_of(state, 'backbone.blocks.0.attn.relative_position_bias_table', 2)
    heads, heads_from = _count_heads(heads, table[1], {}, dim, source)
    depth = _depth(state)
    merging = 'backbone.blocks.{}.downsample.norm.weight'
    ends = [0, *(i + 1 for i in range(depth) if merging.format(i) in state), depth]
    kwargs = dict(
        arch=_arch(state, dim, tuple(b - a for a, b in pairwise(ends)), heads),
        in_channels=channels,
        window_size=(math.isqrt(table[0]) + 1) // 2,
        mask_token='backbone.mask_token' in state,
    )
    return kwargs, heads_from


def _depth(state):
    blocks = [int(name.split('.')[2]) for name in state if name.startswith('backbone.blocks.')]
    return 1 + max(blocks, default=-1)


def _arch(state, dim, depth, heads):
    hidden = shape_of(state, 'backbone.blocks.0.mlp.fc1.weight', 2)[0]
    ratio = hidden / dim if hidden % dim else hidden // dim
    return dict(embed_dims=dim, num_layers=depth, num_heads=heads, mlp_ratio=ratio)


def _count_heads(given, table_heads, usual, dim, source):
    """Number of heads, and where it is known from."""
    candidates = {
        'option': given,
        'relative position tables': table_heads,
        f'what {source} builds with {dim} channels': usual.get(dim),
    }
    known = [(heads, origin) for origin, heads in candidates.items() if heads is not None]
    if not known:
        raise UserError(
            f'how many heads {source} builds with {dim} channels is not known: give them (--heads)'
        )
    heads, origin = known[0]
    if table_heads not in (None, heads):
        raise UserError(
            f'heads={heads} cannot be: its relative positions are made for {table_heads}'
        )
    if heads < 1 or dim % heads:
        raise UserError(f'heads={heads} cannot be: it does not divide the {dim} channels')
    return heads, origin


def build_backbone(state, cls, kwargs):
    """Build the backbone of weights on the meta device, and compare weights with their models."""
    try:
        with torch.device('meta'):
            parts = nn.ModuleDict(dict(backbone=cls(**kwargs, out_type='raw')))
            if any(name.startswith('neck.levels.') for name in state):
                width = shape_of(state, 'neck.levels.2.0.weight', 4)[0]
                parts['neck'] = SimpleFeaturePyramid(kwargs['arch']['embed_dims'], width)
    except ValueError as error:
        raise CheckpointError(f'its shapes fit no mmlite.{cls.__name__}: {error}') from error
    given = {name: tensor for name, tensor in state.items() if name.split('.')[0] in parts}
    missing, unexpected, misshapen = compare(parts, given)
    for name in sorted(missing + unexpected):
        if not re.fullmatch(r'backbone\.((fc_)?norm\..*|cls_token)', name):
            problem = 'is not in it' if name in missing else 'has no place'
            raise CheckpointError(f"'{name}' {problem}: it is truncated or of another architecture")
    for name in misshapen:
        given_shape, shape = tuple(given[name].shape), tuple(parts.state_dict()[name].shape)
        raise CheckpointError(
            f"'{name}' has shape {given_shape} where {shape} follows from other weights"
        )
    return parts['backbone']


def shortest_config(backbone, kwargs):
    """Config of a backbone: ``type``, ``arch``, by name if it has one, and non-defaults."""
    cls = type(backbone)
    defaults = inspect.signature(cls).parameters
    changed = {k: v for k, v in kwargs.items() if k != 'arch' and v != defaults[k].default}
    names = [name for name, arch in cls.arch_zoo.items() if arch == kwargs['arch']]
    return dict(type=f'mmlite.{cls.__name__}', arch=(names or [kwargs['arch']])[0], **changed)
