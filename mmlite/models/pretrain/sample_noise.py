"""Uniform noise that depends on the image, not on the batch or process."""

import torch

SAMPLE_SEED = 'sample_seed'  # written by mmlite.datasets.SeededDataset
# SplitMix64 (Steele, Lea and Flood 2014, Fig. 16): its step and multipliers as signed integers
GAMMA, MIX_1, MIX_2 = (
    value - 2**64 for value in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)


def patch_noise(batch, length, device, data_samples=None):
    """Noise in [0, 1), (batch, length), by the ``sample_seed`` of data samples where they have one.

    It gives an image the same noise (float64) in any batch of any number of processes.
    """
    seeds = [sample.get(SAMPLE_SEED) for sample in data_samples or ()]
    if not seeds or None in seeds:
        return torch.rand(batch, length, device=device)
    return noise_of(torch.tensor(seeds).to(device, non_blocking=True), length)


def noise_of(seeds, length):
    """First numbers of SplitMix64 per seed, int64 (B,): float64 (B, length) in [0, 1)."""
    steps = torch.arange(1, length + 1, device=seeds.device)
    state = seeds[:, None] + steps * GAMMA  # wraps around, as it should
    state = (state ^ _shift(state, 30)) * MIX_1
    state = (state ^ _shift(state, 27)) * MIX_2
    return _shift(state ^ _shift(state, 31), 11).double() * 2.0**-53


def _shift(value, bits):
    """Logical right shift."""
    return (value >> bits) & (2 ** (64 - bits) - 1)
