"""Momentum (EMA) encoders, schedules of their momentum, and views of an image."""

import math
from copy import deepcopy

import numpy as np
import torch
from mmengine.logging import MessageHub
from torch import nn

from mmlite.errors import ArgumentError

POOLED = ('cls_token', 'avg_featmap')


class MomentumEncoder(nn.Module):
    """Frozen copies of a model's modules, whose parameters are EMAs of the model's.

    Unlike mmengine's ``ExponentialMovingAverage``, it does not synchronize with the device, and its
    buffers are its own: batch norms keep statistics of what they see themselves.

    Args:
        source (nn.Module): The model.
        names (Sequence[str]): Modules to copy, e.g. ``('backbone', 'neck')``; the copies have the
            same names.
        always_eval (bool): Stay in evaluation mode, e.g. without stochastic depth, while the model
            trains. Defaults to False.
    """

    def __init__(self, source, names, always_eval=False):
        super().__init__()
        self.always_eval = always_eval
        for name in names:
            self.add_module(name, deepcopy(getattr(source, name)).requires_grad_(False))
        self.train(source.training)

    @torch.no_grad()
    def update(self, source, momentum):
        """Update parameters to ``momentum * old + (1 - momentum) * source``, except frozen ones."""
        averages, current = [], []
        for name, copy in self.named_children():
            parameters = getattr(source, name).parameters()
            for average, parameter in zip(copy.parameters(), parameters, strict=True):
                if parameter.requires_grad:
                    averages.append(average)
                    current.append(parameter)
        # in place, which invalidates cached positions
        torch._foreach_lerp_(averages, current, 1 - momentum)

    def copy_from(self, source):
        """Copy all parameters and buffers of the model."""
        for name, copy in self.named_children():
            copy.load_state_dict(getattr(source, name).state_dict())

    def train(self, mode=True):
        """Switch mode, unless this encoder always evaluates."""
        return super().train(mode and not self.always_eval)


class MomentumMixin:
    """Mixin of pre-training methods with a :class:`MomentumEncoder` ``momentum_encoder``.

    It is saved with the model, and equals the model after ``init_weights()`` and after loading
    weights without a momentum encoder.
    """

    def add_momentum_encoder(self, *names, always_eval=False):
        """Copy the modules called ``names``; to be called once, at the end of the constructor."""
        self.momentum_encoder = MomentumEncoder(self, names, always_eval)
        self._register_load_state_dict_pre_hook(self._complete_state_dict)

    def init_weights(self):
        """Initialize, then copy the result to the momentum encoder."""
        super().init_weights()
        self.momentum_encoder.copy_from(self)

    def _complete_state_dict(self, state_dict, prefix, *_):
        copied = f'{prefix}momentum_encoder.'
        if any(key.startswith(copied) for key in state_dict):
            return
        for name, _ in self.momentum_encoder.named_children():
            for key in [k for k in state_dict if k.startswith(f'{prefix}{name}.')]:
                state_dict[copied + key[len(prefix) :]] = state_dict[key]


def training_progress():
    """Finished iterations of this process and their total; (0, 1) outside a Runner."""
    hub = MessageHub.get_current_instance()
    return hub.get_info('iter', 0), hub.get_info('max_iters', 1)


def half_cosine(start, end, progress):
    """Value between ``start`` (at progress 0) and ``end`` (at 1) on half a cosine wave."""
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def piecewise_linear(points, progress):
    """Value at ``progress``, from 0 to 1, on straight lines through ``points``, constant beyond the
    ends.

    ``points`` are pairs (progress, value) in ascending order.
    """
    return float(np.interp(progress, *zip(*points, strict=True)))


def check_points(name, points):
    """Raise an ArgumentError unless ``points`` suit :func:`piecewise_linear`."""
    times = [time for time, _ in points]
    if not times or times != sorted(times) or times[0] < 0 or times[-1] > 1:
        raise ArgumentError(
            f'{name}={points!r} is not a schedule: use pairs (share of training from 0 to 1, '
            f'value) in ascending order'
        )


def encode_views(backbone, views):
    """Encode views (B, 3, H, W) of a batch, all those of one size together: list of (B, C)."""
    by_size = {}
    for index, view in enumerate(views):
        by_size.setdefault(view.shape[-2:], []).append(index)
    encoded = [None] * len(views)
    for indices in by_size.values():
        (vectors,) = backbone(torch.cat([views[index] for index in indices]))
        for index, part in zip(indices, vectors.chunk(len(indices)), strict=True):
            encoded[index] = part
    return encoded


def check_pooled(backbone):
    """Raise an ArgumentError unless ``backbone`` gives one vector (B, C) for an image."""
    out_type = getattr(backbone, 'out_type', None)
    if out_type not in POOLED:
        raise ArgumentError(
            f'this method requires one vector per image, but backbone.out_type is {out_type!r}: '
            f'choose from {POOLED}'
        )


def check_views(inputs, least, method):
    """Raise an ArgumentError unless ``inputs`` are at least ``least`` views of a batch."""
    count = len(inputs) if isinstance(inputs, (list, tuple)) else 1
    if count < least:
        raise ArgumentError(
            f'{method} requires {least} views of every image, got {count}: make them with '
            f'MultiView in the pipeline of train_dataloader'
        )
