"""Evaluation of a tracker inside mmengine: whole sequences, several at once, over all processes."""

import hashlib
import json
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
from mmengine.dist import all_gather_object, get_dist_info
from mmengine.runner import BaseLoop, autocast

from mmlite import __version__
from mmlite.errors import DataError
from mmlite.evaluation.sot.results import ResultFolder
from mmlite.registry import LOOPS

from .cli import reported_once
from .hooks.fit import unwrap_model
from .lockstep import track_sequences
from .online_tracker import OnlineTracker


class SequenceLoop(BaseLoop):
    """What :class:`SequenceTestLoop` and :class:`SequenceValLoop` share.

    The data loader only carries the data set of sequences; give it ``batch_size=1`` and no
    shuffling, so that its length is the number of sequences. Each process gets whole sequences, so
    that all have about the same number of frames, and tracks ``batch_size`` of them at once. To
    hooks, an iteration is one finished sequence: ``before_*_iter`` is called when waiting for it
    begins, with no batch, ``after_*_iter`` with ``data_batch=[Sequence]`` and ``outputs=[Track]``.

    Speed is measured, see :func:`~.lockstep.track_sequences`: the wall time of the tracker divided
    by the sequences in the batch, without waiting for frames from the disk.

    Args:
        runner (Runner): Its model has what :class:`~mmlite.engine.online_tracker.Network` lists.
        dataloader (DataLoader | dict): Holds the data set.
        evaluator (Evaluator | dict | list): Gets ``process(data_batch=[Sequence],
            data_samples=[Track])`` for every finished sequence; of those that fail, its metrics
            hear by ``failed(name, sentence)`` where they have it.
        batch_size (int): Sequences in one forward pass. Boxes differ by less than 0.001 pixels
            from those of one sequence at a time. Defaults to 8.
        threads (int): Of each process, that read and decode frames. Defaults to 4.
        fp16 (bool): Run in mixed precision. Defaults to False.
        log_seconds (float): Time between lines of the log with progress. Defaults to 30.
    """

    stage = None

    def __init__(
        self, runner, dataloader, evaluator, batch_size=8, threads=4, fp16=False, log_seconds=30.0
    ):
        super().__init__(runner, dataloader)
        self.evaluator = runner.build_evaluator(evaluator)
        self.dataset = self.dataloader.dataset
        meta = {**self.dataset.metainfo, 'names': list(self.dataset.names)}
        self.evaluator.dataset_meta = runner.visualizer.dataset_meta = meta
        self.batch_size = batch_size
        self.threads = threads
        self.fp16 = fp16
        self.log_seconds = log_seconds
        #: dict[str, str]: Sequence that could not be tracked -> why, on all processes after a run.
        self.failures = {}
        #: str | None: One sentence if sequences could not be tracked or scored, after a run.
        self.problem = None

    def run(self):
        """Track and evaluate all sequences.

        Returns:
            dict[str, float]: The metrics.
        """
        self._call('before_{}')
        self._call('before_{}_epoch')
        self.runner.model.eval()
        self.failures = {}
        self._finished, self._waiting = 0, False
        with reported_once(self.runner.launcher):
            folder = self.open_results()
        self._track(self._reuse(folder), folder)
        for failures in all_gather_object(self.failures):
            self.failures |= failures
        metrics = self.evaluator.evaluate(len(self.dataset))
        self.problem = self._describe_failures(metrics)
        self._call('after_{}_epoch', metrics=metrics)
        self._call('after_{}')
        return metrics

    def open_results(self):
        """ResultFolder | None: Where finished sequences are kept; none by default."""
        return None

    def _reuse(self, folder):
        """Evaluate what an earlier run has finished; returns the indices that are left.

        All processes look before any of them writes, each at its share.
        """
        indices = range(len(self.dataset))
        if folder is None:
            return list(indices)
        rank, world = get_dist_info()
        settled = []
        for index in indices[rank::world]:
            try:
                sequence = self.dataset[index]
                track = folder.read(sequence)
                _check_start(sequence, track, folder)
            except DataError as error:
                self._fail(index, error)
                settled.append(index)
                continue
            if track is not None:
                self._finish(sequence, track)
                settled.append(index)
        settled = set().union(*all_gather_object(settled))
        if settled:
            self.runner.logger.info(
                f'{len(settled)} of {len(indices)} sequences were finished before: {folder.path}'
            )
        return [index for index in indices if index not in settled]

    def _track(self, indices, folder):
        """Track this process's share of ``indices``."""
        lengths = self.dataset.lengths
        rank, world = get_dist_info()
        share = split_by_frames(lengths, indices, world)[rank]
        progress = Progress(self.runner.logger, len(share), lengths[share].sum(), self.log_seconds)
        tracker = OnlineTracker(unwrap_model(self.runner.model))

        def on_step(frames):
            self._await()
            progress.step(frames)

        tracked = track_sequences(
            tracker, share, self.dataset.__getitem__, self.batch_size, self.threads, on_step
        )
        with autocast(enabled=self.fp16):
            for index, sequence, outcome in tracked:
                progress.sequences += 1
                if isinstance(outcome, DataError):
                    self._fail(index, outcome)
                    continue
                if folder is not None:
                    folder.write(outcome)
                self._finish(sequence, outcome)

    def _await(self):
        """Tell the hooks, once, that a sequence is waited for."""
        if not self._waiting:
            self._waiting = True
            self._call('before_{}_iter', batch_idx=self._finished, data_batch=None)

    def _finish(self, sequence, track):
        self._await()
        batch, outputs = [sequence], [track]
        self.evaluator.process(data_batch=batch, data_samples=outputs)
        self._call('after_{}_iter', batch_idx=self._finished, data_batch=batch, outputs=outputs)
        self._finished += 1
        self._waiting = False

    def _fail(self, index, error):
        name = self.dataset.names[index]
        self.failures[name] = str(error)
        self.runner.logger.error(f'Sequence {name} is not evaluated: {error}')
        for metric in self.evaluator.metrics:
            if hasattr(metric, 'add_failure'):
                metric.add_failure(name, str(error))

    def _describe_failures(self, metrics):
        counts = [value for key, value in metrics.items() if key.split('/')[-1] == 'failed']
        failed = max([len(self.failures), *map(int, counts)])
        if not failed:
            return None
        name, why = next(iter(sorted(self.failures.items())), (None, 'see the log'))
        first = f'the first, {name}: {why}' if name else why
        return f'{failed} of {len(self.dataset)} sequences were not evaluated; {first}'

    def _call(self, point, **kwargs):
        self.runner.call_hook(point.format(self.stage), **kwargs)


@LOOPS.register_module()
class SequenceValLoop(SequenceLoop):
    """Evaluates the tracker in training, every ``val_interval`` of it.

    Args: As :class:`SequenceLoop`.
    """

    stage = 'val'


@LOOPS.register_module()
class SequenceTestLoop(SequenceLoop):
    """Evaluates a tracker, and keeps what is finished if the run is interrupted.

    Args:
        out_dir (str, optional): Results of data set ``d`` go to ``out_dir/d``, a file a sequence
            as soon as it ends. A run with the same weights, model, data set and version of the
            suite takes them from there; a run with others is refused. Defaults to ``'auto'``:
            ``results/d-*`` in the ``work_dir``, a folder of its own for whatever the results depend
            on. None keeps nothing.
        **kwargs: As in :class:`SequenceLoop`.
    """

    stage = 'test'

    def __init__(self, runner, dataloader, evaluator, out_dir='auto', **kwargs):
        super().__init__(runner, dataloader, evaluator, **kwargs)
        self.out_dir = out_dir

    def open_results(self):
        if self.out_dir is None:
            return None
        name = self.dataset.metainfo['dataset']
        identity = dict(
            dataset=name,
            weights=digest(unwrap_model(self.runner.model).state_dict()),
            model=_settings(self.runner.cfg.get('model')),
            fp16=self.fp16,
            mmlite=__version__,
        )
        if self.out_dir == 'auto':
            key = hashlib.blake2b(json.dumps(identity).encode(), digest_size=4).hexdigest()
            path = Path(self.runner.work_dir) / 'results' / f'{name}-{key}'
        else:
            path = Path(self.out_dir) / name
        self.runner.logger.info(f'Results of each sequence go to {path}')
        return ResultFolder(path, identity)


class Progress:
    """Logs frames, speed and the time that is left, at most once every so many seconds.

    Args:
        logger (MMLogger): Where to.
        sequences, frames (int): How many there are to do.
        seconds (float): Between two lines.
    """

    def __init__(self, logger, sequences, frames, seconds):
        self._logger = logger
        self._totals = sequences, int(frames)
        self._seconds = seconds
        self._began = self._told = time.monotonic()
        self._frames = 0
        self.sequences = 0

    def step(self, frames):
        """Count ``frames`` more."""
        self._frames += frames
        now = time.monotonic()
        if now - self._told < self._seconds:
            return
        self._told = now
        speed = self._frames / (now - self._began)
        sequences, total = self._totals
        left = timedelta(seconds=round(max(total - self._frames, 0) / speed))
        self._logger.info(
            f'{self.sequences}/{sequences} sequences, {self._frames}/{total} frames, '
            f'{speed:.1f} frames/s, {left} left'
        )


def split_by_frames(lengths, indices, parts):
    """Share sequences out so that the numbers of frames are balanced: longest first, greedy.

    Args:
        lengths (ndarray): Frames of every sequence.
        indices (Iterable[int]): Sequences to share out.
        parts (int): Number of shares.

    Returns:
        list[list[int]]: Indices of each share, the longest first. Equal everywhere.
    """
    shares, loads = [[] for _ in range(parts)], [0] * parts
    for index in sorted(indices, key=lambda i: (-lengths[i], i)):
        part = int(np.argmin(loads))
        shares[part].append(index)
        loads[part] += int(lengths[index])
    return shares


def _check_start(sequence, track, folder):
    """Raise if the annotation has changed since ``track`` was made."""
    if track is not None and not np.allclose(track.boxes[0], sequence.boxes[0], atol=1e-3):
        raise DataError(
            f'{folder.path / track.name}.txt begins at another box than the annotation of sequence '
            f'{track.name}: remove the file to track the sequence again'
        )


def digest(state_dict):
    """A hash of names, types, shapes and every bit of the values of a state dict.

    Args:
        state_dict (dict[str, Tensor]): On any device.

    Returns:
        str: 32 hexadecimal digits (BLAKE2b).
    """
    total = hashlib.blake2b(digest_size=16)
    for name in sorted(state_dict):
        tensor = state_dict[name].detach().cpu().contiguous()
        total.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}\n'.encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return total.hexdigest()


def _settings(model):
    """The config of a model as text, without what only training uses."""
    if isinstance(model, dict):
        kept = {k: v for k, v in model.items() if k not in ('init_cfg', 'train_cfg')}
        return '{' + ', '.join(f'{k}: {_settings(kept[k])}' for k in sorted(kept)) + '}'
    if isinstance(model, (list, tuple)):
        return '[' + ', '.join(map(_settings, model)) + ']'
    return json.dumps(model, default=lambda value: type(value).__qualname__)
