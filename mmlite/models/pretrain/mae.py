"""MAE, D-MAE and D2-MAE on a plain ViT and on Hiera."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mmlite.errors import ArgumentError
from mmlite.registry import MODELS

from ..backbones.hiera import UNIT, UNIT_LEVELS
from ..layers import grid_of, kept_first
from .base import MaskedPretrainer, Reconstruction, count_kept, mask_of, random_order
from .hiera_fusion import unit_cells


@dataclass(frozen=True)
class Visible:
    """Visible part of images; cells are those of the decoder's grid."""

    embed: dict  # further arguments of a backbone's ``embed``
    shown: Tensor  # int64 (B, K), in the order of the tokens
    hidden: Tensor  # int64 (B, M)


@MODELS.register_module()
class MAE(MaskedPretrainer):
    """Masked autoencoder (arXiv 2111.06377) with optional distillation (arXiv 2404.12210).

    Encoder and teacher see the visible patches only. D-MAE distills the last block and decodes
    after it. D2-MAE decodes from the middle (``decode_from='blocks.7'``) and distills an extra
    attention block (:class:`~.distill.AttentionLogits` as adapter).

    Args:
        backbone (dict): A :class:`~mmlite.models.backbones.vit.ViT`, ``out_type='raw'``.
        neck (dict, optional): Decoder, a :class:`~.decoder.MaskedDecoder`; without one, the model
            learns by distillation alone.
        head (dict, optional): Loss of the decoder, a :class:`~.pixels.PixelHead`.
        mask_ratio (float): Share of hidden patches. Defaults to 0.75.
        decode_from (str, optional): Tap ``blocks.I`` that feeds the decoder through the encoder's
            final norm. Defaults to the last block.
        distill (dict, optional): A :class:`~.distill.Distillation`.
        **kwargs: As in :class:`~.base.MaskedPretrainer`.
    """

    def __init__(
        self, backbone, neck=None, head=None, mask_ratio=0.75, decode_from=None, distill=None,
        **kwargs,
    ):  # fmt: skip
        super().__init__(backbone, neck, head, **kwargs)
        if neck is None and distill is None:
            raise ArgumentError('nothing to learn: set neck and head, or distill, or all of them')
        if (neck is None) != (head is None):
            raise ArgumentError(
                'neck (the decoder) and head (its loss) go together: set both or neither'
            )
        self.mask_ratio = mask_ratio
        self.distill = distill and MODELS.build(distill, default_args=dict(student=self.backbone))
        self.decode_taps = self._decode_taps(decode_from) if self.with_neck else ()
        self.taps = {*self.decode_taps, *(self.distill.student_taps if distill else ())}
        self.backbone.group_taps(self.taps)

    def _decode_taps(self, decode_from):
        return (decode_from or f'blocks.{len(self.backbone.blocks) - 1}',)

    def loss(self, inputs, data_samples=None, ids_shuffle=None):
        """Return ``loss_recon``, and one loss per distilled pair.

        ``ids_shuffle`` is the order of the patches, int64 (B, N), of which the first
        ``int(N * (1 - mask_ratio))`` are visible. Defaults to a random one, from the seeds of
        ``data_samples`` (:func:`~.sample_noise.patch_noise`).
        """
        return self._losses(inputs, self._choose(inputs, ids_shuffle, data_samples))

    def _losses(self, images, visible):
        tapped = self._encode(images, visible)
        losses = {}
        if self.with_neck:
            pred = self.neck(self._latent(tapped), visible.shown, visible.hidden)
            losses['loss_recon'] = self.head.loss(pred, images, visible.hidden)
        if self.distill is not None:
            losses |= self.distill(images, visible.embed, tapped)
        return losses

    @torch.no_grad()
    def reconstruct(self, inputs, data_samples=None):
        if not self.with_neck:
            raise ArgumentError('this model has no decoder: it learns by distillation alone')
        visible = self._choose(inputs)
        latent = self._latent(self._encode(inputs, visible))
        pred = self.neck(latent, visible.shown, visible.hidden)
        pixels = self.head.pixels(pred, inputs, visible.hidden)
        side = self.head.patch_size
        masked = self.hide(inputs, visible.hidden, side)
        return Reconstruction(masked, self.hide(inputs, visible.hidden, side, pixels))

    def _encode(self, images, visible):
        tokens = self.backbone.embed(images, **visible.embed)
        context = self.backbone.context(images, **visible.embed)
        return self.backbone.encode(tokens, self.taps, context, until_last_tap=True)[1]

    def _choose(self, images, ids_shuffle=None, data_samples=None):
        h, w = self._grid(images, self.backbone.patch_size)
        length = h * w
        kept = count_kept(length, self.mask_ratio)
        if ids_shuffle is None:
            ids_shuffle = random_order(len(images), length, images.device, data_samples)
        keep, hidden = ids_shuffle[:, :kept], ids_shuffle[:, kept:]
        return Visible(dict(keep=keep), keep, hidden)

    def _latent(self, tapped):
        """Input of the decoder, (B, P + K, C)."""
        (tap,) = self.decode_taps
        return self.backbone.norm(tapped[tap])

    def _grid(self, images, patch_size):
        """Cells (h, w) of the decoder's grid; the images must match it."""
        grid = grid_of(images, patch_size)
        if self.with_neck and self.neck.grid != grid:
            raise ArgumentError(
                f'images of {images.shape[-2]}x{images.shape[-1]} pixels have {grid[0]}x{grid[1]} '
                f'patches, but the decoder is built for {self.neck.grid[0]}x{self.neck.grid[1]}: '
                f'set model.neck.grid'
            )
        return grid


@MODELS.register_module()
class HieraMAE(MAE):
    """:class:`MAE` on Hiera (arXiv 2306.00989, section 3): hides mask units of 32 x 32 pixels.

    Args:
        backbone (dict): A :class:`~mmlite.models.backbones.hiera.Hiera`, ``out_type='raw'`` and
            ``final_norm=False``, ``q_pool=2``.
        fusion (dict, optional): A :class:`~.hiera_fusion.MultiScaleFusion`, which feeds the decoder
            (instead of ``decode_from``). Required with a decoder.
        mask_ratio (float): Share of hidden units. Defaults to 0.4 (MAE-Lite; 0.6 in Hiera).
        **kwargs: As in :class:`MAE`.
    """

    def __init__(self, backbone, fusion=None, mask_ratio=0.4, **kwargs):
        self._fusion_stages = tuple((fusion or {}).get('stages', (0, 1, 3)))
        super().__init__(backbone, mask_ratio=mask_ratio, **kwargs)
        if self.with_neck != (fusion is not None):
            raise ArgumentError('fusion feeds the decoder (neck): set both or neither')
        stages = range(len(self.backbone.stage_dims))
        self.sides = [2 ** (UNIT_LEVELS - min(s, self.backbone.q_pool)) for s in stages]
        given = dict(stage_dims=self.backbone.stage_dims, sides=self.sides)
        self.fusion = fusion and MODELS.build(fusion, default_args=given)

    def _decode_taps(self, decode_from):
        if decode_from is not None:
            raise ArgumentError('decode_from is not supported for Hiera: set fusion.stages instead')
        return tuple(f'blocks.{self.backbone.stage_ends[s]}' for s in self._fusion_stages)

    def loss(self, inputs, data_samples=None, mask=None):
        """Losses of a batch, see :meth:`MAE.loss`.

        ``mask`` holds the visible mask units, bool (B, U), row-major, True = visible, the same
        number in every image; defaults to a random one.
        """
        return self._losses(inputs, self._choose(inputs, mask, data_samples))

    def _choose(self, images, mask=None, data_samples=None):
        grid = grid_of(images, UNIT)
        side = self.sides[-1]
        self._grid(images, UNIT // side)
        units = grid[0] * grid[1]
        kept = count_kept(units, self.mask_ratio, 'mask units')
        if mask is None:
            order = random_order(len(images), units, images.device, data_samples)
            mask = mask_of(order[:, :kept], units)
        else:
            kept = int(mask[0].sum())
        order = kept_first(mask)
        return Visible(
            dict(mask=mask, num_keep=kept),
            unit_cells(order[:, :kept], grid, side),
            unit_cells(order[:, kept:], grid, side),
        )

    def _latent(self, tapped):
        return self.fusion(
            [
                self.backbone.unit_maps(tapped[tap], stage)
                for tap, stage in zip(self.decode_taps, self._fusion_stages, strict=True)
            ]
        )
