"""A request to end the program is obeyed after the step, when the state is saved."""

import os
import signal
import threading

import torch.distributed as dist
from mmengine.dist import barrier, get_world_size, is_main_process
from mmengine.hooks import Hook

from mmlite.errors import Stopped
from mmlite.registry import HOOKS

from ..finite_watch import wrappers_of
from .checkpoint import CheckpointHook

SIGNALS = (signal.SIGTERM, signal.SIGINT)
AGREED = 'mmlite/last_step'
"""Key in torch's store: the number of the step after which all processes stop."""


@HOOKS.register_module()
class StopHook(Hook):
    """SIGTERM and SIGINT (Ctrl-C) finish the current step, save a checkpoint and end the program.

    A second signal ends it at once. ``--resume`` goes on with the next step, so nothing is lost to
    a scheduler that takes its machines back; ``tools/slurm_batch.sh`` queues such a job again. With
    gradient accumulation the step is the next one that updates the weights. In validation, the
    program ends between two batches if there is a checkpoint of that moment, else after it.

    Several processes agree on the step: the first one that is told names a step that none of them
    has reached, which costs a question to torch's store after every step.

    Raises:
        Stopped: After saving.
    """

    priority = 'LOWEST'  # when all other hooks have seen the step

    def __init__(self):
        self._signal = self._last_step = None
        self._handlers = {}

    def before_train(self, runner):
        """Listen to the signals, unless they are ignored, as under nohup."""
        self._saver = next(
            (hook for hook in runner.hooks if isinstance(hook, CheckpointHook)), None
        )
        self._store = dist.distributed_c10d._get_default_store() if get_world_size() > 1 else None
        self._process = os.getpid()
        if threading.current_thread() is not threading.main_thread():
            return  # Python gives signals to the main thread alone
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._handlers[number] = signal.signal(number, self._note)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Save and stop, if this is the step to do so."""
        if self._is_last(runner.iter) and _weights_are_updated(runner.optim_wrapper):
            path = self._saver.save_now(runner) if self._saver else None
            self._stop(runner, runner.iter + 1, path)

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Stop if nothing would be lost."""
        if self._signal and self._saver and self._saver.saved_iter == runner.iter:
            self._stop(runner, runner.iter, self._saver.last_ckpt)

    def after_train(self, runner):
        """Training has ended by itself: leave the signals to others."""
        self._forget()

    def _note(self, number, _frame):
        # workers of data loaders inherit this: the signal of a terminal or a scheduler reaches
        # them, too, and the step that is finished may need them
        if os.getpid() == self._process:
            self._signal = signal.Signals(number).name
        self._forget()

    def _forget(self):
        while self._handlers:
            signal.signal(*self._handlers.popitem())

    def _is_last(self, step):
        if self._store is None:
            return self._signal is not None
        if self._signal and self._last_step is None:
            # every process is at most one step away, since they add up their gradients
            self._store.compare_set(AGREED, '', str(step + 2))
        if self._last_step is None and self._store.check([AGREED]):
            self._last_step = int(self._store.get(AGREED))
        return self._last_step is not None and step >= self._last_step

    def _stop(self, runner, done, path):
        saved = f'{path} is saved, --resume goes on from it' if path else 'nothing is saved'
        sentence = f'{self._signal or "another process"} ended training after step {done}: {saved}'
        if is_main_process():
            runner.logger.info(sentence)
        if runner.world_size > 1 and runner.train_loop.iter + 1 == done:
            barrier()  # the launcher kills the others when the first one ends
        raise Stopped(sentence if is_main_process() else '')


def _weights_are_updated(optim_wrapper):
    """Whether no gradients are being accumulated."""
    return all(wrapper.should_update() for wrapper in wrappers_of(optim_wrapper))
