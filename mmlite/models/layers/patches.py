"""Images as sequences of patches, and selection of tokens, as pure functions."""

import torch

from mmlite.errors import ArgumentError


def grid_of(images, size):
    """Patches (rows, columns) of ``size`` pixels in images (B, C, H, W), which they must fill."""
    H, W = images.shape[-2:]
    if H % size or W % size:
        raise ArgumentError(
            f'images of {H}x{W} pixels do not divide into patches of {size}: change the crop size '
            f'in the pipeline'
        )
    return H // size, W // size


def cut_patches(images, size, channels_last=False):
    """Cut images (B, C, H, W) into patches of ``size`` pixels: (B, h * w, C * size^2), and (h, w).

    Patches are row-major, and flattened as (C, size, size), like convolutions and Hiera's targets,
    or ``channels_last`` as (size, size, C), like MAE's targets.
    """
    h, w = grid_of(images, size)
    x = images.view(*images.shape[:2], h, size, w, size)
    order = (0, 2, 4, 3, 5, 1) if channels_last else (0, 2, 4, 1, 3, 5)
    return x.permute(order).flatten(3).flatten(1, 2), (h, w)


def join_patches(patches, grid, size):
    """Inverse of :func:`cut_patches`, channels first: (B, h * w, C * size^2) to (B, C, H, W)."""
    x = patches.view(len(patches), *grid, -1, size, size)
    return x.permute(0, 3, 1, 4, 2, 5).flatten(4).flatten(2, 3)


def take(tokens, ids):
    """Tokens (B, N, C) at ``ids``, int64 (B, K): (B, K, C)."""
    return torch.take_along_dim(tokens, ids[..., None], dim=1)


def kept_first(mask):
    """Order with the True entries of a bool mask (B, N) first, each part ascending."""
    return mask.to(torch.uint8).argsort(dim=1, descending=True, stable=True)
