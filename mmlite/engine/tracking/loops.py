"""Evaluation of a tracker inside mmengine: whole sequences, several at once, over all processes."""

import hashlib
import json
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from mmengine.dist import all_gather_object, get_dist_info
from mmengine.runner import BaseLoop, autocast

from mmlite import __version__
from mmlite.errors import DataError
from mmlite.evaluation.sot.results import ResultFolder
from mmlite.registry import LOOPS
from mmlite.utils import Progress

from ..cli import report_errors_once
from ..hooks.fit import unwrap_model
from .lockstep import track_sequences
from .online_tracker import OnlineTracker


class SequenceLoop(BaseLoop):
    """Base class of :class:`SequenceTestLoop` and :class:`SequenceValLoop`.

    The data loader only carries the data set; it must have ``batch_size=1`` and no shuffling. Each
    process gets whole sequences of about the same number of frames in total. To hooks, an iteration
    is one finished sequence: ``before_*_iter`` is called with no batch, ``after_*_iter`` with
    ``data_batch=[Sequence]`` and ``outputs=[Track]``.

    Args:
        runner, dataloader: As in :class:`mmengine.runner.TestLoop`.
        evaluator (Evaluator | dict | list): Gets every ``Sequence`` and ``Track``; its metrics get
            ``add_failure(name, reason)``, if they have it, for sequences that fail.
        batch_size (int): Sequences in one forward pass. Boxes differ by less than 0.001 pixels
            from those of one sequence at a time. Defaults to 8.
        threads (int): Threads of each process that read and decode frames. Defaults to 4.
        fp16 (bool): Run in mixed precision. Defaults to False.

    Attributes:
        failures (dict[str, str]): Sequence that could not be tracked in the last run -> reason.
        problem (str | None): One sentence if some could not be tracked or scored.
    """

    stage = out_dir = None

    def __init__(self, runner, dataloader, evaluator, batch_size=8, threads=4, fp16=False):
        super().__init__(runner, dataloader)
        self.evaluator = runner.build_evaluator(evaluator)
        self.dataset = self.dataloader.dataset
        meta = dict(self.dataset.metainfo, names=list(self.dataset.names))
        self.evaluator.dataset_meta = runner.visualizer.dataset_meta = meta
        self.batch_size, self.threads, self.fp16 = batch_size, threads, fp16
        self.failures, self.problem = {}, None

    def run(self):
        """Track and evaluate all sequences; returns the metrics."""
        self._call('before_{}')
        self._call('before_{}_epoch')
        self.runner.model.eval()
        self.failures = {}
        self._finished, self._waiting = 0, False
        with report_errors_once(self.runner.launcher):
            folder = self._open_results()
        self._track(self._reuse(folder), folder)
        for failures in all_gather_object(self.failures):
            self.failures |= failures
        metrics = self.evaluator.evaluate(len(self.dataset))
        self.problem = self._describe_failures(metrics)
        self._call('after_{}_epoch', metrics=metrics)
        self._call('after_{}')
        return metrics

    def _open_results(self):
        """ResultFolder of finished sequences, or None."""
        if self.out_dir is None:
            return None
        name = self.dataset.metainfo['dataset']
        text = json.dumps(self.runner.cfg.get('model'), default=lambda v: type(v).__qualname__)
        identity = dict(
            dataset=name,
            weights=digest(unwrap_model(self.runner.model).state_dict()),
            model=json.loads(text, object_hook=_without_training),
            fp16=self.fp16,
            mmlite=__version__,
        )
        if self.out_dir == 'auto':
            text = json.dumps(identity, sort_keys=True)
            key = hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
            path = Path(self.runner.work_dir) / 'results' / f'{name}-{key}'
        else:
            path = Path(self.out_dir) / name
        self.runner.logger.info(f'Results of each sequence go to {path}')
        return ResultFolder(path, identity)

    def _reuse(self, folder):
        """Evaluate results of an earlier run, before any process writes; returns the rest."""
        indices = range(len(self.dataset))
        if folder is None:
            return list(indices)
        rank, world = get_dist_info()
        settled = set()
        for index in indices[rank::world]:
            sequence = None
            try:
                sequence = self.dataset[index]
                track = folder.read(sequence)
            except DataError as error:
                track = error
            if track is not None:
                self._settle(index, sequence, track)
                settled.add(index)
        settled = set().union(*all_gather_object(settled))
        if settled:
            counts = f'{len(settled)} of {len(indices)}'
            self.runner.logger.info(f'{counts} sequences were finished before: {folder.path}')
        return [index for index in indices if index not in settled]

    def _track(self, indices, folder):
        """Track this process's share of ``indices``; the first process shows its progress."""
        rank, world = get_dist_info()
        share = split_by_frames(self.dataset.lengths, indices, world)[rank]
        tracker = OnlineTracker(unwrap_model(self.runner.model))
        progress = Progress('tracking', int(self.dataset.lengths[share].sum()), 'frames')

        def on_step(frames):
            self._await()
            if rank == 0:
                progress.advance(frames)

        tracked = track_sequences(
            tracker, share, self.dataset.__getitem__, self.batch_size, self.threads, on_step
        )
        with autocast(enabled=self.fp16), progress if rank == 0 else nullcontext():
            for index, sequence, outcome in tracked:
                if folder is not None and not isinstance(outcome, DataError):
                    folder.write(outcome)
                self._settle(index, sequence, outcome)

    def _await(self):
        if not self._waiting:
            self._waiting = True
            self._call('before_{}_iter', batch_idx=self._finished, data_batch=None)

    def _settle(self, index, sequence, outcome):
        """Evaluate the Track of a sequence, or record the DataError that came in its place."""
        if isinstance(outcome, DataError):
            name = self.dataset.names[index]
            self.failures[name] = str(outcome)
            self.runner.logger.error(f'Sequence {name} is not evaluated: {outcome}')
            for metric in self.evaluator.metrics:
                if hasattr(metric, 'add_failure'):
                    metric.add_failure(name, str(outcome))
            return
        self._await()
        batch, outputs = [sequence], [outcome]
        self.evaluator.process(data_batch=batch, data_samples=outputs)
        self._call('after_{}_iter', batch_idx=self._finished, data_batch=batch, outputs=outputs)
        self._finished += 1
        self._waiting = False

    def _describe_failures(self, metrics):
        counts = [value for key, value in metrics.items() if key.split('/')[-1] == 'failed']
        failed = max([len(self.failures), *map(int, counts)])
        if not failed:
            return None
        name, reason = next(iter(sorted(self.failures.items())), (None, 'see the log'))
        first = f'the first, {name}: {reason}' if name else reason
        return f'{failed} of {len(self.dataset)} sequences were not evaluated; {first}'

    def _call(self, point, **kwargs):
        self.runner.call_hook(point.format(self.stage), **kwargs)


@LOOPS.register_module()
class SequenceValLoop(SequenceLoop):
    """Evaluate a tracker during training, every ``val_interval``; see :class:`SequenceLoop`."""

    stage = 'val'


@LOOPS.register_module()
class SequenceTestLoop(SequenceLoop):
    """Evaluate a tracker, keeping finished sequences if the run is interrupted.

    Args:
        out_dir (str, optional): Results of data set ``d`` go to ``out_dir/d``. A run with the same
            weights, model, data set and version of mmlite reuses them; others are refused. Defaults
            to ``'auto'``: ``results/d-*`` in the ``work_dir``, one for each of these combinations.
            None keeps nothing.
    """

    stage = 'test'

    def __init__(self, runner, dataloader, evaluator, out_dir='auto', **kwargs):
        super().__init__(runner, dataloader, evaluator, **kwargs)
        self.out_dir = out_dir


def split_by_frames(lengths, indices, parts):
    """Split ``indices`` into ``parts`` lists of balanced ``lengths``: longest first, greedy."""
    shares, loads = [[] for _ in range(parts)], [0] * parts
    for index in sorted(indices, key=lambda i: (-lengths[i], i)):
        part = int(np.argmin(loads))
        shares[part].append(index)
        loads[part] += int(lengths[index])
    return shares


def _without_training(settings):
    return {k: v for k, v in settings.items() if k not in ('init_cfg', 'train_cfg')}


def digest(state_dict):
    """Hash names, types, shapes and every bit of the values of a state dict, as 32 hex digits."""
    total = hashlib.blake2b(digest_size=16)
    for name in sorted(state_dict):
        tensor = state_dict[name].detach().cpu().contiguous()
        total.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}\n'.encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return total.hexdigest()
