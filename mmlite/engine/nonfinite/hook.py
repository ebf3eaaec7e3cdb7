"""Hook that stops training at a NaN or an infinity."""

import math
from functools import partial
from pathlib import Path

import torch
from mmengine.dist import all_gather, barrier
from mmengine.hooks import Hook

from mmlite.errors import ArgumentError, NonFiniteError, UserError
from mmlite.registry import HOOKS
from mmlite.utils.names import listed

from ..cli import report_errors_once
from ..hooks.fit import unwrap_model
from .step import StepKeeper, write
from .watch import FiniteWatch, all_finite


@HOOKS.register_module()
class FiniteHook(Hook):
    """Stop training at a loss or gradient that is NaN or infinite, before a weight changes.

    A ``GradScaler`` skips such updates while its scale settles; with one, training stops at the
    ``max_skipped``-th (default: 20) in a row, or at once if the loss is not finite but all
    gradients are. All processes stop at once. Those whose loss is not finite (all, if only
    gradients are not) write the step to ``<work_dir>/failed_step_<iteration>/rank<r>/``, for
    ``tools/analysis_tools/replay.py``, which cannot undo changes of a batch by ``train_step``.

    An update costs one norm of the gradients, a copy of the tensors that the optimizer does not
    train, and one wait for the device. Weights are the same, bit for bit, as without the hook.

    Raises:
        NonFiniteError: When training stops.
    """

    priority = 'LOWEST'  # other hooks may draw random numbers before the state of them is kept

    def __init__(self, max_skipped=20):
        if max_skipped < 1:
            raise ArgumentError(f'FiniteHook: max_skipped must be >= 1 (got {max_skipped})')
        self.max_skipped = max_skipped

    def before_train(self, runner):
        model = unwrap_model(runner.model)
        self._keeper = StepKeeper(model, runner.optim_wrapper)
        fail = partial(self._stop, runner)
        self._watch = FiniteWatch(model, runner.optim_wrapper, fail, self.max_skipped)

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if self._keeper.begin(runner.iter, data_batch):
            self._watch.losses = []
        self._watch.losses.append({})

    def after_train(self, runner):
        self._watch.remove()

    def _stop(self, runner, names, skipped):
        self._watch.remove()
        flags = all_gather(torch.tensor([int(all_finite(self._watch.loss_tensors()))]))
        blamed = [rank for rank, finite in enumerate(flags) if not finite]
        record = dict(
            self._keeper.record(),
            losses=self._watch.numbers(),
            gradients=names,
            skipped=skipped,
            world_size=runner.world_size,
            device=next(runner.model.parameters()).device.type,
        )
        directory = Path(runner.work_dir) / f'failed_step_{runner.iter + 1}'
        end = f'run that step again by: python tools/analysis_tools/replay.py {directory}'
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
    numbers = [state['iter'] + 1 for state in record['iterations']]
    parts = ['the loss is finite']
    for number, terms in zip(numbers, record['losses'], strict=True):
        bad = [f'{k} is {v}' for k, v in terms.items() if 'loss' in k and not math.isfinite(v)]
        if bad:
            parts = [listed(bad, 4) + (f' at iteration {number}' if number < numbers[-1] else '')]
            break
    if record['gradients']:
        parts.append(f'gradients are not finite in {listed(record["gradients"], 4)}')
    if record['skipped']:
        parts.append(f'the gradient scaler has skipped {record["skipped"]} updates in a row')
    return f'training stopped at iteration {numbers[-1]}: {", ".join(parts)}'
