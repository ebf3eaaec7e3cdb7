"""Training loops that resume exactly, with a loader whose samples are seeded one by one."""

import copy
import inspect
import os
import random
import signal
import threading
import weakref
from functools import partial
from pathlib import Path

import numpy as np
import torch
from mmengine.dist import barrier, get_rank, is_main_process
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop
from torch.utils.data import DataLoader, Sampler

from mmlite.datasets import CocoDataset
from mmlite.datasets.bad_samples import BadSamples, SkippingDataset
from mmlite.datasets.seeded import EpochSampler, SeededDataset
from mmlite.datasets.wrapped import parts
from mmlite.errors import ArgumentError, CheckpointError, DataError, UserError
from mmlite.registry import DATASETS, LOOPS

from .checks.data import datasets
from .cli import report_errors_once

BAD_SAMPLES = 'bad_samples.csv'  # report in the work directory that names every bad sample
STEPS_PER_EPOCH = 'steps_of_epoch'  # key of the message hub: of the run that saved a checkpoint
# arguments of a loader that ResumableLoader sets itself; it takes over all others
REPLACED = {'dataset', 'batch_size', 'shuffle', 'sampler', 'batch_sampler', 'drop_last'}


class Resumable:
    """Shared part of both training loops, which draw batches from a :class:`ResumableLoader`.

    Validation leaves the random generators as they were; one that was due is made up for.

    Args:
        runner, dataloader, **kwargs: See mmengine.
        max_bad_share (float): Share of an epoch's samples that may be unreadable or malformed. They
            are replaced and named in ``bad_samples.csv`` of the work directory. Defaults to 0.
    """

    def __init__(self, runner, dataloader, max_bad_share=0.0, **kwargs):
        if max_bad_share:
            dataloader = with_deferred_faults(dataloader)
        seed = runner.seed  # to which mmengine has added the rank, if processes are to differ
        if runner._randomness_cfg.get('diff_rank_seed', False):
            seed -= get_rank()
        loader = runner.build_dataloader(dataloader, seed=seed)
        policy = BadSamples(Path(runner.work_dir) / BAD_SAMPLES, len(loader.dataset), max_bad_share)
        if is_main_process():
            policy.begin(resume=runner._resume)
        barrier()
        for part in parts(loader.dataset):
            if hasattr(part, 'bad_samples'):
                part.bad_samples = policy
            for sample, reason in getattr(part, 'bad_annotations', ()):
                policy.note(sample, DataError(reason))
        self.bad_samples = policy
        with report_errors_once(runner.launcher):
            loader = ResumableLoader(loader, seed, policy)
        super().__init__(runner, loader, **kwargs)

    def run(self):
        """Train, from where a checkpoint was saved; returns the model."""
        self.runner.call_hook('before_train')
        try:
            self.train()
        except ValueError as error:
            if 'more than 1 value per channel' in str(error):  # of a norm over the batch
                raise UserError(
                    f'a batch of one image, but the model has batch norms that need more: set '
                    f'train_dataloader.batch_size >= 2 (it is {self.dataloader.batch_size}), or '
                    'drop_last=True if only the last batch is that small'
                ) from error
            raise
        self.runner.call_hook('after_train')
        if self.bad_samples.read():
            self.runner.logger.warning(self.bad_samples.summary())
        return self.runner.model

    def validate(self, done, end):
        """Validate if it is due after ``done`` of ``end`` epochs or iterations."""
        self._decide_current_val_interval()
        due = done % self.val_interval == 0 or done == end
        if self.runner.val_loop is not None and done >= self.val_begin and due:
            state = capture_rng()
            self.runner.val_loop.run()
            restore_rng(state)


@LOOPS.register_module()
class EpochTrainLoop(Resumable, EpochBasedTrainLoop):
    """mmengine's ``EpochBasedTrainLoop``, resumable within an epoch; see :class:`Resumable`."""

    def train(self):
        """Train for all epochs that are left."""
        self._skip = self._steps_done()
        if self._iter and not self._skip:
            self.validate(self._epoch, self._max_epochs)
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
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
        """Steps of the current epoch that were done before the checkpoint."""
        steps = len(self.dataloader)
        saved_steps = self.runner.message_hub.get_info(STEPS_PER_EPOCH) or steps
        self.runner.message_hub.update_info(STEPS_PER_EPOCH, steps)
        done = self._iter - self._epoch * saved_steps
        if not 0 < done <= saved_steps:
            return 0  # saved at the end of an epoch, or by a loop that only saves there
        if saved_steps == steps:
            return done
        raise CheckpointError(
            f'the checkpoint was saved after {done} of {saved_steps} steps of an epoch, but an '
            f'epoch has {steps} steps here: resume with as many processes and as large a batch, '
            'or from a checkpoint at the end of an epoch'
        )


@LOOPS.register_module()
class IterTrainLoop(Resumable, IterBasedTrainLoop):
    """mmengine's ``IterBasedTrainLoop`` that loads no past batches; see :class:`Resumable`."""

    def train(self):
        """Train for all iterations that are left."""
        self.runner.call_hook('before_train_epoch')
        self.dataloader_iterator = self._batches()
        if self._iter:
            self.validate(self._iter, self._max_iters)
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            self.run_iter(next(self.dataloader_iterator))
            self.validate(self._iter, self._max_iters)
        self.runner.call_hook('after_train_epoch')

    def _batches(self):
        """Batches without end; after the end of a sampler comes its next epoch."""
        epoch = self.dataloader.skip(self._iter)
        while True:
            yield from self.dataloader
            epoch = self.dataloader.skip(0, epoch + 1)


class ResumableBatches(Sampler):
    """A batch sampler that can start anywhere in an epoch of ``size`` samples."""

    def __init__(self, batch_sampler, size):
        self.batch_sampler = batch_sampler
        if not isinstance(batch_sampler.sampler, EpochSampler):
            batch_sampler.sampler = EpochSampler(batch_sampler.sampler, size)
        self._started = None

    def __iter__(self):
        # a generator, since torch's loader takes two of them and uses the second one
        started, self._started = self._started, None
        yield from started or self.batch_sampler

    def __len__(self):
        return len(self.batch_sampler)

    def skip(self, count, epoch=0):
        """Start the next iteration ``count`` batches after the start of ``epoch``.

        Returns the epoch of the next batch, a later one where the sampler ends before that.
        """
        self.sampler.set_epoch(epoch)
        batches = iter(self.batch_sampler)
        for _ in range(count):
            if next(batches, None) is None:
                epoch += 1
                self.sampler.set_epoch(epoch)
                batches = iter(self.batch_sampler)
                next(batches)
        self._started = batches
        return epoch

    def __getattr__(self, name):  # ``sampler``, ``batch_size``, ``drop_last``
        return getattr(self.__dict__['batch_sampler'], name)


class ResumableLoader(DataLoader):
    """A data loader made from another one: its samples are seeded, its batches can be skipped.

    ``seed`` is that of the run, the same on all processes; ``bad_samples`` is the policy for
    samples that raise an exception. A UserError says that the samples do not fill a batch.
    """

    def __init__(self, loader, seed, bad_samples=None):
        if loader.batch_sampler is None:
            raise ArgumentError('train_dataloader needs a batch_size or a batch_sampler')
        names = set(inspect.signature(DataLoader).parameters) - REPLACED
        options = {name: getattr(loader, name) for name in names}
        # else starting the workers draws from the generator that the model draws from
        options['generator'] = torch.Generator().manual_seed(seed)
        dataset = SkippingDataset(loader.dataset, bad_samples) if bad_samples else loader.dataset
        super().__init__(
            SeededDataset(dataset, seed),
            batch_sampler=ResumableBatches(loader.batch_sampler, len(loader.dataset)),
            **options,
        )
        if not len(self):
            batches, count = self.batch_sampler, len(self.batch_sampler.sampler)
            raise UserError(
                f'train_dataloader.batch_size={batches.batch_size}, but a process has {count} '
                'samples and an incomplete batch is dropped: set train_dataloader.batch_size to '
                f'{count} or less, or drop_last=False'
            )
        keep_workers(self)

    def __iter__(self):
        # begins with the first batch: mmengine's loop takes an iterator that it never uses
        yield from super().__iter__()

    def skip(self, count, epoch=0):
        """See :meth:`ResumableBatches.skip`."""
        return self.batch_sampler.skip(count, epoch)


def keep_workers(loader):
    """Let the workers of a loader survive signals that a scheduler sends to all processes."""
    loader.worker_init_fn = _WorkerInit(loader.worker_init_fn)
    # a reference to the loader itself would keep its workers until garbage is collected
    loader._get_iterator = partial(_start_workers, weakref.ref(loader))


def _start_workers(reference):
    """Iterator of a loader, whose workers inherit that signals wait until they handle them."""
    loader = reference()
    mask = getattr(signal, 'pthread_sigmask', lambda *_: None)
    before = mask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
    try:
        return type(loader)._get_iterator(loader)
    finally:  # signals that have come meanwhile are delivered
        mask(signal.SIG_SETMASK, before)


class _WorkerInit:
    """Handle signals in a worker, then call another ``worker_init_fn``."""

    def __init__(self, init_fn):
        self.init_fn = init_fn

    def __call__(self, worker_id):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if hasattr(signal, 'sigwaitinfo'):
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
            threading.Thread(target=_end_by_parent, daemon=True).start()
        else:  # without the sender: the second one, by which torch ends what does not end, counts
            default = signal.SIG_DFL
            signal.signal(signal.SIGTERM, lambda number, _: signal.signal(number, default))
        if self.init_fn is not None:
            self.init_fn(worker_id)


def _end_by_parent():
    """End this worker at a SIGTERM of its parent, as torch's handler would."""
    while signal.sigwaitinfo([signal.SIGTERM]).si_pid != os.getppid():
        pass
    os._exit(0)


def with_deferred_faults(dataloader):
    """Config of a training loader whose data sets load despite wrong annotations, or a loader."""
    if not isinstance(dataloader, dict):
        return dataloader
    dataloader = copy.deepcopy(dataloader)
    for _, dataset in datasets(dict(train_dataloader=dataloader), 'train'):
        kind = dataset.get('type')
        kind = DATASETS.get(kind) if isinstance(kind, str) else kind
        if isinstance(kind, type) and issubclass(kind, CocoDataset):
            dataset['defer_faults'] = True
    return dataloader


def capture_rng():
    """State of Python's, NumPy's and torch's global generators, CUDA included, as plain values."""
    kind, keys, position, has_gauss, gauss = np.random.get_state()
    state = dict(
        python=random.getstate(),
        numpy=(kind, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, gauss),
        torch=torch.get_rng_state(),
    )
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        state['cuda'] = torch.cuda.get_rng_state_all()
    return state


def restore_rng(state):
    """Restore a state of :func:`capture_rng`, without CUDA devices that this machine lacks."""
    version, words, gauss = state['python']
    random.setstate((version, tuple(words), gauss))
    kind, keys, *rest = state['numpy']
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state['torch'].cpu())
    if torch.cuda.is_available():
        for device, numbers in enumerate(state.get('cuda', ())[: torch.cuda.device_count()]):
            torch.cuda.set_rng_state(numbers.cpu(), device)
