"""Tokenizer of images into grids of discrete codes, trained by reconstruction."""

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce, broadcast
from mmengine.model import BaseModel
from torch import nn

from mmlite.errors import ArgumentError
from mmlite.registry import MODELS

from ..layers import grid_of

GROUPS = 8


@MODELS.register_module()
class DiscreteTokenizer(BaseModel):
    """Convolutional autoencoder with a codebook between its halves (VQ-VAE, arXiv 1711.00937).

    Features and codes have unit length, and codes are EMAs (BEiT v2, arXiv 2208.06366, section
    2.1). For :class:`~.beit.BEiT`, an image of half the size has a code for every patch of 16
    pixels.

    Args:
        vocab_size (int): Number of codes. Defaults to 8192.
        embed_dims (int): Channels of a code. Defaults to 32.
        channels (Sequence[int]): Channels after each halving of the image, multiples of 8.
            Defaults to (64, 128, 256), of stride 8.
        depth (int): Residual blocks of either half, at the lowest resolution. Defaults to 2.
        beta (float): Weight of the loss that keeps features close to their codes. Defaults to 0.25.
        decay (float): Of the EMAs. Defaults to 0.99.
        revive_below (float): A code whose share of use falls below this part of ``1 / vocab_size``
            is replaced by a feature of the current batch. Defaults to 0.1.
        data_preprocessor (dict, optional): Defaults to mmpretrain's ``SelfSupDataPreprocessor``.
    """

    def __init__(
        self, vocab_size=8192, embed_dims=32, channels=(64, 128, 256), depth=2, beta=0.25,
        decay=0.99, revive_below=0.1, data_preprocessor=None, init_cfg=None,
    ):  # fmt: skip
        processor = dict(data_preprocessor or {})
        processor.setdefault('type', 'mmpretrain.SelfSupDataPreprocessor')
        super().__init__(processor, init_cfg)
        wrong = [width for width in channels if width % GROUPS]
        if wrong:
            raise ArgumentError(f'channels {wrong[0]} is not a multiple of {GROUPS}')
        self.vocab_size = vocab_size
        self.beta = beta
        self.stride = 2 ** len(channels)
        *_, width = channels
        self.encoder = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(before, after, 4, 2, 1), nn.GELU())
                for before, after in zip((3, *channels[:-1]), channels, strict=True)
            ),
            *(ResidualBlock(width) for _ in range(depth)),
            nn.Conv2d(width, embed_dims, 1, bias=False),
            # spreads features over the sphere; without it they collapse to one code
            nn.BatchNorm2d(embed_dims, affine=False),
        )
        self.codebook = Codebook(vocab_size, embed_dims, decay, revive_below)
        self.decoder = nn.Sequential(
            nn.Conv2d(embed_dims, width, 1),
            *(ResidualBlock(width) for _ in range(depth)),
            *(
                nn.Sequential(nn.ConvTranspose2d(before, after, 4, 2, 1), nn.GELU())
                for before, after in zip(
                    channels[::-1], (*channels[-2::-1], channels[0]), strict=True
                )
            ),
            nn.Conv2d(channels[0], 3, 3, padding=1),
        )

    def forward(self, inputs, data_samples=None, mode='tensor'):
        """Codes, int64 (B, h * w), row-major, of normalized images, or :meth:`loss` of them."""
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        if mode == 'tensor':
            return self.codebook.nearest(self._features(inputs)).flatten(1)
        raise ArgumentError(f"mode '{mode}' is unknown: choose 'tensor' or 'loss'")

    def loss(self, inputs, data_samples=None):
        """Losses of images and of their features; in training mode, the codebook learns too.

        For the log, ``perplexity`` is the effective number of used codes, ``dead_codes`` the share
        of replaced ones.
        """
        features = self._features(inputs)
        codes, stats = self.codebook(features)
        # straight-through gradient from the codes to the features
        quantized = features + (codes - features).detach()
        decoded = self.decoder(quantized.permute(0, 3, 1, 2))
        return dict(
            loss_recon=F.mse_loss(decoded.float(), inputs),
            loss_commit=self.beta * F.mse_loss(features, codes),
            **stats,
        )

    def decode(self, ids):
        """Decode codes, int64 (B, h, w), to normalized images (B, 3, h * stride, w * stride)."""
        return self.decoder(self.codebook.codes[ids].permute(0, 3, 1, 2))

    def _features(self, images):
        """Unit features (B, h, w, embed_dims) in float32."""
        grid_of(images, self.stride)
        return F.normalize(self.encoder(images).permute(0, 2, 3, 1).float(), dim=-1)


class Codebook(nn.Module):
    """Unit vectors that follow the features closest to them; see :class:`DiscreteTokenizer`.

    Like mmpretrain's ``NormEMAVectorQuantizer``, but one codebook on all GPUs, without a one-hot
    matrix, and constant in evaluation mode.
    """

    def __init__(self, vocab_size, embed_dims, decay, revive_below):
        super().__init__()
        self.decay = decay
        self.revive_below = revive_below
        self.register_buffer('codes', F.normalize(torch.randn(vocab_size, embed_dims), dim=-1))
        #: EMA of every code's share; all are dead, and replaced, at the first step.
        self.register_buffer('usage', torch.zeros(vocab_size))

    def nearest(self, features):
        """Closest codes, int64 (...), of unit features (..., embed_dims)."""
        with torch.autocast(features.device.type, enabled=False):
            return (features.flatten(0, -2) @ self.codes.t()).argmax(1).view(features.shape[:-1])

    @torch.no_grad()
    def forward(self, features):
        """Closest codes of unit features (..., embed_dims), and a dict for the log."""
        flat = features.flatten(0, -2)
        dead = self._revive(flat) if self.training else self._dead()
        ids = self.nearest(flat)
        codes = self.codes[ids].view_as(features)
        counts = self.usage.new_zeros(len(self.usage)).index_add_(0, ids, flat.new_ones(len(ids)))
        all_reduce(counts)
        if self.training:
            self._follow(flat, ids, counts)
        share = counts / counts.sum()
        perplexity = torch.exp(-torch.xlogy(share, share).sum())
        return codes, dict(perplexity=perplexity, dead_codes=dead.float().mean())

    def _dead(self):
        """Which codes are out of use, bool (codes,)."""
        return self.usage < self.revive_below / len(self.usage)

    def _revive(self, features):
        """Replace dead codes by random features (N, C), the same on all GPUs."""
        dead = self._dead()
        chosen = torch.randint(len(features), dead.shape, device=features.device)
        sampled = features[chosen]
        broadcast(sampled)
        self.codes.copy_(torch.where(dead[:, None], sampled, self.codes))
        self.usage.masked_fill_(dead, 1 / len(dead))
        return dead

    def _follow(self, features, ids, counts):
        """Move codes towards the mean direction of their features (N, C) on all GPUs."""
        sums = torch.zeros_like(self.codes).index_add_(0, ids, features)
        all_reduce(sums)
        moved = F.normalize(self.codes.lerp(F.normalize(sums, dim=-1), 1 - self.decay), dim=-1)
        self.codes.copy_(torch.where(counts[:, None] > 0, moved, self.codes))
        self.usage.lerp_(counts / counts.sum(), 1 - self.decay)


class ResidualBlock(nn.Module):
    """``x + conv1x1(conv3x3(x))`` with group norm and GELU before each convolution."""

    def __init__(self, channels):
        super().__init__()
        self.layers = nn.Sequential(
            nn.GroupNorm(GROUPS, channels),
            nn.GELU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.GroupNorm(GROUPS, channels),
            nn.GELU(),
            nn.Conv2d(channels, channels, 1),
        )

    def forward(self, x):
        return x + self.layers(x)
