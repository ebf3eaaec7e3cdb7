"""BootMAE: predict pixels, and features of the encoder's EMA."""

import torch
import torch.nn.functional as F

from mmlite.errors import ArgumentError
from mmlite.registry import MODELS

from ..backbones import ViT
from ..layers import cut_patches, grid_of, take
from .base import MaskedPretrainer, Reconstruction, count_kept, hidden_ids, mask_of
from .momentum import MomentumMixin, check_points, piecewise_linear, training_progress
from .sample_noise import patch_noise

MAX_ROLL = 3


@MODELS.register_module()
class BootMAE(MomentumMixin, MaskedPretrainer):
    """Bootstrapped masked autoencoder (arXiv 2207.07116) on a plain ViT.

    The encoder sees the visible patches. A pixel decoder attends to its first block, a feature
    decoder, which predicts the features of the encoder's EMA for the whole image, to its last.
    Targets are computed for hidden patches only.

    Args:
        backbone (dict): A :class:`~mmlite.models.backbones.vit.ViT`, ``out_type='raw'``.
        pixel_decoder, feature_decoder (dict): A :class:`~.bootmae_decoder.BootMAEDecoder` each;
            the model sets ``in_channels`` and ``out_channels``.
        mask_ratio (float): Final share of hidden patches: blocks of the pipeline's
            :class:`~mmlite.datasets.BlockwiseMask` and single ones. Defaults to 0.75 (147 of 196).
        momentum (Sequence[tuple[float, float]]): Points (share of training, momentum) of the
            piecewise linear momentum of the EMA. Defaults to the official schedule.
        feature_ramp (float): Share of training over which the weight of the feature loss grows
            linearly from 0 to 1. Defaults to 0.25.
        **kwargs: As in :class:`~.base.MaskedPretrainer`.
    """

    def __init__(
        self, backbone, pixel_decoder, feature_decoder, mask_ratio=0.75,
        momentum=((0.0, 0.999), (0.25, 0.9999), (1.0, 0.99999)), feature_ramp=0.25, **kwargs,
    ):  # fmt: skip
        super().__init__(backbone, **kwargs)
        if not isinstance(self.backbone, ViT) or self.backbone.out_type != 'raw':
            raise ArgumentError("BootMAE requires backbone=dict(type='mmlite.ViT', out_type='raw')")
        check_points('momentum', momentum)
        if not 0 < feature_ramp <= 1:
            raise ArgumentError(f'feature_ramp {feature_ramp} must be > 0 and <= 1')
        self.mask_ratio = mask_ratio
        self.momentum = momentum
        self.feature_ramp = feature_ramp
        dim, values = self.backbone.embed_dims, self.backbone.patch_embed.proj.weight[0].numel()
        self.pixel_decoder = MODELS.build(dict(pixel_decoder, in_channels=dim, out_channels=values))
        self.feature_decoder = MODELS.build(
            dict(feature_decoder, in_channels=dim, out_channels=dim)
        )
        self.low, self.high = 'blocks.0', f'blocks.{len(self.backbone.blocks) - 1}'
        self.add_momentum_encoder('backbone', always_eval=True)

    def loss(self, inputs, data_samples):
        """Return ``loss_pixel``, and ``loss_feature`` times its current weight."""
        iteration, last = training_progress()
        self.update_momentum_encoder(piecewise_linear(self.momentum, iteration / last))
        shown, hidden, grid = self._choose(inputs, data_samples)
        latent, tapped = self._encode(inputs, shown)
        weight = boundary_weight(hidden, grid)

        pixels = self.pixel_decoder(latent, tapped[self.low], hidden, grid)
        target, _, _ = self.pixel_target(inputs, hidden)
        loss_pixel = weighted_error(pixels, target, weight)

        features = self.feature_decoder(latent, tapped[self.high], hidden, grid)
        ramp = min((iteration + 1) / last / self.feature_ramp, 1.0)
        features, target = (
            F.layer_norm(x.float(), x.shape[-1:], eps=1e-6)
            for x in (features, self.feature_target(inputs, hidden))
        )
        return dict(
            loss_pixel=loss_pixel, loss_feature=ramp * weighted_error(features, target, weight)
        )

    def pixel_target(self, images, hidden):
        """Normalize hidden patches (B, M) by channel with their mean and biased variance (+ 1e-5).

        Returns the target (B, M, C * patch_size^2), mean and deviation (B, M, C, 1).
        """
        patches, _ = cut_patches(images, self.backbone.patch_size)
        channels = take(patches, hidden).float().unflatten(-1, (images.shape[1], -1))
        mean = channels.mean(dim=-1, keepdim=True)
        std = (channels.var(dim=-1, keepdim=True, correction=0) + 1e-5).sqrt()
        return ((channels - mean) / std).flatten(2), mean, std

    @torch.no_grad()
    def feature_target(self, images, hidden):
        """Output of the EMA's last block (B, M, C), without final norm, for whole images."""
        encoder = self.momentum_encoder.backbone
        tokens, _ = encoder.encode(encoder.embed(images), context=encoder.context(images))
        return take(tokens[:, encoder.num_prefix_tokens :], hidden)

    @torch.no_grad()
    def reconstruct(self, inputs, data_samples):
        """Predict the hidden pixels, with the true mean and deviation of each patch."""
        shown, hidden, grid = self._choose(inputs, data_samples)
        latent, tapped = self._encode(inputs, shown)
        pixels = self.pixel_decoder(latent, tapped[self.low], hidden, grid)
        _, mean, std = self.pixel_target(inputs, hidden)
        pixels = (pixels.float().unflatten(-1, (inputs.shape[1], -1)) * std + mean).flatten(2)
        side = self.backbone.patch_size
        masked = self.hide(inputs, hidden, side)
        return Reconstruction(masked, self.hide(inputs, hidden, side, pixels))

    def _encode(self, images, shown):
        """Normalized visible tokens (B, K (+ 1), C), and the outputs of first and last block."""
        tokens = self.backbone.embed(images, keep=shown)
        context = self.backbone.context(images, keep=shown)
        tokens, tapped = self.backbone.encode(tokens, (self.low, self.high), context)
        return self.backbone.norm(tokens), tapped

    def _choose(self, images, data_samples):
        """Visible and hidden patches, int64 (B, K) and (B, M), and the grid (h, w)."""
        grid = grid_of(images, self.backbone.patch_size)
        length = grid[0] * grid[1]
        kept = count_kept(length, self.mask_ratio)
        blocks = hidden_ids(data_samples)
        if blocks.shape[1] > length - kept:
            raise ArgumentError(
                f'the masks of the pipeline hide {blocks.shape[1]} of {length} patches, more than '
                f'the {length - kept} of mask_ratio {self.mask_ratio}: reduce num_masking_patches'
            )
        order = masking_order(mask_of(blocks, length), data_samples=data_samples)
        return order[:, :kept], order[:, kept:], grid


def masking_order(mask, shift=None, data_samples=None):
    """Order of patches, int64 (B, N), those in the blocks of ``mask`` last, each part at random.

    Rolling by ``shift`` places, by default 0 to 3 at random per batch, uncovers some in the blocks.
    """
    noise = patch_noise(*mask.shape, mask.device, data_samples)
    # on the host: no synchronization
    shift = int(torch.randint(MAX_ROLL + 1, ())) if shift is None else shift
    return (noise + mask).argsort(dim=1).roll(shift, dims=1)


def boundary_weight(hidden, grid):
    """Weight of hidden patches (B, M): 1 + the share of hidden ones among the 3 x 3 around them."""
    mask = mask_of(hidden, grid[0] * grid[1]).float()
    around = F.avg_pool2d(mask.view(-1, 1, *grid), 3, stride=1, padding=1).flatten(1)
    return 1 + around.gather(1, hidden)


def weighted_error(pred, target, weight):
    """Mean of squared errors (B, M, D) with a weight (B, M) of each patch."""
    return (weight * (pred.float() - target).square().mean(dim=-1)).mean()
