"""Uniform noise that depends on the image and not on the batch or the process it is in."""

import torch

SAMPLE_SEED = 'sample_seed'  # written by mmlite.datasets.SeededDataset
# SplitMix64 (Steele, Lea and Flood 2014, Fig. 16): step and the multipliers of its finaliser, as
# signed numbers of 64 bits
GAMMA, MIX_1, MIX_2 = (
    value - 2**64 for value in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)


def patch_noise(batch, length, device, data_samples=None):
    """Noise to draw the patches of every image by.

    Args:
        batch (int): Number of images.
        length (int): Numbers an image.
        device (torch.device): Where they are needed.
        data_samples (list[DataSample], optional): With a ``sample_seed`` in their ``metainfo``, an
            image gets the same noise in any batch of any number of processes. Without one, noise
            is drawn from torch's generator.

    Returns:
        Tensor: (batch, length), in [0, 1); float64 where it comes from seeds.
    """
    seeds = [sample.get(SAMPLE_SEED) for sample in data_samples or ()]
    if not seeds or None in seeds:
        return torch.rand(batch, length, device=device)
    return noise_of(torch.tensor(seeds).to(device, non_blocking=True), length)


def noise_of(seeds, length):
    """The first ``length`` numbers of SplitMix64 for every seed.

    Args:
        seeds (Tensor): int64 (B,).
        length (int): Numbers a seed.

    Returns:
        Tensor: float64 (B, length), in [0, 1), of 53 bits.
    """
    steps = torch.arange(1, length + 1, device=seeds.device)
    state = seeds[:, None] + steps * GAMMA  # wraps around, as it should
    state = (state ^ _shift(state, 30)) * MIX_1
    state = (state ^ _shift(state, 27)) * MIX_2
    return _shift(state ^ _shift(state, 31), 11).double() * 2.0**-53


def _shift(value, bits):
    """Shift right as if the numbers had no sign."""
    return (value >> bits) & (2 ** (64 - bits) - 1)
