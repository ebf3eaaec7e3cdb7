"""Snapshot of a training step, from one update of the weights to the next, for its replay."""

import io
import pickle
from pathlib import Path

import torch
from mmengine.logging import MessageHub

from mmlite import stack
from mmlite.errors import CheckpointError
from mmlite.utils import write_bytes, write_text

from ..checkpointing import to_plain
from ..hooks.fit import optim_wrappers
from ..loops import capture_rng

FILE, CONFIG = 'step.pth', 'config.py'
FORMAT = 'mmlite.failed_step/2'
SIMPLE = (bool, int, float, str, type(None))
COUNTS = ('_inner_count', '_max_counts', '_remainder_counts')  # of accumulated iterations


class StepKeeper:
    """Keep what the next step may change.

    A failing step does not change batches, trained weights and the optimizer's state: they are kept
    by reference. Other tensors of ``model.state_dict()``, such as statistics of batch norms, are
    copied; with several optimizers, of which one may step before another fails, all of them.
    """

    def __init__(self, model, optim_wrapper):
        self.model, self.optim_wrapper = model, optim_wrapper
        self._wrappers = optim_wrappers(optim_wrapper)
        groups = [] if len(self._wrappers) > 1 else optim_wrapper.optimizer.param_groups
        # mmengine gives the optimizer frozen parameters, too
        trained = {id(p) for group in groups for p in group['params'] if p.requires_grad}
        saved = model.state_dict().keys()  # other tensors, such as those of a teacher, are constant
        tensors = named_tensors(model).items()
        self._names = [k for k, v in tensors if k in saved and id(v) not in trained]
        self._copies = []

    def begin(self, iteration, batch):
        """Call before each iteration (from 0). Returns whether it is the first of the step."""
        first = all(wrapper.should_update() for wrapper in self._wrappers)
        if first:
            self.batches, self.iterations = [], []
            self._counts = [[getattr(w, name) for name in COUNTS] for w in self._wrappers]
            tensors = named_tensors(self.model)
            tensors = [tensors[name].detach() for name in self._names]
            if tensors and [t.shape for t in tensors] == [t.shape for t in self._copies]:
                torch._foreach_copy_(self._copies, tensors)
            else:
                self._copies = [tensor.clone() for tensor in tensors]
        self.batches.append(batch)
        self.iterations.append(dict(iter=iteration, random=capture_rng()))
        return first

    def record(self):
        """dict: The state before the step."""
        hub = MessageHub.get_current_instance().runtime_info
        return dict(
            weights=named_tensors(self.model) | dict(zip(self._names, self._copies, strict=True)),
            optimizer=self.optim_wrapper.state_dict(),
            counts=self._counts,
            batches=self.batches,
            iterations=self.iterations,
            settings={path: settings(module) for path, module in self.model.named_modules()},
            threads=torch.get_num_threads(),
            progress={k: v for k, v in hub.items() if type(v) in (bool, int, float)},
        )


def named_tensors(model):
    """dict[str, Tensor]: Parameters and buffers, including those that checkpoints leave out."""
    return dict(model.named_parameters()) | dict(model.named_buffers())


def settings(module):
    """dict: Public plain attributes of a module: its mode, and what hooks have set."""
    return {k: v for k, v in vars(module).items() if type(v) in SIMPLE and not k.startswith('_')}


def write(directory, record, config):
    """Write a record and its config; CheckpointError for objects that :func:`read` would refuse."""
    plain, buffer = to_plain(dict(record, format=FORMAT, batches=None), 'step'), io.BytesIO()
    try:
        torch.save(dict(plain, batches=record['batches']), buffer)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise CheckpointError(f'the batch cannot be saved: {error}') from error
    write_text(directory / CONFIG, config.pretty_text)
    write_bytes(directory / FILE, buffer.getbuffer())
    _load(directory / FILE)  # refuses classes that are not of a batch


def read(directory):
    """Directory and record of a ``rank*`` or the first in ``failed_step_*``, or CheckpointError."""
    files = [*Path(directory).glob(FILE), *sorted(Path(directory).glob(f'rank*/{FILE}'))]
    if not files:
        raise CheckpointError(
            f'{directory} holds no failed step: give a directory failed_step_* of a work_dir'
        )
    return files[0].parent, _load(files[0])


def _load(file):
    from mmdet.structures import DetDataSample, bbox, mask
    from mmengine.structures import BaseDataElement, InstanceData, LabelData, PixelData
    from mmpretrain.structures import DataSample
    from mmseg.structures import SegDataSample

    samples = [BaseDataElement, DetDataSample, SegDataSample, DataSample, InstanceData, LabelData]
    targets = [PixelData, bbox.HorizontalBoxes, mask.BitmapMasks, mask.PolygonMasks]
    with torch.serialization.safe_globals(samples + targets):
        record = stack.load(file)
    if record.get('format') != FORMAT:
        raise CheckpointError(f'{file} is not a failed step of this version')
    return record
