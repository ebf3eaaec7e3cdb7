"""The model: any backbone of the suite, a map for each point, and the map's mean position."""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import nn

from mmlite.registry import MODELS


@MODELS.register_module()
class PointModel(BaseModel):
    """Integral regression of points (arXiv 1711.08229).

    A 1x1 convolution turns the backbone's last map into one map for each point; softmax makes it a
    distribution over cells, and its mean is the point. So the position is finer than a cell and
    learns by the plain L1 distance.

    Args:
        backbone (dict): Anything that gives maps (B, C, h, w), e.g. ``mmlite.ViT``.
        in_channels (int): C.
        num_points (int): Defaults to 4.
        data_preprocessor, init_cfg: As in mmengine's ``BaseModel``.
    """

    def __init__(self, backbone, in_channels, num_points=4, data_preprocessor=None, init_cfg=None):
        super().__init__(data_preprocessor, init_cfg)
        self.backbone = MODELS.build(backbone)
        self.head = nn.Conv2d(in_channels, num_points, kernel_size=1)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        """mmengine's three modes.

        Args:
            inputs (Tensor): Normalized images (B, 3, H, W).
            data_samples (list[BaseDataElement], optional): With ``gt_points`` (P, 2) in pixels.
            mode (str): ``'tensor'``, ``'loss'`` or ``'predict'``.

        Returns:
            Tensor | dict | list: Points (B, P, 2) in pixels; the loss; or ``data_samples`` with
            ``pred_points`` (P, 2).
        """
        size = inputs.new_tensor(inputs.shape[:1:-1])  # width, height
        points = mean_positions(self.head(self.backbone(inputs)[-1])) * size
        if mode == 'loss':
            true = torch.stack([sample.gt_points for sample in data_samples])
            return dict(loss_points=F.l1_loss(points / size, true / size))
        if mode == 'predict':
            for sample, found in zip(data_samples, points, strict=True):
                sample.pred_points = found
            return data_samples
        return points


def mean_positions(maps):
    """Mean of the softmax of maps.

    Args:
        maps (Tensor): (B, P, h, w).

    Returns:
        Tensor: (B, P, 2), x and y; the left or upper border is 0 and the other one 1.
    """
    height, width = maps.shape[-2:]
    share = maps.float().flatten(2).softmax(dim=-1).unflatten(2, (height, width))
    x = (torch.arange(width, device=maps.device) + 0.5) / width
    y = (torch.arange(height, device=maps.device) + 0.5) / height
    return torch.stack([(share.sum(dim=2) * x).sum(dim=-1), (share.sum(dim=3) * y).sum(-1)], dim=-1)
