"""Randomness by sample: transforms depend on seed, epoch and sample alone."""

import random
from contextlib import contextmanager

import numpy as np
import torch
from mmengine.dist import get_dist_info
from mmengine.structures import BaseDataElement
from torch.utils.data import Sampler, get_worker_info

from .wrapped import WrappedDataset

SAMPLE_SEED = 'sample_seed'  # key in the metainfo of a data sample, by which models draw masks
BITS = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15  # SplitMix64's increment: 2^64 over the golden ratio


class SampleIndex(int):
    """Index of a sample with its ``epoch``, and ``repeat`` in repeated augmentation, from 0."""

    def __new__(cls, index, epoch=0, repeat=0):
        self = super().__new__(cls, index)
        self.epoch, self.repeat = epoch, repeat
        return self


class EpochSampler(Sampler):
    """Add the epoch to every index of a sampler, but pass on tuples.

    Process r of n gets the positions r, r + n, ... of the whole stream, as in OpenMMLab's samplers,
    in which an epoch has ``size`` indices.
    """

    def __init__(self, sampler, size):
        self.sampler = sampler
        self.size = size
        self.epoch = 0
        self.rank, self.world_size = get_dist_info()

    def __iter__(self):
        repeats = getattr(self.sampler, 'num_repeats', 1)
        for number, index in enumerate(self.sampler):
            if isinstance(index, tuple):
                yield index
                continue
            position = self.rank + number * self.world_size
            yield SampleIndex(index, self.epoch + position // self.size, position % repeats)

    def __len__(self):
        return len(self.sampler)

    def set_epoch(self, epoch):
        self.epoch = epoch
        if hasattr(self.sampler, 'set_epoch'):
            self.sampler.set_epoch(epoch)

    def __getattr__(self, name):  # batch samplers ask for ``dataset``
        return getattr(self.__dict__['sampler'], name)


class SeededDataset(WrappedDataset):
    """A data set whose transforms draw from generators that are seeded for every sample.

    A sample is the same whichever worker loads it and wherever training was resumed.
    """

    def __init__(self, dataset, seed):
        super().__init__(dataset, seed=seed)

    def __getitem__(self, index):
        seed = sample_seed(self.seed, index)
        with seeded_rng(seed):
            sample = self.dataset[int(index) if isinstance(index, int) else index]
        packed = sample.get('data_samples') if isinstance(sample, dict) else None
        if isinstance(packed, BaseDataElement):
            packed.set_field(seed, SAMPLE_SEED, field_type='metainfo')
        return sample


def sample_seed(seed, index):
    """Seed of a sample, 63 bits, by the seed of the run and a SampleIndex, integer or tuple."""
    if isinstance(index, int):
        index = getattr(index, 'epoch', 0), int(index), getattr(index, 'repeat', 0)
    state = 0
    for word in (seed, *index):
        state = _mix(state + word + GOLDEN)
    return state >> 1


def _mix(z):
    """SplitMix64's bijection of 64 bits (Steele et al., OOPSLA 2014), in which all bits mix."""
    z &= BITS
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & BITS
    z = (z ^ z >> 27) * 0x94D049BB133111EB & BITS
    return z ^ z >> 31


@contextmanager
def seeded_rng(seed):
    """Seed the global generators for the enclosed code; in the main process, restore them."""
    is_main = get_worker_info() is None
    kept = is_main and (random.getstate(), np.random.get_state(), torch.get_rng_state())
    random.seed(seed)
    # torch takes the lower 32 bits and starts the same Mersenne Twister; Python starts it otherwise
    np.random.seed(seed >> 31)
    torch.default_generator.manual_seed(seed)  # torch.manual_seed would touch the GPUs, too
    try:
        yield
    finally:
        if kept:
            random.setstate(kept[0])
            np.random.set_state(kept[1])
            torch.set_rng_state(kept[2])
