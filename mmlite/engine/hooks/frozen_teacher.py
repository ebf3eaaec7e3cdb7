"""Proof that distillation left its teacher as it was."""

import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log

from mmlite.registry import HOOKS

from .fit import unwrap_model


@HOOKS.register_module()
class FrozenTeacherHook(Hook):
    """Compares the teacher's weights with those at the start, after one step and at the end.

    What may change them unnoticed are an initialisation that runs too late, an optimiser that was
    given them, and a moving average. Models without ``distill`` are left alone.

    Raises:
        AssertionError: If a weight has changed.
    """

    def before_train(self, runner):
        """Remember the weights that the teacher starts with."""
        self.distill = getattr(unwrap_model(runner.model), 'distill', None)
        if self.distill is not None:
            self.checksum = self.distill.teacher_checksum()

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Compare after the first step; only then, since it waits for the device."""
        if runner.iter == 0:
            self._compare()

    def after_train(self, runner):
        """Compare at the end."""
        if self.distill is not None:
            self._compare()
            print_log("The teacher's weights are those it started with.", logger='current')

    def _compare(self):
        if self.distill is None:
            return
        now = self.distill.teacher_checksum()
        assert torch.equal(now, self.checksum), 'the weights of the frozen teacher have changed'
