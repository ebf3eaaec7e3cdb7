"""A data loader that can begin anywhere in an epoch without loading what comes before."""

import torch
from torch.utils.data import DataLoader, Sampler

from mmlite.datasets.bad_samples import SkippingDataset
from mmlite.datasets.seeded import DrawSampler, SeededDataset
from mmlite.errors import ArgumentError, DataError


class ResumableBatches(Sampler):
    """A batch sampler that can be wound forward.

    Args:
        batch_sampler (Sampler): Yields lists of indices; its ``sampler`` is replaced by a
            :class:`~mmlite.datasets.seeded.DrawSampler`.
        size (int): Length of the data set.
    """

    def __init__(self, batch_sampler, size):
        self.batch_sampler = batch_sampler
        if not isinstance(batch_sampler.sampler, DrawSampler):
            batch_sampler.sampler = DrawSampler(batch_sampler.sampler, size)
        self._begun = None

    def __iter__(self):
        # a generator, since torch's loader takes two of them and uses the second one
        begun, self._begun = self._begun, None
        yield from begun or self.batch_sampler

    def __len__(self):
        return len(self.batch_sampler)

    def skip(self, count, epoch=0):
        """Have the next iteration begin ``count`` batches behind the start of an epoch.

        Where the sampler ends before that, the next epoch follows.

        Returns:
            int: The epoch in which the next batch is.

        Raises:
            DataError: The sampler gives no batch at all.
        """
        self.sampler.set_epoch(epoch)
        batches, taken = iter(self.batch_sampler), 0
        for _ in range(count):
            while next(batches, None) is None:
                if not taken:
                    raise DataError('the training data do not fill one batch')
                epoch, taken = epoch + 1, 0
                self.sampler.set_epoch(epoch)
                batches = iter(self.batch_sampler)
            taken += 1
        self._begun = batches
        return epoch

    def __getattr__(self, name):  # ``sampler``, ``batch_size``, ``drop_last``
        return getattr(self.__dict__['batch_sampler'], name)


class ResumableLoader(DataLoader):
    """A data loader made from another one: its samples are seeded, its batches can be skipped.

    Iterating starts the workers with the first batch only.

    Args:
        loader (DataLoader): Has a batch sampler or a batch size.
        seed (int): Of the run.
        bad_samples (BadSamples, optional): Policy for samples that raise an exception. Without
            one, the exception is passed on.

    Raises:
        ArgumentError: ``loader`` does not make batches.
    """

    def __init__(self, loader, seed, bad_samples=None):
        if loader.batch_sampler is None:
            raise ArgumentError('train_dataloader needs a batch_size or a batch_sampler')
        dataset = SkippingDataset(loader.dataset, bad_samples) if bad_samples else loader.dataset
        super().__init__(
            SeededDataset(dataset, seed),
            batch_sampler=ResumableBatches(loader.batch_sampler, len(loader.dataset)),
            num_workers=loader.num_workers,
            collate_fn=loader.collate_fn,
            pin_memory=loader.pin_memory,
            timeout=loader.timeout,
            worker_init_fn=loader.worker_init_fn,
            multiprocessing_context=loader.multiprocessing_context,
            # else starting the workers draws from the generator that the model draws from
            generator=torch.Generator().manual_seed(seed),
            prefetch_factor=loader.prefetch_factor,
            persistent_workers=loader.persistent_workers,
        )

    def __iter__(self):
        yield from super().__iter__()

    def skip(self, count, epoch=0):
        """See :meth:`ResumableBatches.skip`."""
        return self.batch_sampler.skip(count, epoch)
