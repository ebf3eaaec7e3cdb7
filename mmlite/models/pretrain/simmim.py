"""SimMIM on a plain ViT: predict pixels of hidden units, L1 (arXiv 2111.09886)."""

import math

import torch

from mmlite.errors import ArgumentError
from mmlite.registry import MODELS

from .base import MaskTokenPretrainer, Reconstruction, check_divisible, mask_of, random_order


@MODELS.register_module()
class SimMIM(MaskTokenPretrainer):
    """Predict the normalized pixels of hidden square units with one linear layer (SimMIM).

    The encoder sees mask tokens for hidden patches. The official ViT has a bias of queries and
    values only; an additional one of keys is equivalent, as softmax cancels it.

    Args:
        backbone (dict): A :class:`~mmlite.models.backbones.vit.ViT` with ``out_type='raw'``.
        neck (dict): mmpretrain's ``SimMIMLinearDecoder``: maps (B, C, h, w) to images (B, 3, H, W).
            ``in_channels`` and ``encoder_stride`` are filled in.
        head (dict): mmpretrain's ``SimMIMHead`` with ``PixelReconstructionLoss('L1', channel=3)``:
            the mean over the values of hidden pixels. ``patch_size`` is filled in.
        mask_ratio (float): Share of hidden units, ``ceil(units * mask_ratio)``. Defaults to 0.6.
        mask_unit (int): Side of a unit in pixels, a multiple of the patch size. Defaults to 32.
        data_preprocessor, init_cfg: As in mmpretrain's ``BaseSelfSupervisor``.
    """

    def __init__(
        self, backbone, neck, head, mask_ratio=0.6, mask_unit=32, data_preprocessor=None,
        init_cfg=None,
    ):  # fmt: skip
        super().__init__(backbone, data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        patch_size = self.backbone.patch_size
        if mask_unit < patch_size or mask_unit % patch_size:
            raise ArgumentError(
                f'mask_unit {mask_unit} is not a multiple of the patch size {patch_size}'
            )
        self.mask_ratio = mask_ratio
        self.mask_unit = mask_unit
        count_hidden([cells * patch_size // mask_unit for cells in self.backbone.grid], mask_ratio)
        given = dict(in_channels=self.backbone.embed_dims, encoder_stride=patch_size)
        self.neck = MODELS.build(neck, default_args=given)
        self.head = MODELS.build(head, default_args=dict(patch_size=patch_size))

    def loss(self, inputs, data_samples=None, mask=None):
        """Loss of a batch: ``loss_recon``.

        Args:
            inputs (Tensor): Normalized images (B, 3, H, W).
            data_samples (list[DataSample], optional): Seeds, see
                :func:`~.sample_noise.patch_noise`.
            mask (Tensor, optional): Hidden patches, bool (B, h * w), row-major, True = hidden.
                Defaults to a random one.
        """
        mask = self.draw_mask(inputs, data_samples) if mask is None else mask
        pred = self._predict(inputs, mask)
        return dict(loss_recon=self.head.loss(pred, inputs, self._as_map(mask, inputs)))

    @torch.no_grad()
    def reconstruct(self, inputs, data_samples=None):
        """Predict the hidden pixels of normalized images (B, 3, H, W)."""
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
        check_divisible(images, self.mask_unit)
        units = [side // self.mask_unit for side in images.shape[-2:]]
        count = count_hidden(units, self.mask_ratio)
        order = random_order(len(images), units[0] * units[1], images.device, data_samples)
        mask = mask_of(order[:, :count], order.shape[1]).unflatten(1, units)
        cells = self.mask_unit // self.backbone.patch_size
        return mask.repeat_interleave(cells, 1).repeat_interleave(cells, 2).flatten(1)

    def _predict(self, images, mask):
        """Predicted images (B, 3, H, W)."""
        tokens = self.encode_masked(images, mask)[:, -mask.shape[1] :]
        features = self._as_map(tokens, images)
        return self.neck(features.permute(0, 3, 1, 2))

    def _as_map(self, cells, images):
        """(B, h * w, ...) as (B, h, w, ...)."""
        return cells.unflatten(1, [side // self.backbone.patch_size for side in images.shape[-2:]])


def count_hidden(units, mask_ratio):
    """Number of hidden ``units`` (rows, columns): ``ceil(rows * columns * mask_ratio)``."""
    total = math.prod(units)
    count = math.ceil(total * mask_ratio)
    if not 0 < count < total:
        raise ArgumentError(
            f'mask_ratio {mask_ratio} hides {count} of {units[0]}x{units[1]} mask units: hide some '
            f'but not all of them, change mask_ratio or mask_unit'
        )
    return count
