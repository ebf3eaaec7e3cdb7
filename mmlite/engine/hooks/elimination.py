"""Schedule of candidate elimination."""

import math

from mmengine.hooks import Hook

from mmlite.errors import ArgumentError
from mmlite.registry import HOOKS

from .fit import unwrap_model


@HOOKS.register_module()
class EliminationScheduleHook(Hook):
    """Schedule of the candidate elimination of a tracker (OSTrack, section 4.1).

    Before each epoch it sets the share of search tokens that
    :class:`~mmlite.models.track.CandidateElimination` keeps, by :func:`keep_ratio`. Models that
    eliminate nothing are left alone.

    Args:
        start_epoch (int): Earlier epochs, counted from 1, keep all tokens. Defaults to 20.
        warm_epochs (int): Epochs from there to the final share. Defaults to 80.
    """

    def __init__(self, start_epoch=20, warm_epochs=80):
        if start_epoch < 0 or warm_epochs < 0:
            raise ArgumentError(
                f'start_epoch {start_epoch} and warm_epochs {warm_epochs} must not be negative'
            )
        self.start_epoch, self.warm_epochs = start_epoch, warm_epochs

    def before_train_epoch(self, runner):
        """Set the share of the epoch; mmengine counts epochs from 0, the schedule from 1."""
        self._set(runner, runner.epoch + 1)

    def after_train(self, runner):
        """Set the final share, with which the model is used."""
        self._set(runner, math.inf)

    def _set(self, runner, epoch):
        part = getattr(unwrap_model(runner.model), 'elimination', None)
        if part is not None:
            part.ratio = keep_ratio(epoch, self.start_epoch, self.warm_epochs, part.keep_ratio)


def keep_ratio(epoch, start, warm, final):
    """float: Share of tokens in an epoch (from 1): 1, from ``start`` a half cosine to ``final``."""
    if epoch < start:
        return 1.0
    if epoch >= start + warm:
        return final
    return final + (1 - final) * (1 + math.cos(math.pi * (epoch - start) / warm)) / 2
