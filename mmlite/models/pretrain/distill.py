"""Distillation as a list: (student tap, teacher tap, adapter, loss, weight)."""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from timm.layers import trunc_normal_
from torch import nn

from mmlite.errors import ArgumentError
from mmlite.registry import MODELS

from ..frozen_teacher import FrozenTeacher
from ..layers import relative_position_index
from ..layers.attention import attention_logits
from ..layers.table_bias import TableBias

for loss in (nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss):
    MODELS.register_module(module=loss)


@MODELS.register_module()
class Distillation(FrozenTeacher, BaseModule):
    """Match intermediate features of a student to those of a frozen teacher (MAE-Lite, 5.1).

    The teacher sees the same part of the same images, in evaluation mode and without gradient,
    stops after its last tap, and is not part of checkpoints.

    Args:
        teacher (dict): A :class:`~mmlite.models.backbones.timm_vit.TimmViT`, or another backbone
            with taps and an ``init_cfg`` of type ``'Pretrained'``.
        pairs (list[dict]): Each with

            - ``student``, ``teacher`` (str): Taps, see
              :func:`~mmlite.models.layers.taps.group_taps`.
            - ``adapter`` (dict | list[dict], optional): Modules from the student's tensor to the
              teacher's shape, in sequence. Channels are filled in.
            - ``loss`` (dict): Defaults to the mean squared error over all elements (eqs. 5, 6).
            - ``weight`` (float): Of the loss in the sum. Defaults to 1.0.
            - ``name`` (str): Unique suffix of the loss's name. Defaults to ``'attn'`` for attention
              logits and ``'rep'`` otherwise.

        student (Backbone): Given by the model.
    """

    def __init__(self, teacher, pairs, student, init_cfg=None):
        super().__init__(init_cfg)
        if not pairs:
            raise ArgumentError('distill.pairs is empty: it requires at least one pair of taps')
        self.teacher = MODELS.build(teacher)
        self.freeze_teacher()
        self.pairs = nn.ModuleList(
            DistilledPair(student, self.teacher, index, **pair) for index, pair in enumerate(pairs)
        )
        names = [pair.name for pair in self.pairs]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ArgumentError(f"two pairs are called '{twice[0]}': set a different name=...")
        self.student_taps = {pair.student_tap for pair in self.pairs}
        self.teacher_taps = {pair.teacher_tap for pair in self.pairs}

    def forward(self, images, embed, tapped):
        """``loss_<name>`` of every pair, from the student's taps of normalized images (B, 3, H, W).

        ``embed`` holds the further arguments of the student's ``embed``.
        """
        with torch.no_grad():
            tokens = self.teacher.embed(images, **embed)
            _, target = self.teacher.encode(tokens, self.teacher_taps, until_last_tap=True)
        return {f'loss_{pair.name}': pair(tapped, target) for pair in self.pairs}


class DistilledPair(nn.Module):
    """One entry of :class:`Distillation`'s list."""

    def __init__(
        self, student_model, teacher_model, index, student, teacher, adapter=None, loss=None,
        weight=1.0, name=None,
    ):  # fmt: skip
        super().__init__()
        place = f'distill.pairs[{index}]'
        width, tokens = _tap_shape(student_model, student, f'{place}.student')
        target_width, target_tokens = _tap_shape(teacher_model, teacher, f'{place}.teacher')
        if tokens != target_tokens:
            raise ArgumentError(
                f"{place}: the student has {tokens} tokens at '{student}' but the teacher has "
                f"{target_tokens} at '{teacher}': use the same token grid (image size, patch size, "
                f'class token, q_pool)'
            )
        self.student_tap, self.teacher_tap = student, teacher
        self.adapter, channels = _build_adapter(adapter, width, target_width)
        if channels != target_width:
            kind = 'heads' if teacher.endswith('attn_logits') else 'channels'
            after = 'after its adapter ' if adapter else ''
            raise ArgumentError(
                f"{place}: the student has {channels} {kind} {after}at '{student}' but the teacher "
                f"has {target_width} at '{teacher}': add an adapter that ends in {target_width}"
            )
        self.loss_module = MODELS.build(loss or dict(type='mmlite.MSELoss'))
        self.weight = weight
        self.name = name or ('attn' if teacher.endswith('.attn_logits') else 'rep')

    def forward(self, tapped, target):
        given = self.adapter(tapped[self.student_tap])
        # half precision would lose the small differences that are left late in training
        return self.weight * self.loss_module(given.float(), target[self.teacher_tap].float())


@MODELS.register_module()
class HeadMixing(nn.Conv2d):
    """Adapter M of eq. 5: mix the heads of attention logits (B, heads, N, N), without bias."""

    def __init__(self, in_channels, out_channels):
        super().__init__(in_channels, out_channels, kernel_size=1, bias=False)


@MODELS.register_module()
class TokenProjection(nn.Linear):
    """Adapter N of eq. 6: project tokens (B, N, C), without bias."""

    def __init__(self, in_channels, out_channels):
        super().__init__(in_channels, out_channels, bias=False)
        self.out_channels = out_channels


@MODELS.register_module()
class AttentionLogits(BaseModule):
    """Extra block of D2-MAE: logits of ``out_channels`` heads of tokens (B, N, ``in_channels``).

    Only its logits are distilled, so that all weights of the blocks before it get a gradient. As in
    the official code, the fused projection keeps its unused value third.

    Args:
        in_channels, out_channels (int): Channels and heads.
        grid (tuple[int, int], optional): Tokens (H, W), whose relative positions have a learned
            bias, e.g. the window that is the last map of Swin. Defaults to None, no bias.
    """

    def __init__(self, in_channels, out_channels, grid=None, init_cfg=None):
        super().__init__(init_cfg)
        if in_channels % out_channels:
            raise ArgumentError(
                f'AttentionLogits: out_channels {out_channels} (heads) must divide the '
                f'{in_channels} channels'
            )
        self.out_channels = out_channels
        self.grid = grid and tuple(grid)
        if grid:
            table = torch.zeros((2 * grid[0] - 1) * (2 * grid[1] - 1), out_channels)
            self.relative_position_bias_table = nn.Parameter(trunc_normal_(table, std=0.02))
        self.norm1 = nn.LayerNorm(in_channels, eps=1e-6)
        self.qkv = nn.Linear(in_channels, 3 * in_channels)
        nn.init.xavier_uniform_(self.qkv.weight)
        nn.init.zeros_(self.qkv.bias)

    def forward(self, tokens):
        """Scaled logits before softmax (B, heads, N, N)."""
        rows = 2 * tokens.shape[-1]  # queries and keys only
        qk = F.linear(self.norm1(tokens), self.qkv.weight[:rows], self.qkv.bias[:rows])
        q, k = qk.unflatten(-1, (2, self.out_channels, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        bias = None
        if self.grid:
            index = relative_position_index(self.grid, False, q.device)
            bias = TableBias(self.relative_position_bias_table, index)
        return attention_logits(q * q.shape[-1] ** -0.5, k, bias)


def _tap_shape(backbone, tap, place):
    """Channels and tokens of a tap; the message of an unknown one starts with ``place``."""
    try:
        backbone.group_taps([tap])
    except ArgumentError as error:
        raise ArgumentError(f'{place}: {error}') from error
    return backbone.tap_shape(tap)


def _build_adapter(cfgs, channels, out_channels):
    """Adapter and its output channels."""
    cfgs = [cfgs] if isinstance(cfgs, dict) else list(cfgs or [])
    modules = []
    for cfg in cfgs:
        given = dict(in_channels=channels)
        if cfg is cfgs[-1]:
            given['out_channels'] = out_channels
        modules.append(MODELS.build(cfg, default_args=given))
        channels = modules[-1].out_channels
    return nn.Sequential(*modules), channels
