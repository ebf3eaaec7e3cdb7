"""SimMIM's decoder of MAE-Lite's Swin: a linear layer and a Swin block before the prediction."""

from mmpretrain.models import SimMIMLinearDecoder
from torch import nn

from mmlite.registry import MODELS

from ..layers.inits import init_swin
from ..layers.shifted_window import SwinBlock


@MODELS.register_module()
class SwinDecoder(SimMIMLinearDecoder):
    """Decode maps (B, ``in_channels``, h, w) of stride ``encoder_stride`` to images (B, 3, H, W).

    It starts with a layer norm, which fine-tuning starts anew.

    Args:
        in_channels (int): Channels of the maps. Defaults to 384, the last stage of Swin-1G.
        encoder_stride (int): Pixels a cell. Defaults to 32.
        embed_dims, num_heads (int): Width and heads of the block. Default to 96 and 3.
        window_size (int): Side of its windows. Defaults to 7.
    """

    def __init__(
        self, in_channels=384, encoder_stride=32, embed_dims=96, num_heads=3, window_size=7
    ):
        super().__init__(embed_dims, encoder_stride)
        self.norm = nn.LayerNorm(in_channels)
        self.embed = nn.Linear(in_channels, embed_dims)
        self.block = SwinBlock(embed_dims, num_heads, window_size)
        init_swin(self)

    def forward(self, x):
        grid = tuple(x.shape[-2:])
        x = self.embed(self.norm(x.flatten(2).transpose(1, 2)))
        x, _ = self.block(x, grid)
        return super().forward(x.transpose(1, 2).unflatten(2, grid))
