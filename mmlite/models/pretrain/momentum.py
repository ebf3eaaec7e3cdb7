"""Momentum (EMA) encoders, schedules of their momentum, and views of an image."""

import math
from copy import deepcopy

import numpy as np
import torch
from mmengine.logging import MessageHub
from mmpretrain.models import BaseSelfSupervisor
from torch import nn

from mmlite.errors import ArgumentError

POOLED = ('cls_token', 'avg_featmap')


class MomentumEncoder(nn.Module):
    """Frozen copies of a model's modules, whose parameters are EMAs of the model's.

    Unlike mmengine's ``ExponentialMovingAverage``, it does not synchronize with the device, and its
    buffers are its own: batch norms keep statistics of what they see themselves.

    Args:
        source (nn.Module): The model.
        names (Sequence[str]): Modules to copy under the same names, e.g. ``('backbone', 'neck')``.
        always_eval (bool): Stay in evaluation mode while the model trains. Defaults to False.
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
        for name, copy in self.named_children():
            copy.load_state_dict(getattr(source, name).state_dict())

    def train(self, mode=True):
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

    def update_momentum_encoder(self, momentum):
        """Update the momentum encoder if in training mode."""
        if self.training:
            self.momentum_encoder.update(self, momentum)

    def init_weights(self):
        super().init_weights()
        self.momentum_encoder.copy_from(self)

    def _complete_state_dict(self, state_dict, prefix, *_):
        copied = f'{prefix}momentum_encoder.'
        if any(key.startswith(copied) for key in state_dict):
            return
        for name, _ in self.momentum_encoder.named_children():
            for key in [k for k in state_dict if k.startswith(f'{prefix}{name}.')]:
                state_dict[copied + key[len(prefix) :]] = state_dict[key]


class ViewPretrainer(MomentumMixin, BaseSelfSupervisor):
    """Base of the methods that compare vectors of several views of an image.

    The momentum encoder copies backbone and neck. With gradient accumulation, too, it moves in
    every iteration.

    Args:
        backbone (dict): Any of the suite, with ``out_type='cls_token'`` or ``'avg_featmap'``.
        neck, head (dict): See the method.
        base_momentum (float): Momentum in the first iteration; it rises to 1 in the last on half a
            cosine wave. Defaults to 0.99.
        always_eval (bool): As in :class:`MomentumEncoder`. Defaults to False.
        **kwargs: ``data_preprocessor`` and ``init_cfg`` of mmpretrain's ``BaseSelfSupervisor``.
    """

    def __init__(self, backbone, neck, head, base_momentum=0.99, always_eval=False, **kwargs):
        super().__init__(backbone, neck, head, **kwargs)
        out_type = getattr(self.backbone, 'out_type', None)
        if out_type not in POOLED:
            raise ArgumentError(
                f'{type(self).__name__} requires one vector per image, but backbone.out_type is '
                f'{out_type!r}: choose from {POOLED}'
            )
        self.base_momentum = base_momentum
        self.add_momentum_encoder('backbone', 'neck', always_eval=always_eval)

    def begin_iteration(self, views, least=2):
        """Check that there are at least ``least`` views, and update the momentum encoder."""
        count = len(views) if isinstance(views, (list, tuple)) else 1
        if count < least:
            raise ArgumentError(
                f'{type(self).__name__} requires {least} views of every image, got {count}: make '
                f'them with MultiView in the pipeline of train_dataloader'
            )
        iteration, last = training_progress()
        self.update_momentum_encoder(half_cosine(self.base_momentum, 1.0, iteration / last))


def training_progress():
    """Finished iterations of this process and their total; (0, 1) outside a Runner."""
    hub = MessageHub.get_current_instance()
    return hub.get_info('iter', 0), hub.get_info('max_iters', 1)


def half_cosine(start, end, progress):
    """Value between ``start`` (at progress 0) and ``end`` (at 1) on half a cosine wave."""
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def piecewise_linear(points, progress):
    """Value at ``progress`` on straight lines through pairs (progress, value), constant beyond."""
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
