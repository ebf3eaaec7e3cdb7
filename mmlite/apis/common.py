"""What inferencers of all tasks share: the device, exact weights, and the folder of results."""

import re
from pathlib import Path

import torch
from mmengine.runner.checkpoint import _load_checkpoint

from mmlite.engine.hooks.fit import check_weights
from mmlite.errors import ArgumentError, CheckpointError, UserError
from mmlite.models.weights import check_architecture, select_weights


def as_device(name=None):
    """The device of that name.

    Args:
        name (str | torch.device, optional): Defaults to CUDA where there is a GPU.

    Returns:
        torch.device: The device.

    Raises:
        UserError: If the name is unknown, or there is no such GPU.
    """
    name = name or ('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f'device {name!r} is unknown: use cpu, cuda or cuda:1') from error
    if device.type == 'cuda' and not torch.cuda.is_available():
        raise UserError(f'device {name} needs a GPU, but torch sees none: use cpu')
    if device.type == 'cuda' and (device.index or 0) >= torch.cuda.device_count():
        last = torch.cuda.device_count() - 1
        raise UserError(f'device {name} is not there: the last GPU is cuda:{last}')
    return device


def read_checkpoint(source):
    """dict: Contents of a ``.pth`` or ``.safetensors`` file or URL, read as data."""
    return _load_checkpoint(str(source), map_location='cpu', logger='silent')


def load_exactly(model, contents, source):
    """Load weights that must be the model's, all of them and no others.

    Args:
        model (nn.Module): Where the weights go.
        contents (dict): Of the checkpoint.
        source (str | Path): Its name, for messages.

    Raises:
        CheckpointError: Names the file, and the first tensor that is missing, left over or of
            another shape.
    """
    state, _ = select_weights(contents, '', source)
    state = {re.sub(r'^module\.', '', key): tensor for key, tensor in state.items()}
    backbone = getattr(model, 'backbone', None)
    recorded = (contents.get('meta') or {}).get('backbone')
    if recorded and hasattr(backbone, 'describe'):
        check_architecture(backbone, recorded, source)
    check_weights(model, state, source)
    own = model.state_dict()
    extra = [key for key in state if key not in own]
    if extra:
        raise CheckpointError(
            f'{source} does not hold this model: {len(extra)} of its {len(state)} tensors have no '
            f'place in it (first {extra[0]!r}); give the config that it was trained with'
        )
    model.load_state_dict(state, strict=False)  # what may be missing was checked


def check_on_unreadable(choice):
    """Refuse a choice that is neither ``'skip'`` nor ``'stop'``.

    Raises:
        ArgumentError: Names the choice.
    """
    if choice not in ('skip', 'stop'):
        raise ArgumentError(f"on_unreadable must be 'skip' or 'stop', got {choice!r}")


def make_folder(folder):
    """Path | None: ``folder``, made if needed.

    Raises:
        UserError: If it cannot be made.
    """
    if folder is None:
        return None
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f'folder {folder} cannot be made: {error.strerror}') from error
    return folder
