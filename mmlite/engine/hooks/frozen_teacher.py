"""Check that distillation does not change its teacher."""

import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log

from mmlite.errors import UserError
from mmlite.registry import HOOKS

from .fit import unwrap_model


@HOOKS.register_module()
class FrozenTeacherHook(Hook):
    """Compare the teacher's weights with their initial values, after one step and at the end.

    Models without ``distill`` are left alone.

    Raises:
        UserError: A weight has changed, by a late initialization, an optimizer or an EMA.
    """

    def before_train(self, runner):
        self.distill = getattr(unwrap_model(runner.model), 'distill', None)
        if self.distill is not None:
            self.checksum = self.distill.teacher_checksum()

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Compare after the first step; only then, since it waits for the device."""
        if runner.iter == 0 and self.distill is not None:
            self._compare()

    def after_train(self, runner):
        if self.distill is not None:
            self._compare()
            print_log("The teacher's weights have not changed.", logger='current')

    def _compare(self):
        if not torch.equal(self.distill.teacher_checksum(), self.checksum):
            raise UserError(
                'the weights of the frozen teacher have changed: keep them out of optimizer, EMA '
                'and initialization'
            )
