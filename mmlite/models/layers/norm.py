"""Layer normalization of maps."""

import torch
import torch.nn.functional as F
from torch import nn

from mmlite.registry import MODELS


@MODELS.register_module()
class LN2d(nn.Module):
    """Layer normalization over the channels of every pixel of a (B, C, H, W) map.

    Not a subclass of ``nn.LayerNorm``: ``norm_decay_mult`` must not apply in ViTDet's recipe.
    """

    def __init__(self, num_features, eps=1e-6):
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))

    def forward(self, x):
        x = x.permute(0, 2, 3, 1)
        x = F.layer_norm(x, (self.num_features,), self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)
