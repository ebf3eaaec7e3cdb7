"""SimMIM on a plain ViT: predict pixels of hidden units, L1 (arXiv 2111.09886)."""

import torch

from mmlite.errors import ArgumentError
from mmlite.registry import MODELS

from ..layers import grid_of
from .base import MaskTokenPretrainer, Reconstruction, count_kept, mask_of, random_order


@MODELS.register_module()
class SimMIM(MaskTokenPretrainer):
    """Predict the normalized pixels of hidden square units with one linear layer (SimMIM).

    The encoder sees mask tokens for hidden patches. The official ViT has a bias of queries and
    values only; an additional one of keys is equivalent, as softmax cancels it.

    Args:
        neck (dict): mmpretrain's ``SimMIMLinearDecoder``: maps (B, C, h, w) to images (B, 3, H, W).
            ``in_channels`` and ``encoder_stride`` are filled in.
        head (dict): mmpretrain's ``SimMIMHead`` with ``PixelReconstructionLoss('L1', channel=3)``:
            the mean over the values of hidden pixels. ``patch_size`` is filled in.
        mask_ratio (float): Share of hidden units, rounded up. Defaults to 0.6.
        mask_unit (int): Side of a unit in pixels, a multiple of the patch size. Defaults to 32.
        backbone, **kwargs: As in :class:`~.base.MaskTokenPretrainer`.
    """

    def __init__(self, backbone, neck, head, mask_ratio=0.6, mask_unit=32, **kwargs):
        super().__init__(backbone, **kwargs)
        patch_size = self.backbone.patch_size
        if mask_unit < patch_size or mask_unit % patch_size:
            raise ArgumentError(
                f'mask_unit {mask_unit} is not a multiple of the patch size {patch_size}'
            )
        self.mask_ratio = mask_ratio
        self.mask_unit = mask_unit
        given = dict(in_channels=self.backbone.embed_dims, encoder_stride=patch_size)
        self.neck = MODELS.build(neck, default_args=given)
        self.head = MODELS.build(head, default_args=dict(patch_size=patch_size))

    def loss(self, inputs, data_samples=None, mask=None):
        """Return ``loss_recon`` for a ``mask``, bool (B, h * w), row-major, True = hidden.

        Defaults to a random one, see :func:`~.sample_noise.patch_noise`.
        """
        mask = self.draw_mask(inputs, data_samples) if mask is None else mask
        pred = self._predict(inputs, mask)
        return dict(loss_recon=self.head.loss(pred, inputs, self._as_map(mask, inputs)))

    @torch.no_grad()
    def reconstruct(self, inputs, data_samples=None):
        mask = self.draw_mask(inputs)
        side = self.backbone.patch_size
        hidden = self._as_map(mask, inputs).repeat_interleave(side, 1).repeat_interleave(side, 2)
        pred = self._predict(inputs, mask).to(inputs.dtype)
        return Reconstruction(
            masked=inputs.masked_fill(hidden[:, None], 0),
            restored=torch.where(hidden[:, None], pred, inputs),
        )

    def draw_mask(self, images, data_samples=None):
        """Random hidden patches of images (B, 3, H, W): bool (B, h * w), whole units."""
        units = grid_of(images, self.mask_unit)
        total = units[0] * units[1]
        order = random_order(len(images), total, images.device, data_samples)
        hidden = total - count_kept(total, self.mask_ratio, 'mask units')
        mask = mask_of(order[:, :hidden], total).unflatten(1, units)
        cells = self.mask_unit // self.backbone.patch_size
        return mask.repeat_interleave(cells, 1).repeat_interleave(cells, 2).flatten(1)

    def _predict(self, images, mask):
        """Predicted images (B, 3, H, W)."""
        tokens = self._as_map(self.encode_masked(images, mask), images)
        return self.neck(tokens.permute(0, 3, 1, 2))

    def _as_map(self, cells, images):
        """(B, h * w, ...) as (B, h, w, ...)."""
        return cells.unflatten(1, grid_of(images, self.backbone.patch_size))
