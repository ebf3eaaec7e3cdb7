"""Ways to run the network of a tracker, and how long each takes on the same frames."""

import copy
import functools
import itertools
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from mmlite.datasets.shapes import Job, task_spec
from mmlite.deploy import ONNXTrackerNetwork, export_tracker
from mmlite.deploy.onnx_tracker import BACKENDS
from mmlite.engine.tracking import OnlineTracker
from mmlite.errors import UserError
from mmlite.models.track.deploy import fuse_for_tracking

from .benchmark import rounded, step_seconds

BF16 = torch.bfloat16


def _compile(model, dtype=torch.float32):
    network = fuse_for_tracking(model, dtype)
    network.locate = torch.compile(network.locate)
    return network


VARIANTS = {
    'torch': lambda model, file: model,
    'torch-fused': lambda model, file: fuse_for_tracking(model),
    'torch-fused-bf16': lambda model, file: fuse_for_tracking(model, BF16),
    'torch-compiled': lambda model, file: _compile(model),
    'torch-compiled-bf16': lambda model, file: _compile(model, BF16),
    'onnxruntime': lambda model, file: ONNXTrackerNetwork(file()),
    'onnxruntime-int8': lambda model, file: ONNXTrackerNetwork(file(int8=True)),
    'openvino': lambda model, file: ONNXTrackerNetwork(file(), 'openvino'),
    'openvino-bf16': lambda model, file: ONNXTrackerNetwork(file(), 'openvino', 'bf16'),
}
"""Name -> function of the model and of a function that exports it, to a network."""


def choose_variants(names, device):
    """Check names of :data:`VARIANTS` for a device; by default all whose packages are installed."""
    if device == 'cuda' and any(not name.startswith('torch') for name in names or ()):
        raise UserError('ONNX Runtime and OpenVINO run on the CPU here: use --device cpu')
    if names:
        return names
    exported = BACKENDS if device == 'cpu' and find_spec('onnx') else ()
    packages = {'torch', *filter(find_spec, exported)}
    return [name for name in VARIANTS if name.split('-')[0] in packages]


def build_variants(model, names, directory):
    """dict: Name -> network; files are exported into ``directory`` once."""

    @functools.cache
    def file(int8=False):
        path = Path(directory) / f'int8={int8}.onnx'
        export_tracker(model, path, int8=int8)
        return path

    return {name: VARIANTS[name](model, file) for name in names}


def generate_frames(count, seed=0):
    """Generate a sequence: frames (H, W, 3) in BGR, and the first box as x, y, w, h."""
    sequence = Job('got', Path(), task_spec('got', frames=count), seed).sequence('val', 0)
    images, states = zip(*sequence.frames(), strict=True)
    x1, y1, x2, y2 = states[0].box
    frames = [np.ascontiguousarray(image.image[..., ::-1]) for image in images]
    return frames, (x1, y1, x2 - x1, y2 - y1)


class TimedTracker:
    """Tracks one target and records the time of each frame.

    ``box`` (x, y, w, h) is the target in the first of the ``frames``; ``warmup`` untimed frames
    precede. ``boxes`` are those of the frames after the first; ``network_ms`` and ``track_ms``
    their milliseconds in the network, and in the whole call: also crop, normalization, mapping
    back.
    """

    def __init__(self, network, frames, box, warmup, device):
        self.boxes, self.network_ms, self.track_ms = [], [], []
        self._device = device
        timed = copy.copy(network)
        timed.locate = functools.partial(self._timed, self.network_ms, network.locate)
        self._tracker = OnlineTracker(timed)
        (target,) = self._tracker.start([frames[0]], [box])
        for index in range(warmup):
            self._tracker.step([target], [frames[1 + index % (len(frames) - 1)]])
        self.network_ms.clear()
        self._targets = self._tracker.start([frames[0]], [box])
        self._frames = iter(frames[1:])

    def track(self, count):
        """Track the next ``count`` frames."""
        for frame in itertools.islice(self._frames, count):
            boxes, _ = self._timed(self.track_ms, self._tracker.step, self._targets, [frame])
            self.boxes.append(boxes[0])

    def _timed(self, times, function, *args):
        """Call a function and append its milliseconds."""
        results = []
        seconds = step_seconds(lambda: results.append(function(*args)), 1, 0, self._device)
        times.append(1e3 * seconds)
        return results[0]

    def summary(self, reference):
        """Columns of the CSV table; boxes are compared with ``reference``."""
        columns = {}
        for name, times in (('network', self.network_ms), ('track', self.track_ms)):
            columns[f'{name}_ms_median'], columns[f'{name}_ms_p95'] = np.percentile(times, (50, 95))
        columns['track_over_network'] = columns['track_ms_median'] / columns['network_ms_median']
        columns['largest_box_difference_px'] = np.abs(np.array(self.boxes) - reference).max()
        return {name: rounded(value, 3) for name, value in columns.items()}
