"""Base classes and masks of the pre-training methods."""

from dataclasses import dataclass

import torch
from mmpretrain.models import BaseSelfSupervisor
from timm.layers import trunc_normal_
from torch import Tensor, nn

from mmlite.errors import ArgumentError

from ..layers import cut_patches, grid_of, join_patches, take
from .sample_noise import patch_noise


@dataclass(frozen=True)
class Reconstruction:
    """Input, prediction and target of a masked method, as normalized images (B, 3, H, W)."""

    masked: Tensor  # hidden patches are 0, i.e. the mean color
    restored: Tensor  # prediction for hidden patches; visible ones unchanged
    target: Tensor | None = None  # of the prediction, if not the image itself


class MaskedPretrainer(BaseSelfSupervisor):
    """Base of the methods that hide patches of an image and predict something for them.

    Arguments are those of mmpretrain's ``BaseSelfSupervisor``. A subclass defines
    ``loss(inputs, data_samples)`` and ``reconstruct(inputs, data_samples) -> Reconstruction``, both
    of normalized images (B, 3, H, W).
    """

    def hide(self, images, hidden, patch_size, content=None):
        """Replace the patches ``hidden``, int64 (B, M), row-major, of images (B, C, H, W).

        New patches ``content`` (B, M, C * patch_size^2), channels first, default to zeros.
        """
        patches, grid = cut_patches(images, patch_size)
        index = hidden[..., None].expand(-1, -1, patches.shape[-1])
        content = torch.zeros_like(index, dtype=patches.dtype) if content is None else content
        return join_patches(patches.scatter(1, index, content.to(patches.dtype)), grid, patch_size)


class MaskTokenPretrainer(MaskedPretrainer):
    """Base of the methods whose encoder sees hidden patches as one learned token.

    Args:
        backbone (dict): A :class:`~mmlite.models.backbones.vit.ViT` with ``out_type='raw'``, or
            another whose own ``mask_token`` is used.
        **kwargs: As in :class:`MaskedPretrainer`.
    """

    def __init__(self, backbone, **kwargs):
        super().__init__(backbone, **kwargs)
        own = getattr(self.backbone, 'mask_token', None)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, self.backbone.embed_dims))
        if own is not None:
            self.mask_token = own

    def init_weights(self):
        """Initialize; the mask token is truncated normal 0.02."""
        super().init_weights()
        trunc_normal_(self.mask_token, std=0.02)

    def embed_masked(self, images, mask):
        """Tokens of images (B, 3, H, W) some of whose patches are hidden, and their grid (h, w).

        ``mask`` is bool (B, h * w), row-major, True = hidden.
        """
        grid = grid_of(images, self.backbone.patch_size)
        patches, _ = self.backbone.patchify(images)
        if mask.shape != patches.shape[:2]:
            raise ArgumentError(
                f'the mask has {mask.shape[1]} cells but images of {tuple(images.shape[-2:])} '
                f'pixels have {grid[0]}x{grid[1]} patches: set that size in the mask generator'
            )
        patches = torch.where(mask[..., None], self.mask_token.to(patches.dtype), patches)
        return self.backbone.add_positions(patches, grid), grid

    def encode_masked(self, images, mask):
        """Normalized tokens (B, h * w, C) of :meth:`embed_masked` after the last block."""
        tokens, grid = self.embed_masked(images, mask)
        tokens, _ = self.backbone.encode(tokens, context=grid)
        return self.backbone.norm(tokens)[:, -mask.shape[1] :]

    def encode_hidden(self, images, hidden):
        """Tokens (B, M, C) of the patches ``hidden``, int64 (B, M), from :meth:`encode_masked`."""
        h, w = grid_of(images, self.backbone.patch_size)
        return take(self.encode_masked(images, mask_of(hidden, h * w)), hidden)


def hidden_ids(data_samples):
    """Hidden patches, int64 (B, M), that :class:`~mmlite.datasets.BlockwiseMask` chose."""
    if not data_samples or any('hidden_ids' not in sample for sample in data_samples):
        raise ArgumentError(
            "the data samples have no 'hidden_ids': put mmlite.BlockwiseMask and "
            "PackInputs(algorithm_keys=['hidden_ids']) into the pipeline"
        )
    ids = [sample.hidden_ids for sample in data_samples]
    counts = {len(i) for i in ids}
    if len(counts) > 1:
        raise ArgumentError(
            f'images of one batch hide {min(counts)} to {max(counts)} patches: the mask generator '
            f'must hide the same number in every image'
        )
    return torch.stack(ids)


def mask_of(ids, length):
    """Bool mask (B, length) that is True at ``ids``, int64 (B, M)."""
    mask = torch.zeros(len(ids), length, dtype=torch.bool, device=ids.device)
    return mask.scatter(1, ids, True)


def random_order(batch, length, device, data_samples=None):
    """Random permutations of ``range(length)``, int64 (batch, length); see ``patch_noise``."""
    return patch_noise(batch, length, device, data_samples).argsort(dim=1)


def count_kept(length, mask_ratio, unit='patches'):
    """Number of visible patches, ``length * (1 - mask_ratio)`` rounded down."""
    kept = int(round(length * (1 - mask_ratio), 6))  # 10 * (1 - 0.9) is a little less than 1
    if not 0 < kept < length:
        raise ArgumentError(
            f'mask_ratio {mask_ratio} leaves {kept} of {length} {unit} visible: choose a ratio '
            f'between {1 / length:.3g} and {1 - 1 / length:.3g}'
        )
    return kept
