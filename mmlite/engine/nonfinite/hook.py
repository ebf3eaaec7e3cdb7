"""Hook that stops training at a NaN or an infinity."""

import math
from functools import partial
from pathlib import Path

import torch
from mmengine.dist import all_gather, barrier
from mmengine.hooks import Hook

from mmlite.errors import ArgumentError, NonFiniteError, UserError
from mmlite.registry import HOOKS

from ..cli import report_errors_once
from ..hooks.fit import unwrap_model
from .step import StepKeeper, write
from .watch import FiniteWatch

REPLAY = 'python tools/analysis_tools/replay.py'
SHOWN = 4  # names in a sentence


@HOOKS.register_module()
class FiniteHook(Hook):
    """Stop training at a loss or gradient that is NaN or infinite, before a weight changes.

    Without a ``GradScaler``, training stops at the first such update. A scaler skips such updates
    while its scale settles: training stops at the ``max_skipped``-th (default: 20) in a row, or at
    once if the loss is not finite but all gradients are. All processes stop at the same update.

    Processes whose loss is not finite (all, if only gradients are not) write ``config.py`` and
    ``step.pth`` to ``<work_dir>/failed_step_<iteration>/rank<r>/``. With the state before the
    update and its batches, ``tools/analysis_tools/replay.py`` runs it again without the data set.

    An update costs one norm of the gradients, a copy of the tensors that the optimizer does not
    train, and one wait for the device before the optimizer's step, as a scaler or ``clip_grad``
    does. (mmengine waits once an iteration anyway, to log the losses.) Weights are the same, bit
    for bit, as without the hook. If ``train_step`` changes a batch in place, the replay differs.

    Raises:
        ArgumentError: If ``max_skipped`` is below 1.
        NonFiniteError: When training stops.
    """

    priority = 'LOWEST'  # other hooks may draw random numbers before the state of them is kept

    def __init__(self, max_skipped=20):
        if max_skipped < 1:
            raise ArgumentError(f'FiniteHook: max_skipped must be >= 1 (got {max_skipped})')
        self.max_skipped = max_skipped

    def before_train(self, runner):
        """Watch the model and the optimizer."""
        model = unwrap_model(runner.model)
        self._keeper = StepKeeper(model, runner.optim_wrapper)
        self._watch = FiniteWatch(
            model, runner.optim_wrapper, partial(self._stop, runner), self.max_skipped
        )

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        """Keep what the iteration may change."""
        if self._keeper.begin(runner.iter, data_batch):
            self._watch.losses = []
        self._watch.losses.append({})

    def after_train(self, runner):
        """Restore model and optimizer."""
        self._watch.remove()

    def _stop(self, runner, names, skipped):
        self._watch.remove()
        flags = all_gather(torch.tensor([int(self._watch.bad_loss())]))
        blamed = [rank for rank, flag in enumerate(flags) if flag]
        record = dict(
            self._keeper.record(),
            losses=[{k: float(v) for k, v in terms.items()} for terms in self._watch.losses],
            gradients=names,
            skipped=skipped,
            world_size=runner.world_size,
            device=next(runner.model.parameters()).device.type,
        )
        directory = Path(runner.work_dir) / f'failed_step_{runner.iter + 1}'
        end = f'run that step again by: {REPLAY} {directory}'
        try:
            if runner.rank in blamed or not blamed:
                write(directory / f'rank{runner.rank}', record, runner.cfg)
            else:
                end = f'the loss of process {blamed[0]} is not finite; {end}'
        except UserError as error:
            end = f'the step could not be kept: {error}'
        barrier()  # the first process that ends takes the others with it
        with report_errors_once(runner.launcher, seconds=60):
            raise NonFiniteError(f'{describe(record)}; {end}')


def describe(record):
    """Describe what was not finite in the record of a step, as part of a sentence."""
    last = record['iterations'][-1]['iter'] + 1
    parts = []
    for state, terms in zip(record['iterations'], record['losses'], strict=True):
        where = f' at iteration {state["iter"] + 1}' if state['iter'] + 1 < last else ''
        bad = [f'{k} is {v}' for k, v in terms.items() if 'loss' in k and not math.isfinite(v)]
        parts += [f'{_shorten(bad)}{where}'] if bad else []
    parts = parts[:1] or ['the loss is finite']
    if record['gradients']:
        parts.append(f'gradients are not finite in {_shorten(record["gradients"])}')
    if record['skipped']:
        parts.append(f'the gradient scaler has skipped {record["skipped"]} updates in a row')
    return f'training stopped at iteration {last}: {", ".join(parts)}'


def _shorten(items):
    more = f' and {len(items) - SHOWN} more' if len(items) > SHOWN else ''
    return f'{", ".join(items[:SHOWN])}{more}'
