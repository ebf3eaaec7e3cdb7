"""Feature pyramid of MAE-Lite's Semantic-FPN."""

from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from torch import nn

from mmlite.errors import ArgumentError
from mmlite.registry import MODELS


@MODELS.register_module()
class NarrowFeature2Pyramid(BaseModule):
    """mmseg's ``Feature2Pyramid`` with fewer output channels (MAE-Lite's release and its names).

    Four maps of a plain ViT, all of stride 16, from the lower blocks to the higher, are rescaled to
    strides 4, 8, 16 and 32.

    Args:
        embed_dim (int): Channels of the inputs.
        out_channels (int): Channels of every level; the release takes a quarter of ``embed_dim``.
        norm_cfg (dict): Norm in the finest level. Defaults to ``SyncBN``.
    """

    def __init__(self, embed_dim, out_channels, norm_cfg=None, init_cfg=None):
        super().__init__(init_cfg)
        self.upsample_4x = nn.Sequential(
            nn.ConvTranspose2d(embed_dim, out_channels, 2, stride=2),
            build_norm_layer(norm_cfg or dict(type='SyncBN'), out_channels)[1],
            nn.GELU(),
            nn.ConvTranspose2d(out_channels, out_channels, 2, stride=2),
        )
        self.upsample_2x = nn.Sequential(nn.ConvTranspose2d(embed_dim, out_channels, 2, stride=2))
        self.identity = nn.Conv2d(embed_dim, out_channels, 1)
        self.downsample_2x = nn.Sequential(nn.Conv2d(embed_dim, out_channels, 1), nn.MaxPool2d(2))

    def forward(self, inputs):
        """Rescale four maps (B, embed_dim, h, w) by 4, 2, 1 and 1/2 to ``out_channels``."""
        if len(inputs) != 4:
            raise ArgumentError(
                f'the pyramid requires four maps, got {len(inputs)}: set four out_indices'
            )
        levels = (self.upsample_4x, self.upsample_2x, self.identity, self.downsample_2x)
        return tuple(level(x) for level, x in zip(levels, inputs, strict=True))
