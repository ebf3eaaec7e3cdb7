"""Pixels of hidden patches as target."""

import torch.nn.functional as F
from mmengine.model import BaseModule

from mmlite.registry import MODELS

from ..layers import cut_patches, take


@MODELS.register_module()
class PixelHead(BaseModule):
    """Mean squared error to the pixels of the hidden patches (MAE, section 3; norm-pix variant).

    Equal to mmpretrain's ``MAEPretrainHead`` with ``PixelReconstructionLoss('L2')``.

    Args:
        patch_size (int): Side of a patch in pixels. Defaults to 16.
        norm_pix (bool): Normalize every patch by its mean and unbiased variance (+ 1e-6).
            Defaults to True.
        channels_last (bool): Pixel order (16, 16, 3) of MAE rather than (3, 16, 16) of Hiera.
            Defaults to True.
    """

    def __init__(self, patch_size=16, norm_pix=True, channels_last=True, init_cfg=None):
        super().__init__(init_cfg)
        self.patch_size = patch_size
        self.norm_pix = norm_pix
        self.channels_last = channels_last

    def target(self, images, hidden):
        """Target (B, M, 3 * patch_size^2) of patches ``hidden``, int64 (B, M), row-major.

        Also returns the mean and standard deviation (B, M, 1) that turn it into pixels again.
        """
        patches, _ = cut_patches(images, self.patch_size, self.channels_last)
        patches = take(patches, hidden).float()
        if not self.norm_pix:
            return patches, 0.0, 1.0
        mean = patches.mean(dim=-1, keepdim=True)
        std = (patches.var(dim=-1, keepdim=True) + 1e-6).sqrt()
        return (patches - mean) / std, mean, std

    def loss(self, pred, images, hidden):
        """Loss of predictions (B, M, 3 * patch_size^2) for the patches ``hidden``."""
        return F.mse_loss(pred.float(), self.target(images, hidden)[0])

    def pixels(self, pred, images, hidden):
        """Predictions as pixels (B, M, 3 * patch_size^2), channels first.

        With ``norm_pix``, mean and deviation of a patch are the image's, as in MAE's figures.
        """
        _, mean, std = self.target(images, hidden)
        pixels = pred.float() * std + mean
        if not self.channels_last:
            return pixels
        side = self.patch_size
        return pixels.unflatten(-1, (side * side, -1)).transpose(-1, -2).flatten(-2)
