"""Images as sequences of patches, and selection of tokens, as pure functions."""

import torch

from mmlite.errors import ArgumentError


def cut_patches(images, size, channels_last=False):
    """Cut images (B, C, H, W) into patches of ``size`` pixels: (B, h * w, C * size^2), and (h, w).

    Patches are row-major, and flattened as (C, size, size), like convolutions and Hiera's targets,
    or ``channels_last`` as (size, size, C), like MAE's targets.
    """
    B, C, H, W = images.shape
    if H % size or W % size:
        raise ArgumentError(
            f'images of {H}x{W} pixels cannot be cut into patches of {size}: both sides must be '
            f'multiples of {size}, change the size of the crop in the pipeline'
        )
    x = images.view(B, C, H // size, size, W // size, size)
    order = (0, 2, 4, 3, 5, 1) if channels_last else (0, 2, 4, 1, 3, 5)
    return x.permute(order).flatten(3).flatten(1, 2), (H // size, W // size)


def join_patches(patches, grid, size, channels_last=False):
    """Inverse of :func:`cut_patches`: (B, h * w, C * size^2) to images (B, C, H, W)."""
    h, w = grid
    shape = (size, size, -1) if channels_last else (-1, size, size)
    x = patches.view(len(patches), h, w, *shape)
    order = (0, 5, 1, 3, 2, 4) if channels_last else (0, 3, 1, 4, 2, 5)
    return x.permute(order).flatten(4).flatten(2, 3)


def take(tokens, ids):
    """Tokens (B, N, C) at ``ids``, int64 (B, K): (B, K, C)."""
    return torch.take_along_dim(tokens, ids[..., None], dim=1)


def kept_first(mask):
    """Order with the True entries of a bool mask (B, N) first, each part ascending."""
    return mask.to(torch.uint8).argsort(dim=1, descending=True, stable=True)
