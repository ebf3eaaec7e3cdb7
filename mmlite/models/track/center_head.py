"""OSTrack's center head: score, size and offset of the target."""

import torch
from mmcv.cnn import build_norm_layer
from mmdet.models.losses import GaussianFocalLoss, GIoULoss, L1Loss
from mmdet.structures.bbox import bbox_overlaps
from torch import nn

from mmlite.registry import MODELS

from .targets import score_target

BRANCHES = dict(ctr=1, offset=2, size=2)  # output channels
MARGIN = 1e-4  # of probabilities from 0 and 1


@MODELS.register_module()
class CenterHead(nn.Module):
    """Three branches of convolutions for score, offset and size (OSTrack, section 3.4).

    Sigmoid, decoding and losses are float32, as half precision rounds ``1 - 1e-4`` to 1.

    Args:
        in_channels (int): Channels of the map of the search region.
        channels (int): Channels after the first 3x3 convolution; each of the three that follow
            halves them. Defaults to 256.
        norm_cfg (dict): Norm of the convolutions. Defaults to batch norm; use
            ``dict(type='SyncBN')`` below about 16 pairs per GPU.
        loss_weights (dict): Weights of the losses. Defaults to ``giou`` 2, ``l1`` 5, ``focal`` 1.
    """

    def __init__(self, in_channels, channels=256, norm_cfg=None, loss_weights=None):
        super().__init__()
        norm_cfg = norm_cfg or dict(type='BN')
        for name, outputs in BRANCHES.items():
            self.add_module(name, _branch(in_channels, channels, outputs, norm_cfg))
        weights = dict(giou=2.0, l1=5.0, focal=1.0) | (loss_weights or {})
        self.giou_loss = GIoULoss(loss_weight=weights['giou'])
        self.l1_loss = L1Loss(loss_weight=weights['l1'])
        self.focal_loss = GaussianFocalLoss(loss_weight=weights['focal'])

    def forward(self, features):
        """Predict maps from features (B, C, F, F).

        float32 ``score_map`` (B, 1, F, F) and ``size_map`` (B, 2, F, F; w and h as fractions of the
        search region's side) within [1e-4, 1 - 1e-4], and ``offset_map`` (B, 2, F, F; x and y in
        cells).
        """
        return as_maps(self.ctr(features), self.size(features), self.offset(features))

    def decode(self, maps, window=None):
        """Read the box at the best cell of the maps; ``window`` (F, F) multiplies the scores in the
        choice.

        Returns (B, 6): cx, cy, w, h as fractions of the search region's side, the score of the
        cell, and the same times the window.
        """
        scores = maps['score_map'].flatten(1)
        side = maps['score_map'].shape[-1]
        ranked = scores if window is None else scores * window.flatten()
        cell = ranked.argmax(dim=1, keepdim=True)
        offset, size = (
            maps[name].flatten(2).gather(2, cell[:, None].expand(-1, 2, -1))[..., 0]
            for name in ('offset_map', 'size_map')
        )
        corner = torch.cat([cell % side, cell // side], dim=1)
        center = (corner + offset) / side
        return torch.cat([center, size, scores.gather(1, cell), ranked.gather(1, cell)], dim=1)

    def loss(self, maps, boxes):
        """Losses of predicted maps (OSTrack, eq. 5), and the mean ``iou``.

        GIoU and L1 compare the box at the best predicted cell with the target clipped to the
        region, as corners in fractions of the region; the Gaussian is that of the unclipped target.
        ``boxes`` (B, 4) are x, y, w, h as fractions of the search region's side.
        """
        boxes = boxes.float()
        center, size = self.decode(maps)[:, :4].chunk(2, dim=1)
        predicted = torch.cat([center - size / 2, center + size / 2], dim=1)
        target = torch.cat([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], dim=1).clamp(0, 1)
        gaussian = score_target(boxes, maps['score_map'].shape[-1])
        positives = (gaussian == 1).sum().clamp(min=1)
        with torch.no_grad():
            iou = bbox_overlaps(predicted, target, is_aligned=True).mean()
        return dict(
            loss_giou=self.giou_loss(predicted, target),
            loss_l1=self.l1_loss(predicted, target),
            loss_focal=self.focal_loss(maps['score_map'], gaussian, avg_factor=positives),
            iou=iou,
        )


def as_maps(score, size, offset):
    """Convert outputs of the three branches to the maps of :class:`CenterHead`."""
    return dict(score_map=as_share(score), size_map=as_share(size), offset_map=offset.float())


def as_share(logits):
    """Convert logits of scores or sizes to float32 within [1e-4, 1 - 1e-4]."""
    return logits.float().sigmoid().clamp(MARGIN, 1 - MARGIN)


def _branch(in_channels, channels, outputs, norm_cfg):
    """Four 3x3 convolutions with norm and ReLU, each half as wide as the last, and a 1x1."""
    widths = [in_channels, *(channels // 2**i for i in range(4))]
    layers = [
        nn.Sequential(
            nn.Conv2d(a, b, 3, padding=1), build_norm_layer(norm_cfg, b)[1], nn.ReLU(inplace=True)
        )
        for a, b in zip(widths, widths[1:], strict=False)
    ]
    branch = nn.Sequential(*layers, nn.Conv2d(widths[-1], outputs, 1))
    for parameter in branch.parameters():
        if parameter.ndim > 1:
            nn.init.xavier_uniform_(parameter)
    return branch
