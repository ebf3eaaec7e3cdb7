"""Runs a training step once more that :class:`~mmlite.engine.hooks.FiniteHook` has kept."""

from copy import deepcopy
from dataclasses import dataclass

import torch
from mmengine.logging import MessageHub
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper

from mmlite.errors import CheckpointError
from mmlite.registry import MODELS

from .failed_step import COUNTS, SIMPLE
from .finite_watch import FiniteWatch, wrappers_of
from .loops import restore_rng


class _Stopped(Exception):
    """The step is not finite."""


@dataclass
class Outcome:
    """What a step came to.

    Attributes:
        losses (list[dict[str, float]]): Loss terms of every iteration.
        gradients (list[str]): Parameters whose gradients are not finite.
        failed (bool): Whether the hook would have stopped training, or counted a skipped update.
    """

    losses: list
    gradients: list
    failed: bool

    @classmethod
    def of_record(cls, record):
        """What the record says."""
        return cls([state['losses'] for state in record['iterations']], record['gradients'], True)

    def differs(self, other):
        """list[str]: What is not the same, bit for bit; empty if all is."""
        parts = []
        if len(self.losses) != len(other.losses) or not all(
            _same(*pair) for pair in zip(self.losses, other.losses, strict=False)
        ):
            parts.append('loss terms')
        if set(self.gradients) != set(other.gradients):
            parts.append('gradients')
        return parts


def _same(one, other):
    """Whether two dicts of numbers are equal, NaN to NaN."""
    return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)


def _alike(one, other):
    return one == other or (one != one and other != other)


class Replay:
    """The model and optimiser of a step that failed, in the state before it.

    Neither the data set nor checkpoints named in the config are needed.

    Args:
        cfg (mmengine.config.Config): Of the run.
        record (dict): From :func:`~mmlite.engine.failed_step.read`.
        device (torch.device): Where the step runs.

    Raises:
        CheckpointError: The config builds another model or optimiser than the record is of.
    """

    def __init__(self, cfg, record, device):
        self.record = record
        _restore_numerics(record['numerics'])
        self.model = revert_sync_batchnorm(MODELS.build(cfg.model)).to(device)
        self._load_weights()
        self.optim_wrapper = build_optim_wrapper(self.model, cfg.optim_wrapper)

    def run(self):
        """Run the step from the state before it; the optimiser only acts if all is finite.

        Returns:
            Outcome: Of this time.
        """
        self._rewind()
        found, losses = [], []

        def fail(names, skipped, broken):
            found.extend(names)
            raise _Stopped

        watch = FiniteWatch(self.model, self.optim_wrapper, fail, max_skipped=1)
        failed = False
        try:
            for state in self.record['iterations']:
                MessageHub.get_current_instance().update_info('iter', state['iter'])
                watch.losses = {}
                losses.append(watch.losses)
                self._apply(state['settings'])
                restore_rng(state['random'])
                self.model.train_step(deepcopy(state['batch']), optim_wrapper=self.optim_wrapper)
        except _Stopped:
            failed = True
        finally:
            watch.remove()
        values = [{name: float(value) for name, value in terms.items()} for terms in losses]
        return Outcome(values, found, failed)

    def _rewind(self):
        """Put everything back to where it was before the step."""
        record = self.record
        self._load_weights()
        self.optim_wrapper.zero_grad()
        try:
            self.optim_wrapper.load_state_dict(deepcopy(record['optimizer']))
        except (ValueError, KeyError) as error:
            raise CheckpointError(
                f'the state of the optimiser does not fit this config: {error}'
            ) from error
        for wrapper, counts in zip(wrappers_of(self.optim_wrapper), record['counts'], strict=True):
            for name, value in zip(COUNTS, counts, strict=True):
                setattr(wrapper, name, value)
        MessageHub.get_current_instance().update_info_dict(record['progress'])

    @torch.no_grad()
    def _load_weights(self):
        given = self.record['weights']
        own = dict([*self.model.named_parameters(), *self.model.named_buffers()])
        for name in [*own, *given]:
            if name not in own or name not in given or own[name].shape != given[name].shape:
                raise CheckpointError(
                    f'{name!r} is not in both the step and this config, or not with the same '
                    'shape: give no --cfg-options that change the model'
                )
        trainable = set(self.record['trainable'])
        for name, tensor in own.items():
            tensor.copy_(given[name])
            if isinstance(tensor, torch.nn.Parameter):
                tensor.requires_grad_(name in trainable)

    def _apply(self, settings):
        for path, module in self.model.named_modules():
            for key, value in settings.get(path, {}).items():
                if type(getattr(module, key, None)) in SIMPLE:
                    setattr(module, key, value)


def _restore_numerics(numerics):
    torch.set_num_threads(numerics['threads'])
    torch.use_deterministic_algorithms(numerics['deterministic'])
    torch.set_float32_matmul_precision(numerics['matmul_precision'])
    torch.backends.cudnn.benchmark = numerics['cudnn_benchmark']
    torch.backends.cudnn.deterministic = numerics['cudnn_deterministic']
