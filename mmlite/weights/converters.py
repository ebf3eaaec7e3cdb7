"""Converts checkpoints of other code bases to the keys of mmlite, and accounts for every weight."""

import math
import re

import torch

from mmlite.errors import CheckpointError
from mmlite.models import Hiera, Swin, ViT
from mmlite.models.weights import find_weights, unwrapped

from .architecture import (
    bias_table,
    build_backbone,
    hiera_arguments,
    shape_of,
    shortest_config,
    swin_arguments,
    table_side,
    vit_arguments,
)
from .layouts import EXTRA, MOVE, REFUSE, all_rules, count_blocks, recognise

LICENSES = {
    'mae-lite': 'Apache-2.0', 'mae': 'CC-BY-NC 4.0', 'hiera': 'CC-BY-NC 4.0', 'swin': 'MIT'
}  # fmt: skip


def convert(contents, source, heads=None, keep_extra=False):
    """Convert the contents of a checkpoint.

    Every block gets a fused ``qkv.bias`` (zeros where the file has none), a shared table of
    relative positions is copied to every block, and ``pos_embed`` starts with the class token's row
    (zeros where it has none): all exact. The distillation token of DeiT is dropped with its row,
    which changes the features. The ``norm`` of D2-MAE, trained after the eighth block, is kept.

    Args:
        contents (dict): From :func:`mmlite.stack.load`. ``module.`` and ``_orig_mod.`` before names
            are ignored, and Lightning's ``model.``.
        source (str): Code base that wrote it, one of :data:`~mmlite.weights.SOURCES`.
        heads (int, optional): Attention heads (of the first stage of Hiera and Swin). Defaults to
            what tables of relative positions imply, else to what ``source`` builds at that width.
        keep_extra (bool): Keep what only pre-training needs, by its official names: decoder, mask
            token, the attention-only block of D2-MAE, teacher and adapter of distillation.

    Returns:
        dict: ``state_dict`` has ``backbone.*`` as :class:`mmlite.models.ViT`, ``Hiera`` or
        ``Swin``, ``head.fc.*`` as mmpretrain's ``LinearClsHead``, ``neck.*`` as
        ``SimpleFeaturePyramid`` or ``NarrowFeature2Pyramid``, ``rpn_head.*`` and ``roi_head.*`` as
        mmdet's ``MaskRCNN``, ``decode_head.*`` as mmseg's ``FPNHead``, ``pos_embed_{z,x}`` and
        ``head.{ctr,offset,size}.*`` as ``OSTrack``. ``meta`` has ``backbone`` (its
        ``describe()``), ``source``, ``license`` and ``num_heads_from``.
        ``report`` has ``origins`` ({new key: old keys, none where it was set to
        0}), ``dropped`` ({old key: reason}), ``beside`` (other entries of the file) and
        ``backbone_cfg``.

    Raises:
        UserError: ``heads`` cannot be right, or is required.
        CheckpointError: The weights are not what ``source`` writes, or have no equivalent here.
    """
    weights, beside = find_weights(contents)
    names = {key: unwrapped(key) for key in weights}
    if 'pytorch-lightning_version' in beside:
        names = {key: unwrapped(name.removeprefix('model.')) for key, name in names.items()}
    names = count_blocks(names)
    ledger = place(weights, names, recognise(names.values(), source), keep_extra)
    state = ledger.state
    if any(re.fullmatch(r'backbone\.blocks\.\d+\.proj\.weight', key) for key in state):
        cls, arguments = Hiera, hiera_arguments
    elif any('.downsample.' in key for key in state):
        cls, arguments = Swin, swin_arguments
    else:
        cls, arguments = ViT, vit_arguments
        complete_vit(ledger)
    kwargs, heads_from = arguments(state, source, heads)
    backbone = build_backbone(state, cls, kwargs)
    license_name = LICENSES.get(source, 'unknown')
    if cls is not Swin and any(key.startswith('tch_model.') for key in state):
        license_name += f' (tch_model: {LICENSES["mae"]})'
    return dict(
        # cloned: a view would be saved together with all of the storage that it looks at
        state_dict={
            name: tensor.detach().clone(memory_format=torch.contiguous_format)
            for name, tensor in state.items()
        },
        meta=dict(
            backbone=backbone.describe(),
            source=source,
            license=license_name,
            num_heads_from=heads_from,
        ),
        report=dict(
            origins=ledger.origins,
            dropped=ledger.dropped,
            beside=beside,
            backbone_cfg=shortest_config(backbone, kwargs),
        ),
    )


class Ledger:
    """Converted weights, their old keys by new name, and the reason by dropped old key."""

    def __init__(self):
        self.state, self.origins, self.dropped = {}, {}, {}

    def put(self, name, tensor, origins):
        """Enter a weight; two of one name are refused."""
        if name in self.state:
            both = ' and '.join(f"'{key}'" for key in (*self.origins[name], *origins))
            raise CheckpointError(f"{both} would both become '{name}': it mixes two layouts")
        self.state[name], self.origins[name] = tensor, tuple(origins)

    def take(self, name):
        """Remove a weight; returns the tensor and its old keys, ``(None, ())`` without one."""
        return self.state.pop(name, None), self.origins.pop(name, ())


def place(weights, names, layout, keep_extra):
    """Give every weight its new name, or a reason to drop it; ``names`` are without wrappers."""
    ledger = Ledger()
    rules = all_rules(layout, names.values())
    for key, name in names.items():
        verb, text = next(
            (verb, text(match) if callable(text) else match.expand(text))
            for pattern, verb, text in rules
            if (match := re.fullmatch(pattern, name))
        )
        if verb == REFUSE:
            raise CheckpointError(f"'{key}' is {text}, which no backbone of mmlite has")
        if verb == MOVE:
            ledger.put(text, weights[key], [key])
        elif verb == EXTRA and keep_extra:
            ledger.put(re.sub(f'^(?:{layout.encoder})', '', name), weights[key], [key])
        else:
            ledger.dropped[key] = text
    return ledger


def complete_vit(ledger):
    """Bring the variants of a plain ViT into the form of :class:`mmlite.models.ViT`, exactly."""
    state = ledger.state
    table, origins = ledger.take('backbone.relative_position_bias_table')
    projections = [key for key in state if re.fullmatch(r'backbone\..*\.attn\.qkv\.weight', key)]
    for key in projections:
        attn = key.removesuffix('qkv.weight')
        if table is not None:
            ledger.put(f'{attn}relative_position_bias_table', table, origins)
        if f'{attn}qkv.bias' not in state:
            zeros = state[key].new_zeros(len(state[key]) // 3)
            parts = [ledger.take(f'{attn}{part}_bias') for part in 'qkv']
            bias = torch.cat([zeros if tensor is None else tensor for tensor, _ in parts])
            ledger.put(f'{attn}qkv.bias', bias, [key for _, keys in parts for key in keys])
    _complete_positions(ledger)


def _complete_positions(ledger):
    """Make ``pos_embed`` (1, 1 + h * w, C), the first row the class token's."""
    state, name = ledger.state, 'backbone.pos_embed'
    if name not in state:
        table = bias_table(state)
        if table is None:
            raise CheckpointError(
                'it has neither pos_embed nor tables of relative positions: rotary and other '
                'positions are not supported'
            )
        width = shape_of(state, 'backbone.patch_embed.proj.weight', 4)[0]
        ledger.put(name, torch.zeros(1, 1 + table_side(table) ** 2, width), ())
        return
    rows = shape_of(state, name, 3)[1]
    tokens = 1 + any(key.endswith('dist_token') for key in ledger.dropped)
    squares = [n for n in (tokens, 0) if rows > n and math.isqrt(rows - n) ** 2 == rows - n]
    if not squares:
        raise CheckpointError(
            f"'pos_embed' has {rows} rows, which are no square grid, with or without class token"
        )
    pos, origins = ledger.take(name)
    first = pos[:, :1] if squares[0] else torch.zeros_like(pos[:, :1])
    ledger.put(name, torch.cat([first, pos[:, squares[0] :]], dim=1), origins)
