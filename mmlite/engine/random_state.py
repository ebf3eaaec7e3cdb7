"""The state of every random generator of a process, as plain values."""

import random

import numpy as np
import torch


def capture():
    """The state of Python's, NumPy's and torch's global generators, of all CUDA devices too.

    Returns:
        dict: Tensors, tuples and numbers only: it loads with ``weights_only=True``.
    """
    kind, keys, position, has_gauss, gauss = np.random.get_state()
    state = dict(
        python=random.getstate(),
        numpy=(kind, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, gauss),
        torch=torch.get_rng_state(),
    )
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        state['cuda'] = torch.cuda.get_rng_state_all()
    return state


def restore(state):
    """Put every generator back to where :func:`capture` found it.

    Args:
        state (dict): From :func:`capture`, in this or another process. States of CUDA devices that
            are not here are left out.
    """
    version, words, gauss = state['python']
    random.setstate((version, tuple(words), gauss))
    kind, keys, *rest = state['numpy']
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state['torch'].cpu())
    if torch.cuda.is_available():
        for device, numbers in enumerate(state.get('cuda', ())[: torch.cuda.device_count()]):
            torch.cuda.set_rng_state(numbers.cpu(), device)
