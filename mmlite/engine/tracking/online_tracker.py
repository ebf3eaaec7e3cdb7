"""Tracking frame by frame with any network that locates targets in crops."""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import nn

from mmlite.datasets.sot.geometry import box_to_image, clip_box, cut_crop, plan_crop
from mmlite.errors import ArgumentError, CheckpointError, DataError


class Network(Protocol):
    """Interface of a network, also compiled or exported, for :class:`OnlineTracker`.

    ``data_preprocessor`` has ``mean`` and ``std`` (tensors of 3 values, in 0..255) and
    ``bgr_to_rgb``, as :class:`~mmlite.models.track.TrackDataPreprocessor`; its tensors also define
    device and data type of a network that is not a ``nn.Module``. Methods take and return tensors
    of N targets.
    """

    template_size: int
    search_size: int
    template_factor: float
    search_factor: float
    coords: str
    data_preprocessor: object

    def embed_template(self, images):
        """Encode normalised templates (N, 3, T, T) as tokens (N, ...)."""

    def locate(self, template, search):
        """Locate targets, given tokens and normalised search regions (N, 3, S, S).

        Returns (N, 6) float32: cx, cy, w, h in units of the crop's side, the raw score of the
        chosen cell in 0..1, and the same times the window.
        """


@dataclass
class Target:
    """State of a tracked target after its latest frame."""

    box: tuple  # x, y, w, h in pixels of the frame, never rounded
    template: torch.Tensor  # tokens (1, ...) of the target in the first frame
    shape: tuple  # height and width of the frames


class OnlineTracker:
    """Track any number of targets, on one or several frames, in one forward pass.

    As OSTrack: the search region is cut around the latest box, the network's answer is mapped back
    and cut at the border of the frame with a margin of 10 pixels; the template never changes.

    Args:
        network (Network): In evaluation mode. Its device and data type are used.
        channel_order (str): ``'bgr'``, as OpenCV reads frames, the default, or ``'rgb'``.
    """

    def __init__(self, network, channel_order='bgr'):
        if channel_order not in ('bgr', 'rgb'):
            raise ArgumentError(f"channel_order must be 'bgr' or 'rgb', got {channel_order!r}")
        self.network = network
        pre = network.data_preprocessor
        self._flip = (channel_order == 'bgr') == pre.bgr_to_rgb
        self._device, self._dtype = _placement(network)
        mean, std = (v.double().flatten().cpu() for v in (pre.mean, pre.std))
        # (x - mean) / std as one fused operation
        self._scale, self._shift = (
            v.float().view(3, 1, 1).to(self._device) for v in (1 / std, -mean / std)
        )

    @torch.inference_mode()
    def start(self, frames, boxes):
        """Initialize targets from their first frames.

        Args:
            frames (Sequence[ndarray]): N frames (H, W, 3), uint8.
            boxes (Sequence[Sequence[float]]): N boxes x, y, w, h in pixels. They may leave the
                frame, but not entirely.

        Returns:
            list[Target]: For :meth:`step`.
        """
        if getattr(self.network, 'training', False):
            raise ArgumentError('the network is in training mode: call its eval() before tracking')
        for frame in frames:
            check_frame(frame)
        boxes = [_init_box(box, frame.shape) for box, frame in zip(boxes, frames, strict=True)]
        windows = self._plan(boxes, 'template')
        tokens = self.network.embed_template(self._images(frames, windows))
        shapes = [frame.shape[:2] for frame in frames]
        return list(map(Target, boxes, tokens.split(1), shapes))

    @torch.inference_mode()
    def step(self, targets, frames):
        """Locate targets in their next frames and update their boxes.

        Returns:
            tuple[list[tuple[float]], list[float]]: N boxes x, y, w, h in pixels, and the raw score
            of each in 0..1, as a confidence.

        Raises:
            DataError: A frame is not a uint8 image or has another size than those before.
            CheckpointError: The network returns numbers that are not finite. In both cases, no
                target is changed.
        """
        for target, frame in zip(targets, frames, strict=True):
            check_frame(frame, target)
        windows = self._plan([target.box for target in targets], 'search')
        template = torch.cat([target.template for target in targets])
        # the only synchronization with the device
        found = self.network.locate(template, self._images(frames, windows)).tolist()
        if not all(math.isfinite(value) for row in found for value in row):
            reason = 'its weights are broken, or its precision is too low'
            raise CheckpointError(f'the network returns numbers that are not finite: {reason}')
        boxes = []
        for (*box, _, _), target, window in zip(found, targets, windows, strict=True):
            box = box_to_image(box, target.box, window, self.network.coords)
            boxes.append(clip_box(box, target.shape))
        for target, box in zip(targets, boxes, strict=True):
            target.box = box
        return boxes, [row[4] for row in found]

    def _plan(self, boxes, kind):
        factor = getattr(self.network, f'{kind}_factor')
        size = getattr(self.network, f'{kind}_size')
        return [plan_crop(box, factor, size) for box in boxes]

    def _images(self, frames, windows):
        """Crops as normalised images (N, 3, size, size) on the network's device."""
        crops = [cut_crop(*pair) for pair in zip(frames, windows, strict=True)]
        images = torch.from_numpy(np.stack(crops))
        if self._device.type == 'cuda':
            images = images.pin_memory()  # else the copy waits for the device
        images = images.to(self._device, non_blocking=True)
        images = images.permute(0, 3, 1, 2).contiguous()
        images = images.flip(1) if self._flip else images
        return torch.addcmul(self._shift, images.float(), self._scale).to(self._dtype)


def check_frame(frame, target=None):
    """Raise DataError unless ``frame`` is uint8 (H, W, 3), and of the size of ``target``'s."""
    if frame is None:
        raise DataError('the frame is None: it could not be read')
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
        x, y, w, h = (float(value) for value in box)
    except (TypeError, ValueError) as error:
        raise DataError(f'init box {box!r} must be four numbers: x, y, w, h') from error
    if not all(map(math.isfinite, (x, y, w, h))):
        problem = 'has a value that is not finite'
    elif w <= 0 or h <= 0:
        problem = 'is empty: width and height must be positive'
    elif x >= shape[1] or y >= shape[0] or x + w <= 0 or y + h <= 0:
        problem = f'lies outside the frame of {shape[1]}x{shape[0]} pixels'
    else:
        return x, y, w, h
    raise DataError(f'init box x={x:g}, y={y:g}, w={w:g}, h={h:g} {problem}')


def _placement(network):
    """Device and data type of the network's images."""
    tensor = network.data_preprocessor.mean
    if isinstance(network, nn.Module):
        tensor = next(network.parameters(), tensor)
    return tensor.device, tensor.dtype if tensor.is_floating_point() else torch.float32
