"""Golden values: numbers that the papers' own code gave on generated weights and inputs.

Neither weights nor inputs are stored. Both come from a generator that depends only on a name,
a shape and a seed, so that any implementation can be filled with the very same numbers.

In ``tests/data/golden``, ``NAME.keys.json`` lists the keys and shapes of an official state dict,
and ``NAME.npz`` holds what the official model returned in float32 on a CPU, thinned out by the
slices that the tests repeat. Images count as already normalized. Compare with rtol 1e-4 and
atol 1e-5.
"""

import json
import zlib
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent / 'data' / 'golden'
SEED = 1


def array(name, shape, seed=SEED):
    """Standard normal float32 array that depends on ``name``, ``shape`` and ``seed`` only."""
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    return rng.standard_normal(shape).astype(np.float32)


def weight(key, shape, seed=SEED):
    """The value of the parameter or buffer that the official state dict calls ``key``."""
    x = array(key, shape, seed)
    leaf = key.rsplit('.', 1)[-1]
    if leaf == 'running_var':
        return 1 + 0.1 * np.abs(x)
    if leaf in ('running_mean', 'bias', 'q_bias', 'v_bias'):
        return 0.02 * x
    positions = ('pos_embed', 'relative_position_bias')
    if leaf in ('cls_token', 'mask_token') or 'rel_pos' in key or any(p in leaf for p in positions):
        return 0.2 * x
    if leaf == 'weight' and len(shape) == 1:  # normalization layers
        return 1 + 0.1 * x
    fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 1
    return (x / np.sqrt(max(fan_in, 1))).astype(np.float32)


def weights(name, seed=SEED):
    """Every floating-point entry of the official state dict of ``name``: {key: float32 tensor}."""
    keys = json.loads((HERE / f'{name}.keys.json').read_text())
    values = {k: weight(k, tuple(s), seed).astype(np.float32).reshape(s) for k, s in keys.items()}
    return {key: torch.from_numpy(value) for key, value in values.items()}


def images(height, width=None, batch=2):
    """Normalized images, by default square ones: float32 tensor (batch, 3, height, width)."""
    return torch.from_numpy(array('images', (batch, 3, height, width or height)))


def permutations(count, length, seed=SEED):
    """The token orders (``ids_shuffle``) used with masking: int64 array (count, length)."""
    rng = np.random.default_rng([seed, 77])
    return np.stack([rng.permutation(length) for _ in range(count)])


def load(name):
    """What the official code returned for ``name``: {field: array}."""
    with np.load(HERE / f'{name}.npz') as file:
        return {key: file[key] for key in file.files}


def tensors(name):
    """Load the arrays of :func:`load` as tensors."""
    return {key: torch.from_numpy(value) for key, value in load(name).items()}
