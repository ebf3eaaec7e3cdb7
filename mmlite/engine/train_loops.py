"""mmengine's training loops, going on exactly where a checkpoint was saved."""

from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop

from mmlite.errors import CheckpointError, DataError
from mmlite.registry import LOOPS

from . import random_state
from .bad_samples import deferring, start_policy
from .resumable_loader import ResumableLoader

STEPS_OF_EPOCH = 'steps_of_epoch'
"""Key of the message hub: batches of an epoch in the run that saved a checkpoint."""


class Resumable:
    """What both loops share.

    The loader is a :class:`~.resumable_loader.ResumableLoader`. Validation leaves the random
    generators as they were, so that weights do not depend on when it is done; one that was due when
    training stopped is made up for.

    Args:
        runner, dataloader, **kwargs: See mmengine.
        max_bad_share (float): Share of the samples of an epoch that may be unreadable or malformed,
            see :class:`~mmlite.datasets.bad_samples.BadSamples`. Others are drawn in their place,
            and ``bad_samples.csv`` in the work directory names each. Defaults to 0.
    """

    def __init__(self, runner, dataloader, max_bad_share=0.0, **kwargs):
        if max_bad_share:
            dataloader = deferring(dataloader)
        differ = runner._randomness_cfg.get('diff_rank_seed', False)
        loader = runner.build_dataloader(dataloader, seed=runner.seed, diff_rank_seed=differ)
        self.bad_samples = start_policy(runner, loader.dataset, max_bad_share)
        super().__init__(runner, ResumableLoader(loader, runner.seed, self.bad_samples), **kwargs)

    def run(self):
        """Train, from where a checkpoint was saved; returns the model."""
        self.runner.call_hook('before_train')
        self.train()
        self.runner.call_hook('after_train')
        if self.bad_samples.read():
            self.runner.logger.warning(self.bad_samples.summary())
        return self.runner.model

    def validate(self, done, end):
        """Validate if it is due after ``done`` of ``end`` epochs or iterations."""
        due = done % self.val_interval == 0 or done == end
        if self.runner.val_loop is not None and done >= self.val_begin and due:
            state = random_state.capture()
            self.runner.val_loop.run()
            random_state.restore(state)


@LOOPS.register_module()
class EpochTrainLoop(Resumable, EpochBasedTrainLoop):
    """mmengine's ``EpochBasedTrainLoop`` that resumes in the middle of an epoch, too.

    The tools use it in place of mmengine's. Arguments: see :class:`Resumable`.

    Raises:
        CheckpointError: When it goes on from the middle of an epoch that had another number of
            steps.
    """

    def train(self):
        """Train for all epochs that are left."""
        self._skip = self._steps_done()
        if self._iter and not self._skip:
            self._decide_current_val_interval()
            self.validate(self._epoch, self._max_epochs)
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._decide_current_val_interval()
            self.validate(self._epoch, self._max_epochs)

    def run_epoch(self):
        """Train for what is left of one epoch."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        skip, self._skip = self._skip, 0
        self.dataloader.skip(skip, self._epoch)
        for index, batch in enumerate(self.dataloader, skip):
            self.run_iter(index, batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    def _steps_done(self):
        """Steps of the current epoch that the checkpoint has behind it."""
        here = len(self.dataloader)
        there = self.runner.message_hub.get_info(STEPS_OF_EPOCH) or here
        self.runner.message_hub.update_info(STEPS_OF_EPOCH, here)
        done = self._iter - self._epoch * there
        if not 0 < done <= there:
            return 0  # of an epoch that was finished, or by a program that knows no middle
        if there != here:
            raise CheckpointError(
                f'the checkpoint was saved after {done} of {there} steps of an epoch, but an epoch '
                f'has {here} steps here: resume with as many processes and as large a batch, or '
                'from a checkpoint at the end of an epoch'
            )
        return done


@LOOPS.register_module()
class IterTrainLoop(Resumable, IterBasedTrainLoop):
    """mmengine's ``IterBasedTrainLoop`` that resumes without loading the batches of the past.

    The tools use it in place of mmengine's. Arguments: see :class:`Resumable`.
    """

    def train(self):
        """Train for all iterations that are left."""
        self.runner.call_hook('before_train_epoch')
        self.dataloader_iterator = self._batches()
        if self._iter:
            self._decide_current_val_interval()
            self.validate(self._iter, self._max_iters)
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            self.run_iter(next(self.dataloader_iterator))
            self._decide_current_val_interval()
            self.validate(self._iter, self._max_iters)
        self.runner.call_hook('after_train_epoch')

    def _batches(self):
        """Batches without end; a sampler that ends goes on with its next epoch."""
        epoch = self.dataloader.skip(self._iter)
        while True:
            before = self._iter
            yield from self.dataloader
            if self._iter == before:
                raise DataError('the training data do not fill one batch')
            epoch += 1
            self.dataloader.skip(0, epoch)
