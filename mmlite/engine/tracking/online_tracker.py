"""Tracking frame by frame with any network that locates targets in crops."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import nn

from mmlite.datasets.sot.geometry import box_to_image, clip_box, cut_crop, plan_crop
from mmlite.errors import ArgumentError, CheckpointError, DataError
from mmlite.models.track import TrackDataPreprocessor


class Network(Protocol):
    """Interface of a network, also compiled or exported, for :class:`OnlineTracker`.

    One that is not a ``nn.Module`` runs on the device of its ``data_preprocessor``.
    """

    template_size: int
    search_size: int
    template_factor: float
    search_factor: float
    coords: str
    data_preprocessor: TrackDataPreprocessor

    def embed_template(self, images):
        """Encode normalized templates (N, 3, T, T) as tokens (N, ...)."""

    def locate(self, template, search):
        """See :meth:`~mmlite.models.track.one_stream.OneStreamTracker.locate`."""


@dataclass
class Target:
    """State of a tracked target after its latest frame."""

    box: tuple  # x, y, w, h in pixels of the frame, never rounded
    template: torch.Tensor  # tokens (1, ...) of the target in the first frame
    shape: tuple  # height and width of the frames


class OnlineTracker:
    """Track any number of targets, on one or several BGR frames, in one forward pass.

    As OSTrack: the search region is cut around the latest box, the network's answer is mapped back
    and cut at the border of the frame with a margin of 10 pixels; the template never changes.

    Args:
        network (Network): In evaluation mode. Its device and data type are used.
    """

    def __init__(self, network):
        self.network = network
        parameters = network.parameters() if isinstance(network, nn.Module) else iter(())
        like = next(parameters, network.data_preprocessor.mean)
        self._device, self._dtype = like.device, like.dtype

    @torch.inference_mode()
    def start(self, frames, boxes):
        """Initialize targets from N frames (H, W, 3), uint8.

        ``boxes`` are N of x, y, w, h in pixels. They may leave the frame, but not entirely. Returns
        a list of :class:`Target` for :meth:`step`.
        """
        if getattr(self.network, 'training', False):
            raise ArgumentError('the network is in training mode: call its eval() before tracking')
        for frame in frames:
            check_frame(frame)
        shapes = [frame.shape[:2] for frame in frames]
        boxes = list(map(_init_box, boxes, shapes))
        images, _ = self._crops(frames, boxes, 'template')
        return list(map(Target, boxes, self.network.embed_template(images).split(1), shapes))

    @torch.inference_mode()
    def step(self, targets, frames):
        """Locate targets in their next frames and update their boxes.

        Returns N boxes x, y, w, h in pixels, and the raw score of each in 0..1, as a confidence. A
        DataError (a frame is not a uint8 image, or of another size) or CheckpointError (numbers of
        the network are not finite) leaves all targets as they were.
        """
        for target, frame in zip(targets, frames, strict=True):
            check_frame(frame, target)
        images, windows = self._crops(frames, [target.box for target in targets], 'search')
        template = torch.cat([target.template for target in targets])
        # the only synchronization with the device
        found = self.network.locate(template, images).tolist()
        if not np.isfinite(found).all():
            raise CheckpointError(
                'the network returns numbers that are not finite: its weights are broken, or its '
                'precision is too low'
            )
        for row, target, window in zip(found, targets, windows, strict=True):
            box = box_to_image(row[:4], target.box, window, self.network.coords)
            target.box = clip_box(box, target.shape)
        return [target.box for target in targets], [row[4] for row in found]

    def _crops(self, frames, boxes, kind):
        """Normalized crops (N, 3, size, size) on the network's device, and their windows."""
        factor, size = (getattr(self.network, f'{kind}_{what}') for what in ('factor', 'size'))
        windows = [plan_crop(box, factor, size) for box in boxes]
        pairs = zip(frames, windows, strict=True)
        images = torch.from_numpy(np.stack([cut_crop(*pair) for pair in pairs]))
        if self._device.type == 'cuda':
            images = images.pin_memory()  # else the copy waits for the device
        images = images.to(self._device, non_blocking=True).permute(0, 3, 1, 2).contiguous()
        return self.network.data_preprocessor.normalise(images).to(self._dtype), windows


def check_frame(frame, target=None):
    """Raise DataError unless ``frame`` is uint8 (H, W, 3), and of the size of ``target``'s."""
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8:
        kind = getattr(frame, 'dtype', type(frame).__name__)
        raise DataError(f'the frame is of type {kind}; it must be a NumPy array of uint8')
    if frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
        raise DataError(f'the frame has shape {frame.shape}; it must be (height, width, 3)')
    if target is not None and frame.shape[:2] != target.shape:
        sizes = [f'{shape[1]}x{shape[0]}' for shape in (frame.shape, target.shape)]
        raise DataError(f'the frame has {sizes[0]} pixels, those before it {sizes[1]}')


def _init_box(box, shape):
    try:
        x, y, w, h = map(float, box)
    except (TypeError, ValueError) as error:
        raise DataError(f'init box {box!r} must be four numbers: x, y, w, h') from error
    if x >= shape[1] or y >= shape[0] or x + w <= 0 or y + h <= 0:
        outside = f'lies outside the frame of {shape[1]}x{shape[0]} pixels'
        raise DataError(f'init box x={x:g}, y={y:g}, w={w:g}, h={h:g} {outside}')
    return x, y, w, h
