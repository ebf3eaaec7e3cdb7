"""Trackers with less computation per frame and the same results."""

import copy

import torch
from torch import nn

from mmlite.errors import ArgumentError

from .fused_head import FusedHead
from .fused_vit import FusedViT
from .one_stream import OneStreamTracker
from .ostrack import OSTrack

SETTINGS = ('template_size', 'search_size', 'template_factor', 'search_factor', 'coords')


@torch.no_grad()
def fuse_for_tracking(model, dtype=torch.float32, sparse=True):
    """Copy a tracker into one that only tracks, faster, with equal results up to rounding.

    Batch norm, LayerScale and the scale of attention are folded into weights; size and offset are
    computed at the chosen cell only; an :class:`~.ostrack.OSTrack` computes no attention of dropped
    tokens, nor of the template in the last block, and no convolution of empty cells.

    Args:
        model (OneStreamTracker): With batch norm in its head. It is not changed.
        dtype (torch.dtype): Of linear layers and convolutions. With ``torch.bfloat16``, tokens,
            norms, attention and last convolutions of OSTrack stay float32. Defaults to
            ``torch.float32``.
        sparse (bool): Replace a convolution by sums over tokens, which exporters do not support.
            Defaults to True.

    Returns:
        FusedTracker: In evaluation mode, without gradients, on the device of ``model``.
    """
    if not isinstance(model, OneStreamTracker):
        raise ArgumentError(f'{type(model).__name__} cannot be fused: it is not a OneStreamTracker')
    return FusedTracker(model, dtype, sparse).eval().requires_grad_(False)


class FusedTracker(nn.Module):
    """Result of :func:`fuse_for_tracking`; its arguments are described there."""

    def __init__(self, model, dtype, sparse):
        super().__init__()
        for name in SETTINGS:
            setattr(self, name, getattr(model, name))
        encoder = FusedViT if isinstance(model, OSTrack) else PlainEncoder
        self.encoder = encoder(model, dtype)
        self.head = FusedHead(model.head, model.window, dtype, sparse)
        self.data_preprocessor = copy.deepcopy(model.data_preprocessor)

    def embed_template(self, images):
        """See :meth:`~.one_stream.OneStreamTracker.embed_template`."""
        return self.encoder.embed_template(images)

    def locate(self, template, search):
        """See :meth:`~.one_stream.OneStreamTracker.locate`."""
        return self.head(*self.encoder(template, self.encoder.embed_search(search)))


class PlainEncoder(nn.Module):
    """Copied encoder of any :class:`~.one_stream.OneStreamTracker`, in ``dtype``."""

    def __init__(self, model, dtype):
        super().__init__()
        self.model = copy.deepcopy(model).to(dtype)
        del self.model.head
        self.dtype = dtype

    def embed_template(self, images):
        """See :class:`~.one_stream.OneStreamTracker`."""
        return self.model.embed_template(images.to(self.dtype))

    def embed_search(self, images):
        """See :class:`~.one_stream.OneStreamTracker`."""
        return self.model.embed_search(images.to(self.dtype))

    def forward(self, template, search):
        """Map of the search region as tokens (B, F^2, C), all of them at their cells."""
        return self.model.relate(template, search).flatten(2).transpose(1, 2), None
