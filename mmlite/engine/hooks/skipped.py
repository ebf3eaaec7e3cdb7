"""Says how many training samples could not be read."""

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook

from mmlite.datasets.transforms import skipping_transforms
from mmlite.registry import HOOKS


@HOOKS.register_module()
class SkippedSampleHook(Hook):
    """Reports how often an unreadable image was skipped so far.

    ``LoadImageFromFile(on_error='skip')`` and :class:`~mmlite.datasets.sot.pairs.TrackPairs` skip.

    The count is summed over the workers of the loader and over the processes, and reported before
    every validation and at the end of epochs and of training when it has grown.
    """

    priority = 'BELOW_NORMAL'

    def __init__(self):
        self._transforms = []
        self._reported = 0

    def before_train(self, runner):
        """Find the transforms that count."""
        self._transforms = list(skipping_transforms(runner.train_dataloader.dataset))

    def before_val_epoch(self, runner):
        """Report before validation, which iteration-based runs have in place of epochs' ends."""
        self._report(runner)

    def after_train_epoch(self, runner):
        """Report at the end of an epoch."""
        self._report(runner)

    def after_train(self, runner):
        """Report at the end of training."""
        self._report(runner)

    def _report(self, runner):
        total = torch.tensor(sum(transform.skipped for transform in self._transforms))
        all_reduce(total)
        count = int(total)
        if count > self._reported:
            runner.logger.warning(
                f'{count} training samples were skipped so far because their image could not be '
                f'read ({count - self._reported} since the last report).'
            )
            self._reported = count
