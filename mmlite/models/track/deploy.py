"""Trackers with less work in every frame: no retraining, no other result."""

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
    """A copy of a tracker that only tracks, and does so faster.

    What :func:`locate` gives is the same, up to rounding; only its use of the network is narrower:

    - batch norm is folded into convolutions, LayerScale and the scale of attention into weights;
    - size and offset are computed at the chosen cell instead of on the whole map;
    - blocks that eliminate candidates compute no queries' attention for those they drop, the last
      block none for the template (:class:`~.ostrack.OSTrack` only);
    - the first convolution of the score runs over the tokens that are left.

    Args:
        model (OneStreamTracker): With batch norm in its head. It is not changed.
        dtype (torch.dtype): Of linear layers and convolutions. With ``torch.bfloat16`` an
            :class:`~.ostrack.OSTrack` keeps tokens, norms, attention and the last convolutions in
            float32. Defaults to ``torch.float32``.
        sparse (bool): Allow sums over tokens in place of a convolution, which exporters do not
            know. Defaults to True.

    Returns:
        FusedTracker: In evaluation mode, without gradients, on the device of ``model``.

    Raises:
        ArgumentError: If the model is no such tracker or its head has another norm.
    """
    if not isinstance(model, OneStreamTracker):
        raise ArgumentError(f'{type(model).__name__} cannot be fused: it is no OneStreamTracker')
    return FusedTracker(model, dtype, sparse).eval().requires_grad_(False)


class FusedTracker(nn.Module):
    """What :func:`fuse_for_tracking` gives; its arguments are described there."""

    def __init__(self, model, dtype, sparse):
        super().__init__()
        for name in SETTINGS:
            setattr(self, name, getattr(model, name))
        encoder = FusedViT if isinstance(model, OSTrack) else PlainEncoder
        self.encoder = encoder(model, dtype)
        self.head = FusedHead(model.head, model.window, dtype, sparse)
        self.data_preprocessor = copy.deepcopy(model.data_preprocessor)

    def embed_template(self, images):
        """As :meth:`~.one_stream.OneStreamTracker.embed_template`."""
        return self.encoder.embed_template(images)

    def locate(self, template, search):
        """As :meth:`~.one_stream.OneStreamTracker.locate`."""
        return self.head(*self.encoder(template, self.encoder.embed_search(search)))


class PlainEncoder(nn.Module):
    """The encoder of any :class:`~.one_stream.OneStreamTracker`, as it is.

    Args:
        model (OneStreamTracker): It is copied.
        dtype (torch.dtype): Of all weights.
    """

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
        """The map of the search region as tokens (B, F^2, C), all of them in their places."""
        return self.model.relate(template, search).flatten(2).transpose(1, 2), None
