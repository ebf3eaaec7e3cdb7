"""Adapters of distillation: modules from the student's tensors to the teacher's shape."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from timm.layers import trunc_normal_
from torch import nn

from mmlite.errors import ArgumentError
from mmlite.registry import MODELS

from ..layers import relative_position_index
from ..layers.attention import attention_logits
from ..layers.table_bias import TableBias


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


@MODELS.register_module()
class TokenMLP(nn.Sequential):
    """Adapter of tokens (B, N, C): linear, then ``num_layers - 1`` times layer norm, GELU, linear.

    As the head of AM-RADIO (arXiv 2312.06709), without residuals. Weights: truncated normal 0.02.

    Args:
        in_channels, out_channels (int): Channels.
        hidden_channels (int, optional): Channels between two layers. Defaults to ``out_channels``.
        num_layers (int): Linear layers, >= 1. Defaults to 2.
    """

    def __init__(self, in_channels, out_channels, hidden_channels=None, num_layers=2):
        if num_layers < 1:
            raise ArgumentError(f'TokenMLP: num_layers {num_layers} must be >= 1')
        hidden = hidden_channels or out_channels
        widths = [in_channels, *[hidden] * (num_layers - 1), out_channels]
        layers = [nn.Linear(*widths[:2])]
        for given, wanted in pairwise(widths[1:]):
            layers += [nn.LayerNorm(given), nn.GELU(), nn.Linear(given, wanted)]
        super().__init__(*layers)
        self.out_channels = out_channels
        for layer in layers[::3]:
            trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)


@MODELS.register_module()
class Lift(nn.Sequential):
    """Widen tokens (B, N, ``in_channels``) by a linear layer without bias and a layer norm.

    As after the last block of the Lift of arXiv 2511.15572, but an adapter that is left behind: the
    backbone keeps its width.
    """

    def __init__(self, in_channels, out_channels):
        super().__init__(
            nn.Linear(in_channels, out_channels, bias=False), nn.LayerNorm(out_channels)
        )
        self.out_channels = out_channels
