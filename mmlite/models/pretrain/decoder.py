"""Decoder of MAE and Hiera MAE."""

import torch
from mmengine.model import BaseModule
from timm.layers import trunc_normal_
from torch import nn

from mmlite.registry import MODELS

from ..layers import Attention, sincos_positions, take
from ..layers.block import Block
from ..layers.inits import init_linears


@MODELS.register_module()
class MaskedDecoder(BaseModule):
    """Predict hidden patches from visible tokens and mask tokens (MAE, section 3, and its names).

    Args:
        in_channels (int): Channels of the encoder's tokens. Defaults to 192.
        out_channels (int): Predicted values per patch. Defaults to 768 (16 x 16 x 3).
        grid (tuple[int, int] | int): Patches (h, w) of an image. Defaults to 14.
        embed_dims, depth, num_heads (int): Width, number of blocks, and of heads. Default to 96, 1
            and 3 (MAE-Lite, ViT-Tiny).
        mlp_ratio (float): Hidden width of the MLP over ``embed_dims``. Defaults to 4.
        pos_embed (str): ``'sincos'``, fixed (MAE), or ``'learned'`` (Hiera).
        with_cls_token (bool): The encoder's tokens start with a class token. Defaults to True.
    """

    def __init__(
        self, in_channels=192, out_channels=768, grid=14, embed_dims=96, depth=1, num_heads=3,
        mlp_ratio=4, pos_embed='sincos', with_cls_token=True, init_cfg=None,
    ):  # fmt: skip
        super().__init__(init_cfg)
        self.grid = (grid, grid) if isinstance(grid, int) else tuple(grid)
        self.num_prefix = int(with_cls_token)
        self.decoder_embed = nn.Linear(in_channels, embed_dims)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, embed_dims))
        table = sincos_positions(embed_dims, self.grid, with_cls_token)
        self.decoder_pos_embed = nn.Parameter(table, requires_grad=pos_embed == 'learned')
        self.decoder_blocks = nn.ModuleList(
            Block(Attention(embed_dims, num_heads), embed_dims, mlp_ratio) for _ in range(depth)
        )
        self.decoder_norm = nn.LayerNorm(embed_dims, eps=1e-6)
        self.decoder_pred = nn.Linear(embed_dims, out_channels)
        # MAE, appendix A.1
        init_linears(self, nn.init.xavier_uniform_)
        trunc_normal_(self.mask_token, std=0.02)
        if self.decoder_pos_embed.requires_grad:
            trunc_normal_(self.decoder_pos_embed, std=0.02)

    def forward(self, latent, shown, cells=None):
        """Predict the patches ``cells``, int64 (B, M), by default all: (B, M, out_channels).

        ``latent`` holds the visible tokens (B, P + K, C), of which registers are dropped, ``shown``
        their cells, int64 (B, K), row-major.
        """
        x = self.decoder_embed(latent)
        prefix, x = x[:, : self.num_prefix], x[:, x.shape[1] - shown.shape[1] :]
        masks = self.mask_token.to(x.dtype).expand(len(x), self.grid[0] * self.grid[1], -1)
        x = masks.scatter(1, shown[..., None].expand_as(x), x)
        x = torch.cat([prefix, x], dim=1) + self.decoder_pos_embed
        for block in self.decoder_blocks:
            x, _ = block(x)
        x = x[:, self.num_prefix :]
        return self.decoder_pred(self.decoder_norm(x if cells is None else take(x, cells)))
