"""Fusion of Hiera's stages for the decoder."""

import torch
from mmengine.model import BaseModule
from torch import nn

from mmlite.registry import MODELS


@MODELS.register_module()
class MultiScaleFusion(BaseModule):
    """Sum of stages, projected to the last one's width and resolution (Hiera MAE and its names).

    Args:
        stage_dims (Sequence[int]): Channels of the stages, given by the model.
        sides (Sequence[int]): Side of a mask unit in tokens after each stage, given by the model.
        stages (Sequence[int]): Stages to sum. Defaults to (0, 1, 3), as in Hiera; (0, 1, 2) leaves
            the last stage to a decoupled distillation.
    """

    def __init__(self, stage_dims, sides, stages=(0, 1, 3), init_cfg=None):
        super().__init__(init_cfg)
        self.stages = tuple(stages)
        self.multi_scale_fusion_heads = nn.ModuleList()
        for stage in self.stages:
            kernel = sides[stage] // sides[-1]
            same = kernel == 1 and stage_dims[stage] == stage_dims[-1]
            self.multi_scale_fusion_heads.append(
                nn.Identity()
                if same
                else nn.Conv2d(stage_dims[stage], stage_dims[-1], kernel, stride=kernel)
            )
        self.encoder_norm = nn.LayerNorm(stage_dims[-1], eps=1e-6)

    def forward(self, maps):
        """Fuse maps (B, K, h, w, C) of each of ``stages``: (B, K * side^2, C), unit by unit."""
        B, K = maps[0].shape[:2]
        fused = 0
        for head, x in zip(self.multi_scale_fusion_heads, maps, strict=True):
            fused = fused + head(x.flatten(0, 1).permute(0, 3, 1, 2))
        fused = fused.flatten(2).transpose(1, 2)  # (B * K, side^2, C)
        return self.encoder_norm(fused.unflatten(0, (B, K)).flatten(1, 2))


def unit_cells(units, grid, side):
    """Cells, int64 (B, K * side^2), row-major, of mask units, int64 (B, K), of a grid of units."""
    columns = grid[1]
    step = torch.arange(side, device=units.device)
    rows = (units // columns * side)[..., None] + step  # (B, K, side)
    cols = (units % columns * side)[..., None] + step
    return (rows[..., :, None] * (columns * side) + cols[..., None, :]).flatten(1)
