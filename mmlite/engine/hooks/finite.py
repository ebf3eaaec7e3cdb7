"""Stops training at a NaN or an infinity, and keeps the step that met it."""

import math
from functools import partial
from pathlib import Path

import torch
from mmengine.dist import all_gather, barrier
from mmengine.hooks import Hook

from mmlite.errors import ArgumentError, CheckpointError, NonFiniteError
from mmlite.registry import HOOKS

from ..cli import report_errors_once
from ..failed_step import StepKeeper, machine, numerics, progress, write
from ..finite_watch import FiniteWatch
from .fit import unwrap_model

REPLAY = 'python tools/analysis_tools/replay.py'
SHOWN = 4  # names in a sentence


@HOOKS.register_module()
class FiniteHook(Hook):
    """Stop training at a loss or gradient that is NaN or infinite, before a weight changes.

    In full precision, and in half precision without a scaler, training stops at the first such
    update. With a ``GradScaler``, which skips such updates while its scale settles, it stops after
    ``max_skipped`` skipped updates in a row, or at once where the loss is not finite but all
    gradients are. With gradient accumulation, an update is several iterations, and it is the update
    that is looked at. In a distributed run, all processes stop at the same update.

    Every process then writes ``<work_dir>/failed_step_<iteration>/rank<r>/``: ``config.py``, and
    ``step.pth`` of plain tensors and types with the weights, states of optimiser, scaler and random
    generators before the update, its batches, and what was not finite. With it,
    ``tools/analysis_tools/replay.py`` runs that update again, without the data set. The iteration
    is the log's: the first is 1.

    It costs one pass over the gradients; a copy of those tensors of the state dict that the
    optimiser does not train; the state of the random generators; and one wait for the device an
    update, where a scaler or ``clip_grad`` wait anyway. In a distributed run, one number is
    reduced. Weights come out the same, bit for bit, with this hook and without. A batch is kept by
    reference: where ``train_step`` changes it in place, the replay differs. Weights that FSDP has
    sharded are not gathered.

    Args:
        max_skipped (int): Updates that a ``GradScaler`` skips in a row. Defaults to 20.

    Raises:
        ArgumentError: If ``max_skipped`` is below 1.
        NonFiniteError: When training stops.
    """

    priority = 'LOWEST'  # the other hooks may draw random numbers before the state of them is kept

    def __init__(self, max_skipped=20):
        if max_skipped < 1:
            raise ArgumentError(f'FiniteHook: max_skipped must be 1 or more, got {max_skipped}')
        self.max_skipped = max_skipped

    def before_train(self, runner):
        """Listen to the model and the optimiser."""
        model = unwrap_model(runner.model)
        self._keeper = StepKeeper(model, runner.optim_wrapper)
        fail = partial(self._stop, runner)
        self._watch = FiniteWatch(model, runner.optim_wrapper, fail, self.max_skipped)

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        """Keep what the iteration may change."""
        self._watch.losses = {}
        self._keeper.begin(runner.iter, data_batch, self._watch.losses)

    def after_train(self, runner):
        """Leave model and optimiser as they were."""
        self._watch.remove()

    def _stop(self, runner, names, skipped, broken):
        self._watch.remove()
        blamed = _where(broken)
        found = dict(gradients=names, skipped=skipped, blamed=blamed)
        record = {**self._keeper.record(), **found, **_circumstances(runner)}
        folder = Path(runner.work_dir) / f'failed_step_{runner.iter + 1}'
        end = f'run that step again by: {REPLAY} {folder}'
        try:
            write(folder / f'rank{runner.rank}', record, runner.cfg)
        except CheckpointError as error:
            end = f'the step could not be kept: {error}'
        barrier()  # the first process that ends takes the others with it
        with report_errors_once(runner.launcher, seconds=60):
            raise NonFiniteError(f'{describe(record)}; {end}')


def _circumstances(runner):
    device = next(unwrap_model(runner.model).parameters()).device
    return dict(
        iter=runner.iter,
        epoch=runner.epoch,
        seed=runner.seed,
        rank=runner.rank,
        world_size=runner.world_size,
        device=device.type,
        machine=machine(device),
        numerics=numerics(),
        progress=progress(),
    )


def _where(broken):
    """Ranks of the processes where a loss is not finite."""
    flags = all_gather(torch.tensor([int(broken)]))
    return [rank for rank, flag in enumerate(flags) if flag.item()]


def describe(record):
    """What was not finite in a step, as a part of a sentence.

    Args:
        record (dict): See :func:`~mmlite.engine.failed_step.write`.

    Returns:
        str: Iteration, loss terms and parameters.
    """
    parts = [_describe_losses(record)]
    if record['gradients']:
        parts.append(f'gradients are not finite in {shorten(record["gradients"])}')
    if record['skipped']:
        parts.append(f'the gradient scaler has skipped {record["skipped"]} updates in a row')
    return f'training stopped at iteration {record["iter"] + 1}: {", ".join(parts)}'


def _describe_losses(record):
    for state in record['iterations']:
        values = {name: float(value) for name, value in state['losses'].items()}
        bad = [f'{k} is {v}' for k, v in values.items() if 'loss' in k and not math.isfinite(v)]
        if bad:
            place = f' at iteration {state["iter"] + 1}' if state['iter'] < record['iter'] else ''
            return f'{shorten(bad)}{place}'
    others = [rank for rank in record['blamed'] if rank != record['rank']]
    if others:
        return f'the loss of process {others[0]} is not finite'
    return 'the loss is finite'


def shorten(items):
    """The first of ``items``, and how many more there are."""
    more = f' and {len(items) - SHOWN} more' if len(items) > SHOWN else ''
    return f'{", ".join(items[:SHOWN])}{more}'
