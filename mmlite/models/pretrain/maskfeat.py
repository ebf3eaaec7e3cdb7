"""MaskFeat: predict histograms of oriented gradients of hidden patches (arXiv 2112.09133)."""

import math

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule

from mmlite.errors import ArgumentError
from mmlite.registry import MODELS

from ..layers import cut_patches, grid_of, join_patches, take
from .base import MaskTokenPretrainer, Reconstruction, hidden_ids


@MODELS.register_module()
class HOGTarget(BaseModule):
    """Histograms of oriented gradients, normalized by cell (MaskFeat, section 3.2).

    Sobel gradients of every color channel vote for ``nbins`` unsigned orientations, weighted by
    their magnitude and a periodic Gaussian window; votes are summed over cells and normalized (L2).
    Equal to mmpretrain's ``HOGGenerator``, for images of any size, and exactly zero where they are
    flat, which a convolution in TF32 or half precision is not.

    Args:
        nbins (int): Orientations in 180 degrees. Defaults to 9.
        pool (int): Side of a cell in pixels, a divisor of ``window`` and ``patch_size``. Defaults
            to 8.
        window (int): Side of the Gaussian window in pixels, twice its deviation. Defaults to 16.
        patch_size (int): Side of a patch in pixels. Defaults to 16.
    """

    def __init__(self, nbins=9, pool=8, window=16, patch_size=16, init_cfg=None):
        super().__init__(init_cfg)
        for name, side in (('patch', patch_size), ('window', window)):
            if side % pool:
                raise ArgumentError(
                    f'a {name} of {side} pixels is not a multiple of the HOG cell of {pool}: '
                    f'set target_generator.pool to a divisor'
                )
        self.nbins = nbins
        self.pool = pool
        self.patch_size = patch_size
        self.cells = patch_size // pool  # along a side of a patch
        #: Values of a patch: color channels x orientations x cells.
        self.out_channels = 3 * nbins * self.cells**2
        bell = torch.exp(-2 * ((torch.arange(window) - (window - 1) / 2) / window) ** 2)
        self.register_buffer('bell', bell / bell.sum(), persistent=False)

    @torch.no_grad()
    def forward(self, images):
        """Targets of images (B, 3, H, W): (B, h * w, out_channels), row-major.

        A patch is flattened as (channel, orientation, row of cells, column of cells).
        """
        grid_of(images, self.patch_size)
        return cut_patches(self._histograms(images.float()), self.cells)[0]

    def _histograms(self, images):
        """Normalized histograms of cells: (B, 3 * nbins, H / pool, W / pool)."""
        gx, gy = sobel(images)
        bins = (torch.atan2(gx, gy) / math.pi * self.nbins).floor().long() % self.nbins
        H, W = grid_of(images, len(self.bell))
        weight = torch.hypot(gx, gy) * self.bell.repeat(H)[:, None] * self.bell.repeat(W)
        # one entry per vote makes sums over cells deterministic
        votes = weight.new_zeros(*weight.shape[:2], self.nbins, *weight.shape[2:])
        votes.scatter_(2, bins[:, :, None], weight[:, :, None])
        votes = votes.unflatten(4, (-1, self.pool)).unflatten(3, (-1, self.pool)).sum((4, 6))
        return F.normalize(votes, dim=2).flatten(1, 2)

    def draw(self, targets, grid):
        """Draw targets or predictions (B, h * w, out_channels) of a grid (h, w) as glyphs.

        A line along each edge is as bright as its vote. Returns grey images (B, H, W) in [0, 1].
        """
        cells = join_patches(targets.float(), grid, self.cells)
        votes = cells.unflatten(1, (3, self.nbins)).mean(dim=1)
        # bins are angles from the y axis towards x; an edge is perpendicular to its gradient
        angles = (torch.arange(self.nbins, device=votes.device) + 0.5) * (math.pi / self.nbins)
        at = torch.arange(self.pool, device=votes.device) - (self.pool - 1) / 2
        across = at[:, None] * angles.cos()[:, None, None] + at * angles.sin()[:, None, None]
        strokes = (1.5 - across.abs()).clamp(0, 1)  # two pixels wide, (nbins, pool, pool)
        glyphs = torch.einsum('bkhw,kyx->bhywx', votes, strokes)
        return glyphs.flatten(3).flatten(1, 2).clamp(0, 1)


@MODELS.register_module()
class MaskFeat(MaskTokenPretrainer):
    """Predict histograms of oriented gradients of hidden patches (MaskFeat, section 3).

    Args:
        neck (dict): mmpretrain's ``LinearNeck`` without norm; ``in_channels`` and ``out_channels``
            are filled in.
        head (dict): mmpretrain's ``MIMHead`` with ``PixelReconstructionLoss('L2')``: the mean over
            all values of the hidden patches.
        target_generator (dict): A :class:`HOGTarget`; ``patch_size`` is filled in.
        backbone, **kwargs: As in :class:`~.base.MaskTokenPretrainer`.
    """

    def __init__(self, backbone, neck, head, target_generator, **kwargs):
        super().__init__(backbone, head=head, **kwargs)
        given = dict(patch_size=self.backbone.patch_size)
        self.target_generator = MODELS.build(target_generator, default_args=given)
        given = dict(
            in_channels=self.backbone.embed_dims, out_channels=self.target_generator.out_channels
        )
        self.neck = MODELS.build(neck, default_args=given)

    def loss(self, inputs, data_samples):
        targets, hidden = self.target_generator(inputs), hidden_ids(data_samples)
        return dict(loss_hog=self.head.loss(self._predict(inputs, hidden), take(targets, hidden)))

    @torch.no_grad()
    def reconstruct(self, inputs, data_samples):
        """Draw predicted among true features (``restored``) and true ones (``target``)."""
        side, processor = self.backbone.patch_size, self.data_preprocessor
        targets, hidden = self.target_generator(inputs), hidden_ids(data_samples)
        pred = self._predict(inputs, hidden).to(targets.dtype)
        drawn = []
        for features in (targets.scatter(1, hidden[..., None].expand_as(pred), pred), targets):
            grey = self.target_generator.draw(features, grid_of(inputs, side))
            pixels = 255 * grey[:, None].expand(-1, 3, -1, -1)
            drawn.append((pixels - processor.mean) / processor.std)
        return Reconstruction(self.hide(inputs, hidden, side), *drawn)

    def _predict(self, images, hidden):
        """Predictions for the patches ``hidden``: (B, M, out_channels)."""
        tokens = self.encode_hidden(images, hidden)
        return self.neck(tokens.flatten(0, 1))[0].unflatten(0, hidden.shape)


def sobel(images):
    """Sobel gradients, horizontal and vertical, of images (B, C, H, W) with reflected borders."""
    x = F.pad(images, (1, 1, 1, 1), mode='reflect')
    smooth_rows = x[..., :-2, :] + 2 * x[..., 1:-1, :] + x[..., 2:, :]
    smooth_columns = x[..., :-2] + 2 * x[..., 1:-1] + x[..., 2:]
    return (
        smooth_rows[..., :-2] - smooth_rows[..., 2:],
        smooth_columns[..., :-2, :] - smooth_columns[..., 2:, :],
    )
