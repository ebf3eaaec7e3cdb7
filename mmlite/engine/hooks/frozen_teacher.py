"""Check that distillation does not change its teacher."""

import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log

from mmlite.datasets.wrapped import parts
from mmlite.errors import UserError
from mmlite.registry import HOOKS

from .fit import unwrap_model


@HOOKS.register_module()
class FrozenTeacherHook(Hook):
    """Compare the teacher's weights with their initial values, after one step and at the end.

    Opens the cache of its features (:class:`~mmlite.models.pretrain.distill_cache.FeatureCache`).

    Models without ``distill`` are left alone.

    Raises:
        UserError: A weight has changed, by a late initialization, an optimizer or an EMA; or
            features are cached but the pipeline has random transforms.
    """

    def before_train(self, runner):
        self.distill = getattr(unwrap_model(runner.model), 'distill', None)
        if self.distill is not None:
            self.checksum = self.distill.teacher_checksum()
            if getattr(self.distill, 'cache', None):
                self._open_cache(runner.train_dataloader.dataset)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Compare after the first step; only then, since it waits for the device."""
        if runner.iter == 0 and self.distill is not None:
            self._compare()

    def after_train(self, runner):
        if self.distill is not None:
            self._compare()
            print_log("The teacher's weights have not changed.", logger='current')

    def _open_cache(self, dataset):
        sets = [part for part in parts(dataset) if hasattr(part, 'pipeline')]
        for name in (name for part in sets for name in random_transforms(part.pipeline)):
            raise UserError(
                f'a cache of features requires fixed images, but {name} of the training pipeline '
                f'is random: use the pipeline of a test (ResizeEdge, CenterCrop), or no cache'
            )
        self.distill.cache.open(len(dataset))

    def _compare(self):
        if not torch.equal(self.distill.teacher_checksum(), self.checksum):
            raise UserError(
                'the weights of the frozen teacher have changed: keep them out of optimizer, EMA '
                'and initialization'
            )


def random_transforms(transform):
    """Names of the transforms in a pipeline, nested ones included, that draw random numbers."""
    if getattr(transform, '_methods_with_randomness', None):
        yield type(transform).__name__
    for inner in getattr(transform, 'transforms', ()):
        for one in inner if isinstance(inner, (list, tuple)) else (inner,):
            yield from random_transforms(one)
