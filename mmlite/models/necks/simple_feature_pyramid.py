"""Simple feature pyramid of ViTDet."""

from mmengine.model import BaseModule
from torch import nn

from mmlite.errors import ArgumentError
from mmlite.registry import MODELS

from ..layers import LN2d


@MODELS.register_module()
class SimpleFeaturePyramid(BaseModule):
    """Pyramid from one map of stride 16 (ViTDet, arXiv 2203.16527, section 3).

    Every level is resampled from the same map, then goes through a 1x1 and a 3x3 convolution
    without bias, each followed by :class:`LN2d`, with no activation.

    Args:
        in_channels (int | Sequence[int]): Channels of the (last) input, divisible by 4.
        out_channels (int): Channels of every level. Defaults to 256.
        num_outs (int): Number of levels. Levels of stride 64 and more subsample the level before.
            Defaults to 5.
        start_level (int): First level: 0 has stride 4, 1 stride 8, 2 stride 16, 3 stride 32.
            Levels below it are not built. Defaults to 0.
    """

    def __init__(self, in_channels, out_channels=256, num_outs=5, start_level=0, init_cfg=None):
        super().__init__(init_cfg)
        dim = in_channels if isinstance(in_channels, int) else in_channels[-1]
        if num_outs < 1:
            raise ArgumentError(f'num_outs {num_outs} must be >= 1')
        if start_level not in range(4):
            raise ArgumentError(f'start_level {start_level} must be 0, 1, 2 or 3')
        if dim % 4:
            raise ArgumentError(f'in_channels {dim} is not divisible by 4')
        self.num_extra = start_level + num_outs - 4
        up4 = [
            nn.ConvTranspose2d(dim, dim // 2, 2, stride=2), LN2d(dim // 2), nn.GELU(),
            nn.ConvTranspose2d(dim // 2, dim // 4, 2, stride=2),
        ]  # fmt: skip
        up2 = [nn.ConvTranspose2d(dim, dim // 2, 2, stride=2)]
        scales = [(up4, dim // 4), (up2, dim // 2), ([], dim), ([nn.MaxPool2d(2)], dim)]
        self.levels = nn.ModuleList()
        for layers, width in scales[start_level : start_level + num_outs]:
            layers += [nn.Conv2d(width, out_channels, 1, bias=False), LN2d(out_channels)]
            layers.append(nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False))
            self.levels.append(nn.Sequential(*layers, LN2d(out_channels)))
        self.subsample = nn.MaxPool2d(1, stride=2)

    def forward(self, inputs):
        """Rescale the last input (B, C, H, W) to ``num_outs`` maps, the finest first."""
        outs = [level(inputs[-1]) for level in self.levels]
        for _ in range(self.num_extra):
            outs.append(self.subsample(outs[-1]))
        return tuple(outs)
