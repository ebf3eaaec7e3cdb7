"""OSTrack's center head: score, size and offset of the target."""

import torch
from mmcv.cnn import build_norm_layer
from mmdet.models.losses import GaussianFocalLoss, GIoULoss, L1Loss
from mmdet.structures.bbox import bbox_overlaps
from torch import nn

from mmlite.registry import MODELS

from .targets import score_target


@MODELS.register_module()
class CenterHead(nn.Module):
    """Convolutions for score, offset and size (OSTrack, section 3.4).

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
        widths = in_channels, channels
        self.ctr = _branch(*widths, 1, norm_cfg)
        self.offset = _branch(*widths, 2, norm_cfg)
        self.size = _branch(*widths, 2, norm_cfg)
        weights = dict(giou=2.0, l1=5.0, focal=1.0) | (loss_weights or {})
        self.giou_loss = GIoULoss(loss_weight=weights['giou'])
        self.l1_loss = L1Loss(loss_weight=weights['l1'])
        self.focal_loss = GaussianFocalLoss(loss_weight=weights['focal'])

    def forward(self, features):
        """Predict float32 maps from features (B, C, F, F).

        ``score_map`` (B, 1, F, F) and ``size_map`` (B, 2, F, F), w and h as fractions of the search
        region's side, are within [1e-4, 1 - 1e-4]; ``offset_map`` (B, 2, F, F) is x, y in cells.
        """
        return dict(
            score_map=as_share(self.ctr(features)),
            size_map=as_share(self.size(features)),
            offset_map=self.offset(features).float(),
        )

    def decode(self, maps, window=None):
        """Read boxes at the best cells, by scores times ``window``; (B, 6) as from ``locate``."""
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

        ``boxes`` (B, 4) are x, y, w, h as fractions of the search region's side. GIoU and L1
        compare the corners of the box at the best cell with those of the target clipped to the
        region; the Gaussian is that of the unclipped target.
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


def as_share(logits):
    """Convert logits of scores or sizes to float32 within [1e-4, 1 - 1e-4]."""
    return logits.float().sigmoid().clamp(1e-4, 1 - 1e-4)


def _branch(in_channels, channels, outputs, norm_cfg):
    """Four 3x3 convolutions with norm and ReLU, each half as wide as the last, and a 1x1."""
    layers = []
    for _ in range(4):
        norm = build_norm_layer(norm_cfg or dict(type='BN'), channels)[1]
        conv = nn.Conv2d(in_channels, channels, 3, padding=1)
        layers.append(nn.Sequential(conv, norm, nn.ReLU(inplace=True)))
        in_channels, channels = channels, channels // 2
    branch = nn.Sequential(*layers, nn.Conv2d(in_channels, outputs, 1))
    for parameter in branch.parameters():
        if parameter.ndim > 1:
            nn.init.xavier_uniform_(parameter)
    return branch
