"""What a training step needs to be run once more: kept before it, written to a folder, read back.

A step is everything from one update of the weights to the next: with gradient accumulation, several
iterations.
"""

import io
from copy import deepcopy
from pathlib import Path

import torch
from mmengine.logging import MessageHub

from mmlite import stack
from mmlite.errors import CheckpointError

from .checkpointing import AtomicLocalBackend, to_plain
from .finite_watch import scaler_of, wrappers_of
from .loops import capture_rng
from .plain_batch import batch_from_plain, batch_to_plain, compact

FILE, CONFIG = 'step.pth', 'config.py'
FORMAT = 'mmlite.failed_step/1'
SIMPLE = (bool, int, float, str, type(None))
SCALER = ('scale', '_growth_tracker')
"""What changes in the state of a scaler."""

COUNTS = ('_inner_count', '_max_counts', '_remainder_counts')
"""Attributes by which a wrapper knows where it is among accumulated iterations."""


class StepKeeper:
    """Keeps what the next step may change, so that the state before it can be written afterwards.

    Kept by reference: batches; trained weights and the optimiser's state, which a step that fails
    leaves alone. Copied: the tensors of ``model.state_dict()`` that the optimiser does not train
    (statistics of batch norms, momentum encoders, centres, frozen layers); the scaler's scale; with
    several optimisers, of which one may have made its step before another fails, all weights and
    the state of all optimisers.

    Args:
        model (BaseModel): Without wrapper.
        optim_wrapper (OptimWrapper | OptimWrapperDict): Its optimiser wrappers.

    Attributes:
        iterations (list[dict]): Of the step. Each has ``iter``, ``batch``, ``losses``, ``random``
            (the state of the generators before it) and ``settings`` (of the model's modules).
    """

    def __init__(self, model, optim_wrapper):
        self.model = model
        self.optim_wrapper = optim_wrapper
        self.iterations = []
        self._wrappers = wrappers_of(optim_wrapper)
        self._accumulates = any(w._accumulative_counts > 1 for w in self._wrappers)
        self._places = self._find_places()
        self._copies = []

    def begin(self, iteration, batch, losses):
        """Call before each iteration.

        Args:
            iteration (int): From 0.
            batch: What ``train_step`` will get; may not be changed in place.
            losses (dict): Where its loss terms will be.
        """
        if all(wrapper.should_update() for wrapper in self._wrappers):
            self.iterations = []
        if not self.iterations:
            self._copy()
        state = dict(iter=iteration, batch=batch, losses=losses)
        if self._accumulates:  # hooks may have changed them when the step fails
            state['settings'] = dict(_settings(self.model))
        self.iterations.append(dict(state, random=capture_rng()))

    def record(self):
        """dict: The state before the step; tensors are not copied again."""
        tensors = dict(_tensors(self.model))
        tensors.update(zip(self._places, self._copies, strict=True))
        self.iterations[-1].setdefault('settings', dict(_settings(self.model)))
        return dict(
            weights=tensors,
            trainable=[name for name, p in self.model.named_parameters() if p.requires_grad],
            optimizer=self._states or self._optimizer_state(),
            counts=self._counts,
            iterations=self.iterations,
        )

    def _find_places(self):
        """Name -> (dict of a module, key in it) of each tensor that is copied."""
        several = len(self._wrappers) > 1
        groups = [group for w in self._wrappers for group in w.optimizer.param_groups]
        # mmengine gives the optimiser frozen parameters, too
        trained = {id(p) for g in groups if not several for p in g['params'] if p.requires_grad}
        saved = self.model.state_dict().keys()
        places = {}
        for path, module in self.model.named_modules():
            for owner in (module._parameters, module._buffers):
                for key, tensor in owner.items():
                    name = f'{path}.{key}'.lstrip('.')
                    if name in saved and id(tensor) not in trained:
                        places[name] = (owner, key)
        return places

    @torch.no_grad()
    def _copy(self):
        tensors = [owner[key].detach() for owner, key in self._places.values()]
        if tensors and [_form(t) for t in tensors] == [_form(t) for t in self._copies]:
            torch._foreach_copy_(self._copies, tensors)
        else:
            self._copies = [tensor.clone() for tensor in tensors]
        self._counts = [[getattr(w, name) for name in COUNTS] for w in self._wrappers]
        self._scales = [_scale(scaler_of(w)) for w in self._wrappers]
        several = len(self._wrappers) > 1
        self._states = deepcopy(self._optimizer_state()) if several else None

    def _optimizer_state(self):
        """State of the optimiser wrappers, with the scaler as it was before the step."""
        state = self.optim_wrapper.state_dict()
        if self._scales != [None] and len(self._wrappers) == 1:
            for name, value in zip(SCALER, self._scales[0], strict=True):
                state['loss_scaler'][name] = value.item()
        return state


def _scale(scaler):
    """Scale and growth tracker as tensors, without waiting for the device."""
    if scaler is None:
        return None
    if scaler._scale is None:  # they are made in the first step
        return tuple(torch.tensor(scaler.state_dict()[name]) for name in SCALER)
    return scaler._scale.clone(), scaler._growth_tracker.clone()


def _form(tensor):
    return tensor.shape, tensor.dtype, tensor.device


def _tensors(model):
    """Parameters and buffers, those that are kept out of checkpoints too."""
    yield from model.named_parameters()
    yield from model.named_buffers()


def _settings(model):
    """Public plain attributes of every module: its mode, and what hooks have set."""
    for path, module in model.named_modules():
        public = {k: v for k, v in vars(module).items() if type(v) in SIMPLE and k[0] != '_'}
        yield path, public


def numerics():
    """dict: Settings of torch that the last bits of a result depend on."""
    return dict(
        threads=torch.get_num_threads(),
        deterministic=torch.are_deterministic_algorithms_enabled(),
        matmul_precision=torch.get_float32_matmul_precision(),
        cudnn_benchmark=torch.backends.cudnn.benchmark,
        cudnn_deterministic=torch.backends.cudnn.deterministic,
    )


def machine(device):
    """str: The kind of device, and torch's version."""
    cuda = device.type == 'cuda'
    kind = f'CPU ({torch.backends.cpu.get_cpu_capability()})'
    return f'{torch.cuda.get_device_name(device) if cuda else kind}, torch {torch.__version__}'


def progress():
    """dict: Numbers in the message hub, by which schedules inside a model go."""
    hub = MessageHub.get_current_instance()
    return {k: v for k, v in hub.runtime_info.items() if type(v) in (bool, int, float)}


def write(folder, record, config):
    """Write a record and its config, each file whole or not at all.

    Args:
        folder (Path): Of the process.
        record (dict): To be saved as plain tensors and plain types.
        config (mmengine.config.Config): Of the run.

    Raises:
        CheckpointError: No space is left, the folder cannot be written, or the record holds an
            object that is not plain.
    """
    iterations = [
        dict(
            state,
            batch=batch_to_plain(state['batch']),
            losses={name: float(value) for name, value in state['losses'].items()},
        )
        for state in record['iterations']
    ]
    plain = to_plain(dict(record, format=FORMAT, iterations=iterations), 'step')
    buffer = io.BytesIO()
    torch.save(_compacted(plain), buffer)
    backend = AtomicLocalBackend()
    backend.put(config.pretty_text.encode(), folder / CONFIG)
    backend.put(buffer.getbuffer(), folder / FILE)


def _compacted(plain):
    if isinstance(plain, torch.Tensor):
        return compact(plain)
    if isinstance(plain, dict):
        return {key: _compacted(value) for key, value in plain.items()}
    if isinstance(plain, (list, tuple)):
        return type(plain)(map(_compacted, plain))
    return plain


def read(folder):
    """Read what :func:`write` wrote.

    Args:
        folder (str | Path): ``failed_step_*``, or a ``rank*`` in it. Of the former, the first
            process is taken whose loss was not finite, or the first one.

    Returns:
        tuple[Path, dict]: Folder of the process, and the record; its batches are built again.

    Raises:
        CheckpointError: There is no such folder or process, or the file is damaged or no step.
    """
    folder = Path(folder)
    if not (folder / FILE).is_file():
        folder = _first(folder)
        blamed = [folder.with_name(f'rank{rank}') for rank in _load(folder)['blamed']]
        folder = next((other for other in blamed if (other / FILE).is_file()), folder)
    record = _load(folder)
    for state in record['iterations']:
        state['batch'] = batch_from_plain(state['batch'])
    return folder, record


def _load(folder):
    record = stack.load(folder / FILE)
    if record.get('format') != FORMAT:
        raise CheckpointError(f'{folder / FILE} holds no failed step: FiniteHook writes them')
    return record


def _first(folder):
    """The first process in ``failed_step_*``."""
    if not folder.is_dir():
        there = [path.name for path in _ranks(folder.parent)]
        if there:
            raise CheckpointError(f'{folder} does not exist: there is {", ".join(there)}')
        raise CheckpointError(f'{folder} does not exist: give a folder failed_step_* of a work_dir')
    ranks = _ranks(folder)
    if not ranks:
        raise CheckpointError(
            f'{folder} holds no failed step: give a folder failed_step_* of a work_dir'
        )
    return ranks[0]


def _ranks(folder):
    """Folders of the processes below ``folder``, by their numbers."""
    found = (path.parent for path in folder.glob(f'rank*/{FILE}'))
    return sorted(found, key=lambda path: (len(path.name), path.name))
