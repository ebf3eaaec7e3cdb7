"""Obey a request to end the program after the step, when the state is saved."""

import os
import signal
import threading
import time

import torch.distributed as dist
from mmengine import dist as mmdist
from mmengine.hooks import Hook

from mmlite.errors import Stopped
from mmlite.registry import HOOKS

from ..loops import keep_workers
from .checkpoint import CheckpointHook
from .fit import optim_wrappers

SIGNALS = (signal.SIGTERM, signal.SIGINT)
REPEATED = 2.0  # seconds in which a second signal is the first one, passed on by a launcher
LAST_STEP = 'last_step'  # key in the store: step after which all processes stop
STOP_VALIDATION = 'stop_validation'  # key in the store: a process was asked to stop in validation


@HOOKS.register_module()
class StopHook(Hook):
    """SIGTERM and SIGINT (Ctrl-C) finish the current step, save a checkpoint and end the program.

    Another signal, more than two seconds later, ends it at once. ``--resume`` continues with the
    next step. With gradient accumulation the step is the next one that updates the weights. In
    validation, the program ends between two batches if there is a checkpoint of that moment,
    otherwise after it. Several processes agree on a step by a key-value store.

    Raises:
        Stopped: After saving, with exit code 75; without a :class:`CheckpointHook`, 128 + the
            number of the signal.
    """

    priority = 'LOWEST'  # when all other hooks have seen the step

    def __init__(self):
        self._signal = self._last_step = self._saver = self._store = None
        self._handlers = {}

    def before_train(self, runner):
        """Listen to the signals, unless they are ignored, as under nohup."""
        savers = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]
        self._saver = savers[0] if savers else None
        self._store = _shared_store() if mmdist.get_world_size() > 1 else None
        if runner.val_loop is not None:
            keep_workers(runner.val_loop.dataloader)
        if threading.current_thread() is not threading.main_thread():
            return  # Python gives signals to the main thread alone
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._handlers[number] = signal.signal(number, self._on_signal)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Save and stop, if this is the step to do so."""
        wrappers = optim_wrappers(runner.optim_wrapper)
        # not while gradients are being accumulated
        if self._is_last(runner.iter) and all(wrapper.should_update() for wrapper in wrappers):
            path = self._saver.save_now(runner) if self._saver else None
            self._stop(runner, runner.iter + 1, path)

    def before_val_epoch(self, runner):
        """Count the batches of the processes, all of which must take part in an agreement."""
        if self._store is not None:
            self._val_batches = len(runner.val_loop.dataloader)
            self._all_validate = min(mmdist.all_gather_object(self._val_batches)) > 0

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Stop if nothing would be lost."""
        if self._saver is None or self._saver.saved_iter != runner.iter:
            return
        stop = self._signal is not None
        if self._store is not None and self._all_validate:
            if stop:
                self._store.set(STOP_VALIDATION, '')
            stop = self._store.check([STOP_VALIDATION])
            # each process votes once, before it would exchange results with the others
            if stop or batch_idx + 1 == self._val_batches:
                stop = any(mmdist.all_gather_object(stop))
        if stop and (self._store is None or self._all_validate):
            self._stop(runner, runner.iter, self._saver.last_ckpt)

    def after_train(self, runner):
        """Training has ended by itself: restore the handlers."""
        self._restore_handlers()
        mmdist.barrier()  # the store ends with the first process

    def _on_signal(self, number, _frame):
        if self._signal is None:
            self._signal, self._received = signal.Signals(number), time.monotonic()
        elif time.monotonic() - self._received > REPEATED:
            self._restore_handlers()
            signal.raise_signal(number)

    def _restore_handlers(self):
        while self._handlers:
            signal.signal(*self._handlers.popitem())

    def _is_last(self, step):
        if self._store is None:
            return self._signal is not None
        if self._signal and self._last_step is None:
            # every process is at most one step away, since they add up their gradients
            self._store.compare_set(LAST_STEP, '', str(step + 2))
        if self._last_step is None and self._store.check([LAST_STEP]):
            self._last_step = int(self._store.get(LAST_STEP))
        return self._last_step is not None and step >= self._last_step

    def _stop(self, runner, done, path):
        saved = f'{path} is saved, --resume continues from it' if path else 'nothing is saved'
        name = self._signal.name if self._signal else 'another process'
        sentence = f'{name} ended training after step {done}: {saved}'
        if mmdist.is_main_process():
            runner.logger.info(sentence)
        self._restore_handlers()
        if runner.world_size > 1:
            # a launcher ends all processes when the first one has ended, and so has its exit code
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            mmdist.barrier()
        stopped = Stopped(sentence if mmdist.is_main_process() else '')
        if path is None:
            stopped.exit_code = 128 + (self._signal or signal.SIGTERM)
        raise stopped


def _shared_store():
    """Key-value store of all processes, on a free port of the first one's machine."""
    host = os.environ['MASTER_ADDR']
    store = None
    if mmdist.is_main_process():
        store = dist.TCPStore(host, 0, is_master=True, wait_for_workers=False)
    port = [store and store.port]
    mmdist.broadcast_object_list(port)
    return store or dist.TCPStore(host, port[0], is_master=False)
