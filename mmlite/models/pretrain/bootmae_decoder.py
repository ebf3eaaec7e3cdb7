"""Decoder of BootMAE."""

import torch
from mmengine.model import BaseModule
from timm.layers import trunc_normal_
from torch import nn

from mmlite.errors import ArgumentError
from mmlite.registry import MODELS

from ..layers import Attention, attend, sincos_positions
from ..layers.block import Block
from ..layers.inits import init_linears
from ..layers.position import constant


@constant
def fixed_positions(dim, grid, device):
    """Sine-cosine positions (h * w, dim) of a grid (h, w)."""
    return sincos_positions(dim, grid, with_cls=False)[0].to(device)


class CrossAttention(nn.Module):
    """Attention to other tokens, with a bias of keys, unlike BootMAE's, which softmax cancels."""

    def __init__(self, dim, context_dim, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.scale = (dim // num_heads) ** -0.5
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(context_dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x, context):
        """Attend from tokens (B, N, dim) to (B, K, context_dim): (B, N, dim)."""
        q = self.q(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
        kv = self.kv(context).unflatten(-1, (2, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        y = attend(q * self.scale, *kv.unbind(0))
        return self.proj(y.transpose(1, 2).flatten(2))


class CrossBlock(Block):
    """Block with cross-attention, to tokens of ``context_dim`` channels, before its MLP."""

    def __init__(self, dim, context_dim, num_heads, mlp_ratio=4.0):
        super().__init__(Attention(dim, num_heads), dim, mlp_ratio)
        self.norm_cross = nn.LayerNorm(dim, eps=1e-6)
        self.norm_context = nn.LayerNorm(context_dim, eps=1e-6)
        self.cross_attn = CrossAttention(dim, context_dim, num_heads)

    def forward(self, x, context, last=None):
        """Transform tokens (B, N, dim), or only the ``last`` ones, given ``context`` (B, K, C)."""
        x, _ = self.mix(x)
        x = x if last is None else x[:, -last:]
        x = x + self.cross_attn(self.norm_cross(x), self.norm_context(context))
        return self.feed(x)


@MODELS.register_module()
class BootMAEDecoder(BaseModule):
    """Predict values of hidden patches, as one of the two decoders of BootMAE (section 3.2).

    Hidden tokens simply follow the visible ones, and only they get positions, as in the original.

    Args:
        num_heads (int): Heads of self- and cross-attention. Defaults to 3.
        in_channels, out_channels, embed_dims, depth, mlp_ratio: As in
            :class:`~.decoder.MaskedDecoder`.
    """

    def __init__(
        self, in_channels=192, out_channels=768, embed_dims=96, depth=1, num_heads=3, mlp_ratio=4.0,
        init_cfg=None,
    ):  # fmt: skip
        super().__init__(init_cfg)
        if depth < 1:
            raise ArgumentError(f'depth {depth} must be >= 1')
        self.embed_dims = embed_dims
        self.down = nn.Linear(in_channels, embed_dims)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, embed_dims))
        self.blocks = nn.ModuleList(
            CrossBlock(embed_dims, in_channels, num_heads, mlp_ratio) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(embed_dims, eps=1e-6)
        self.head = nn.Linear(embed_dims, out_channels)
        init_linears(self, nn.init.xavier_uniform_)
        trunc_normal_(self.mask_token, std=0.02)

    def forward(self, latent, context, hidden, grid):
        """Predict hidden cells, int64 (B, M), row-major: (B, M, out_channels).

        ``latent`` and ``context`` (B, K, C) are visible tokens, encoded and of a block to attend
        to; ``grid`` is (h, w) of an image.
        """
        positions = fixed_positions(self.embed_dims, tuple(grid), latent.device)
        masks = self.mask_token + positions[hidden]
        x = self.down(latent)
        x = torch.cat([x, masks.to(x.dtype)], dim=1)
        for block in self.blocks[:-1]:
            x = block(x, context)
        x = self.blocks[-1](x, context, last=hidden.shape[1])
        return self.head(self.norm(x))
