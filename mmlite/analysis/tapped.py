"""Reads what the layers of a backbone compute from images: features and attention logits."""

from contextlib import ExitStack
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from mmlite.errors import ArgumentError, UserError
from mmlite.models.backbones.base import Backbone
from mmlite.models.backbones.hiera import UNIT, UNIT_LEVELS, Hiera
from mmlite.models.backbones.staged import STRIDE, StagedBackbone
from mmlite.models.layers import unroll

VIT_PATCH = 16  # px; of Hiera and Swin, whose tokens grow, distances count in the same patches


class TappedModel:
    """A backbone that reads raw pixels, and gives what its layers compute, without masks.

    Pixels are RGB uint8 (B, 3, H, W), of whole patches or mask units; ``mean``, ``std`` (0 to 255)
    and ``rgb`` are those of the backbone's own input. Values are reduced block by block: those of
    all blocks are never in memory at once. A backbone without taps is a UserError.
    """

    def __init__(self, name, backbone, mean, std, rgb=True):
        if not isinstance(backbone, Backbone):
            raise UserError(
                f'{name}: the layers of {type(backbone).__name__} cannot be read; only mmlite.ViT, '
                f'mmlite.Hiera, mmlite.Swin and mmlite.TimmViT have taps'
            )
        self.name = name
        self.backbone = backbone.eval().requires_grad_(False)
        self.mean, self.std = (torch.as_tensor(v).float().view(3, 1, 1) for v in (mean, std))
        self.rgb = rgb
        self.is_hiera = isinstance(backbone, Hiera)
        self.is_staged = isinstance(backbone, StagedBackbone)
        self.num_prefix = backbone.num_prefix_tokens
        self.patch_size = VIT_PATCH if self.is_staged else backbone.patch_size

    @property
    def device(self):
        return next(self.backbone.parameters()).device

    @property
    def image_size(self):
        """int: Side in pixels of the images that the backbone is built for."""
        if self.is_staged:
            return self.backbone.img_size
        return max(self.backbone.grid) * self.backbone.patch_size

    @property
    def global_blocks(self):
        """list[int]: Blocks, from 0, in which every token attends to all."""
        blocks = self.backbone.blocks
        if self.is_hiera:
            local = [block.attn.local for block in blocks]
        elif self.is_staged:  # one window holds the map of an image of ``image_size``
            side = self.image_size // STRIDE
            local = [block.grid((side, side))[0] != block.window_size for block in blocks]
        else:
            local = [block.window_size for block in blocks]
        return [index for index, is_local in enumerate(local) if not is_local]

    def to(self, device):
        """Move to a device; returns self."""
        self.backbone.to(device)
        self.mean, self.std = self.mean.to(device), self.std.to(device)
        return self

    def normalise(self, pixels):
        """Pixels as input of the backbone; an ArgumentError where they are not of whole cells."""
        cell = UNIT if self.is_staged else self.patch_size
        H, W = pixels.shape[-2:]
        if H % cell or W % cell:
            raise ArgumentError(
                f'{self.name} cuts images into squares of {cell} pixels, into which {H}x{W} do not '
                f'divide'
            )
        pixels = pixels.to(self.device).float()
        return ((pixels if self.rgb else pixels.flip(1)) - self.mean) / self.std

    def features(self, pixels, reduce):
        """Features of the depth + 1 layers of MAE-Lite's CKA, without the class token.

        Layer i is the input of block i + 1 after its first norm, so that 0 is the embedding; the
        last is the output of the last block after the final norm (``norm``, or ``fc_norm`` of a
        backbone that pools before), or after a norm without weights where the backbone has none.
        Each (B, N, C), Hiera's tokens in unrolled order, is passed through ``reduce``.
        """
        taps = [f'blocks.{index}.norm1' for index in range(len(self.backbone.blocks))]
        tokens, found = self._encode(
            pixels, taps, lambda _, tensor: reduce(tensor[:, self.num_prefix :])
        )
        norm = getattr(self.backbone, self.backbone.norm_name)
        if isinstance(norm, nn.Identity):
            norm = partial(F.layer_norm, normalized_shape=tokens.shape[-1:], eps=1e-6)
        last = reduce(norm(tokens)[:, self.num_prefix :])
        return [*(found[tap] for tap in taps), last]

    def attention_logits(self, pixels, reduce):
        """Scaled logits before softmax of the blocks that attend globally, by block.

        ``reduce`` is called with the block, from 0, and its logits (B, heads, Q, K), the class
        token first where there is one; positions are those of :meth:`places`.
        """
        taps = {index: f'blocks.{index}.attn_logits' for index in self.global_blocks}
        _, found = self._encode(pixels, taps.values(), reduce, until_last_tap=True)
        return {index: found[tap] for index, tap in taps.items()}

    @torch.no_grad()
    def _encode(self, pixels, taps, reduce, **options):
        """Tokens of the last block, and every tap reduced as soon as its block has run."""

        def replace(index, module, args, output):
            tokens, tapped = output
            return tokens, {kind: reduce(index, tensor) for kind, tensor in tapped.items()}

        images = self.normalise(pixels)
        patch = STRIDE if self.is_staged else self.patch_size
        grid = tuple(side // patch for side in images.shape[-2:])
        with ExitStack() as hooks:
            for index, block in enumerate(self.backbone.blocks):
                hooks.enter_context(block.register_forward_hook(partial(replace, index)))
            tokens = self.backbone.embed(images)
            return self.backbone.encode(tokens, list(taps), grid, **options)

    def places(self, image_size):
        """Places of queries and keys, without the class token, in an image of (H, W) pixels.

        For each block a pair (x, y) of centres in pixels, float32 (Q, 2) and (K, 2). Hiera's go
        through its own unrolling and pooling: a pooled query lies in the centre of its cell.
        """
        blocks = self.backbone.blocks
        if not self.is_hiera:
            stages = (getattr(block, 'stage', None) for block in blocks)
            steps = (self.patch_size if s is None else STRIDE * 2**s for s in stages)
            cells = (cell_centres(image_size, s).flatten(0, 1).to(self.device) for s in steps)
            return [(places, places) for places in cells]
        keys = unroll(cell_centres(image_size, STRIDE)[None], UNIT_LEVELS)[0].to(self.device)
        places = []
        for block in blocks:
            queries = keys.unflatten(0, (4, -1)).mean(dim=0) if block.attn.pool else keys
            places.append((queries, keys))
            keys = queries
        return places


def cell_centres(image_size, step):
    """Centres of the cells of an image: (x, y) in pixels, float32 (H / step, W / step, 2)."""
    y, x = ((torch.arange(side // step) + 0.5) * step for side in image_size)
    return torch.stack(torch.meshgrid(x, y, indexing='xy'), dim=-1)
