"""SimMIM on a plain ViT and on Swin: predict pixels of hidden units, L1 (arXiv 2111.09886)."""

import torch

from mmlite.errors import ArgumentError
from mmlite.registry import MODELS

from ..layers import grid_of
from .base import MaskTokenPretrainer, Reconstruction, count_kept, mask_of, random_order


@MODELS.register_module()
class SimMIM(MaskTokenPretrainer):
    """Predict the normalized pixels of hidden square units (SimMIM), optionally with distillation.

    The encoder sees mask tokens for hidden patches. The official ViT has a bias of queries and
    values only; an additional one of keys is equivalent, as softmax cancels it.

    Args:
        neck (dict): mmpretrain's ``SimMIMLinearDecoder`` or a :class:`~.swin_decoder.SwinDecoder`:
            maps (B, C, h, w) to images (B, 3, H, W). ``in_channels`` and ``encoder_stride`` default
            to those of a ViT.
        head (dict): mmpretrain's ``SimMIMHead`` with ``PixelReconstructionLoss('L1', channel=3)``:
            the mean over the values of hidden pixels. ``patch_size`` is filled in.
        mask_ratio (float): Share of hidden units, rounded up. Defaults to 0.6.
        mask_unit (int): Side of a unit in pixels, a multiple of the patch size. Defaults to 32.
        decode_from (str): Tap that feeds the neck. Defaults to ``'norm'``, the last block through
            the final norm.
        distill (dict, optional): A :class:`~.distill.Distillation`, whose teacher, a
            :class:`~mmlite.models.backbones.swin.Swin`, sees its own mask tokens.
        backbone, **kwargs: As in :class:`~.base.MaskTokenPretrainer`.
    """

    def __init__(
        self, backbone, neck, head, mask_ratio=0.6, mask_unit=32, decode_from='norm', distill=None,
        **kwargs,
    ):  # fmt: skip
        super().__init__(backbone, **kwargs)
        patch_size = self.backbone.patch_size
        if mask_unit < patch_size or mask_unit % patch_size:
            raise ArgumentError(
                f'mask_unit {mask_unit} is not a multiple of the patch size {patch_size}'
            )
        self.mask_ratio = mask_ratio
        self.mask_unit = mask_unit
        neck = dict(in_channels=self.backbone.embed_dims, encoder_stride=patch_size) | neck
        self.stride = neck['encoder_stride']
        self.neck = MODELS.build(neck)
        self.head = MODELS.build(head, default_args=dict(patch_size=patch_size))
        self.decode_from = decode_from
        self.distill = distill and MODELS.build(distill, default_args=dict(student=self.backbone))
        if distill and getattr(self.distill.teacher, 'mask_token', None) is None:
            raise ArgumentError(
                'the teacher of SimMIM sees hidden patches: set distill.teacher to a mmlite.Swin '
                'with mask_token=True'
            )
        self.taps = {decode_from, *(self.distill.student_taps if distill else ())}
        self.backbone.group_taps(self.taps)

    def loss(self, inputs, data_samples=None, mask=None):
        """Return ``loss_recon``, and one loss per distilled pair.

        ``mask`` is bool (B, h * w), row-major, True = hidden. Defaults to a random one,
        see :func:`~.sample_noise.patch_noise`.
        """
        mask = self.draw_mask(inputs, data_samples) if mask is None else mask
        tapped = self._encode(inputs, mask)
        pred = self._decode(tapped, inputs)
        losses = dict(loss_recon=self.head.loss(pred, inputs, self._as_map(mask, inputs)))
        if self.distill is not None:
            losses |= self.distill(inputs, dict(mask=mask), tapped)
        return losses

    @torch.no_grad()
    def reconstruct(self, inputs, data_samples=None):
        mask = self.draw_mask(inputs)
        side = self.backbone.patch_size
        hidden = self._as_map(mask, inputs).repeat_interleave(side, 1).repeat_interleave(side, 2)
        pred = self._decode(self._encode(inputs, mask), inputs).to(inputs.dtype)
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

    def _encode(self, images, mask):
        tokens, grid = self.embed_masked(images, mask)
        return self.backbone.encode(tokens, self.taps, grid, until_last_tap=True)[1]

    def _decode(self, tapped, images):
        """Predicted images (B, 3, H, W)."""
        h, w = grid_of(images, self.stride)
        tokens = tapped[self.decode_from][:, -h * w :]  # without the class token
        return self.neck(tokens.transpose(1, 2).unflatten(2, (h, w)))

    def _as_map(self, cells, images):
        """(B, h * w, ...) as (B, h, w, ...)."""
        return cells.unflatten(1, grid_of(images, self.backbone.patch_size))
