"""Single-object tracking from Python: frame by frame, or a whole video at a call."""

import itertools
import time
from contextlib import nullcontext
from pathlib import Path

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmlite.deploy import ONNXTrackerNetwork
from mmlite.engine.build import as_device, init_model, open_config
from mmlite.engine.tracking import OnlineTracker
from mmlite.errors import ArgumentError, DataError, UserError
from mmlite.evaluation.sot.results import read_boxes
from mmlite.utils import Progress

from .frame_sources import open_source
from .tasks import check_on_unreadable, check_task
from .track_video import Recording, open_window


def load_network(config, weights=None, device=None):
    """Build a :class:`~mmlite.engine.tracking.Network` with its weights, in evaluation mode.

    Arguments are those of :func:`~mmlite.apis.build_inferencer`; a ``.onnx`` file of
    ``tools/deploy/export_tracker.py`` has its weights and runs on the CPU.
    """
    if isinstance(config, (str, Path)) and str(config).endswith('.onnx'):
        if weights or as_device(device or 'cpu').type != 'cpu':
            raise UserError(f'{config} has its own weights and runs on the CPU: give it alone')
        return ONNXTrackerNetwork(config)
    cfg = open_config(config)
    weights = check_task(cfg, 'tracking', weights)
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmengine'):
        return init_model(cfg, weights, device)


class SOTInferencer:
    """Track objects in frames, videos and camera images.

    Example::

        tracker = SOTInferencer('configs/track/....py', 'ostrack.pth')
        tracker.init(first_frame, (x, y, w, h))
        box, score = tracker.track(next_frame)
        tracker('clip.mp4', (x, y, w, h), out_dir='tracked')

    Args:
        config (str | Path | Config | Network): See :func:`load_network`; or a
            :class:`~mmlite.engine.tracking.Network`, which stays on its device.
        weights, device: See :func:`load_network`.
    """

    def __init__(self, config, weights=None, device=None):
        if isinstance(config, (str, Path, Config)):
            self.network = load_network(config, weights, device)
        elif weights is not None or device is not None:
            raise ArgumentError('a network has its weights and its device: give it alone')
        else:
            self.network = config
        self._tracker = OnlineTracker(self.network)
        self._targets, self._single = [], True

    def init(self, frame, box):
        """Take one or several targets from a frame, BGR uint8 (H, W, 3), in place of those before.

        ``box`` is x, y, w, h in pixels, or (N, 4) for N targets. DataError if the frame is not an
        image, or a box is empty, not finite or outside it; the targets before stay.
        """
        boxes, single = _as_boxes(box)
        self._targets = self._tracker.start([frame] * len(boxes), boxes)
        self._single = single

    def track(self, frame):
        """Find the targets in the next frame, BGR uint8 (H, W, 3).

        Returns x, y, w, h in pixels, float64 (4,), and the score from 0 to 1, a float; for several
        targets float64 (N, 4) and (N,). DataError if the frame is not an image of the size of the
        first; the targets stay as they are.
        """
        if not self._targets:
            raise UserError('there is no target yet: call init(frame, box) before track(frame)')
        boxes, scores = self._tracker.step(self._targets, [frame] * len(self._targets))
        boxes, scores = np.array(boxes), np.array(scores)
        return (boxes[0], float(scores[0])) if self._single else (boxes, scores)

    def __call__(
        self, source, box=None, out_dir=None, show=False, truth=None, on_unreadable='skip',
        max_frames=None, progress=True,
    ):  # fmt: skip
        """Track targets through a video; returns a :class:`~.track_video.TrackedVideo`.

        Args:
            source (str | Path | int): See :func:`~.frame_sources.open_source`.
            box (ndarray | Sequence[float], optional): x, y, w, h in the first frame, or (N, 4) for
                N targets. Defaults to the first of ``truth``; with ``show``, drawn by the user.
            out_dir (str | Path, optional): Directory for the annotated ``<name>.mp4``, boxes
                ``<name>.txt`` (of N targets ``<name>_1.txt`` ...) and the contact sheet
                ``<name>.jpg``. Defaults to None: nothing is written.
            show (bool): Show a window; q or Esc ends. Defaults to False.
            truth (ndarray | str | Path, optional): (F, 4) boxes of one target or their file, to be
                drawn and compared.
            on_unreadable (str): ``'skip'`` a frame that is unreadable or of another size, or
                ``'stop'`` after those before it are written. Defaults to ``'skip'``.
            max_frames (int, optional): End after so many.
            progress (bool): Show the progress on stderr. Defaults to True.

        UserError if an argument is wrong, the source or its first frame cannot be read, the truth
        has another length, or, with ``'stop'``, a frame cannot be used.
        """
        check_on_unreadable(on_unreadable)
        if max_frames is not None and max_frames < 1:
            raise ArgumentError(f'max_frames must be >= 1, got {max_frames}')
        source, truth = open_source(source), _as_truth(truth)
        if truth is not None and source.exact and max_frames is None:
            _check_length(truth, source.count, source.name)
        if show:
            open_window(source.name)
        frames = itertools.islice(source.frames, max_frames)
        place, frame = next(frames)
        if isinstance(frame, DataError):
            raise frame
        if box is None:
            box = _choose_box(truth, show, source.name, frame)
        boxes, _ = _as_boxes(box)
        if truth is not None and len(boxes) > 1:
            raise ArgumentError(f'a truth is for one target, but {len(boxes)} boxes are given')
        tracker = SOTInferencer(self.network)  # beside the targets of init()
        try:
            tracker.init(frame, boxes)
        except DataError as error:
            raise DataError(f'{place}: {error}') from error
        recording = Recording(source, out_dir, truth, show)
        recording.add(frame, np.array(boxes, float), np.ones(len(boxes)), 0.0)
        stopped = False
        total = min((number for number in (source.count, max_frames) if number), default=0)
        bar = Progress('track', total, 'frames', 1) if progress and total else nullcontext()
        try:
            with bar as bar:
                for place, frame in frames:
                    try:
                        if isinstance(frame, DataError):
                            raise frame
                        start = time.perf_counter()
                        found = tracker.track(frame)
                        seconds = time.perf_counter() - start
                    except DataError as error:
                        recording.skip(error if error is frame else f'{place}: {error}')
                        stopped = on_unreadable == 'stop'
                    else:
                        stopped = not recording.add(frame, *found, seconds)
                    if bar:
                        bar.advance()
                    if stopped:
                        break
        except KeyboardInterrupt:
            if not source.live:
                raise
        finally:
            video = recording.close()
        if video.unreadable and on_unreadable == 'stop':
            raise DataError(f'{video.unreadable[0]}: tracking stopped there')
        if truth is not None and max_frames is None and not stopped:
            _check_length(truth, len(video.tracks[0]), source.name)
        return video


def _choose_box(truth, show, title, frame):
    """The first box of the truth, or one drawn by the user."""
    if truth is not None:
        return truth[0]
    if not show:
        raise UserError(
            'no init box is given: give box (--box X Y W H) in pixels of the first frame, or show '
            '(--show) to draw it'
        )
    box = cv2.selectROI(title, frame, showCrosshair=False)
    if not all(box[2:]):
        raise UserError('no box was drawn: draw one and press Enter, or give a box')
    return box


def _as_boxes(box):
    """A list of boxes, and whether a single one was given."""
    single = np.ndim(box[0]) == 0
    return ([box] if single else list(box)), single


def _as_truth(truth):
    """Annotated boxes (F, 4) from an array or a file, or None."""
    if isinstance(truth, str | Path):
        return read_boxes(truth)
    truth = None if truth is None else np.asarray(truth, np.float64)
    if truth is not None and truth.shape[1:] != (4,):
        raise DataError(f'truth has shape {truth.shape}: it should be (frames, 4)')
    return truth


def _check_length(truth, frames, name):
    if len(truth) != frames:
        raise DataError(f'the truth has {len(truth)} boxes, but {name} has {frames} frames')
