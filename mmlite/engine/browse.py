"""Shows what a data pipeline makes of a sample, whatever the task."""

import copy
from typing import NamedTuple

import cv2
import numpy as np
import torch

from mmlite.datasets.sot import TrackPairs
from mmlite.datasets.sot.base import SequenceDataset
from mmlite.errors import UserError
from mmlite.visualization import PALETTE, draw_instances

IGNORED = 255  # label of pixels without a class
GAP = 4  # px between pictures


class Step(NamedTuple):
    """What a sample was after the transform ``name``."""

    name: str
    data: dict


class Recorder:
    """Records every step of a data set's own pipeline; wrappers are looked through.

    Args:
        dataset: A built data set or a wrapper around one.

    Raises:
        UserError: If it holds whole sequences, which go through no pipeline.
    """

    def __init__(self, dataset):
        if isinstance(dataset, SequenceDataset):
            raise UserError(
                f'{type(dataset).__name__} holds sequences without a pipeline: browse the training '
                f'pairs (--phase train), or draw results by tools/test.py --show-dir'
            )
        self.dataset = dataset
        self.steps = []
        inner = dataset
        while not isinstance(inner, TrackPairs) and (
            hasattr(inner, 'dataset') or hasattr(inner, 'datasets')
        ):
            inner = inner.dataset if hasattr(inner, 'dataset') else inner.datasets[0]
        self._numbered = isinstance(inner, TrackPairs)
        pipeline = inner.pipeline
        first = [LoadFrames()] if self._numbered else []
        pipeline.transforms = [self._recorded(t) for t in (*first, *pipeline.transforms)]

    def __getitem__(self, index):
        """The packed sample of ``index`` and the steps that led to it.

        Of tracking pairs, that is pair ``index`` of the first epoch with seed 0.

        Returns:
            tuple[dict, list[Step]]: What the data set returns, and its way through the pipeline.
        """
        self.steps.clear()
        sample = self.dataset[(0, 0, index) if self._numbered else index]
        return sample, list(self.steps)

    def _recorded(self, transform):
        def run(data):
            data = transform(data)
            if data is None:  # the data set draws another sample
                self.steps.clear()
            else:
                self.steps.append(Step(type(transform).__name__, copy.deepcopy(data)))
            return data

        return run


class LoadFrames:
    """Stands for what :class:`TrackPairs` reads, which is before its pipeline."""

    def __call__(self, data):
        return data


def picture(sample, steps, mode, names, bgr=True):
    """The picture of a sample.

    Args:
        sample (dict): Packed sample from :class:`Recorder`.
        steps (list[Step]): Its steps.
        mode (str): ``'original'`` (as loaded), ``'transformed'`` (as the model gets it) or
            ``'pipeline'`` (after every step, side by side).
        names (Sequence[str]): Class names.
        bgr (bool): Channel order of the packed images. Defaults to True.

    Returns:
        ndarray: RGB uint8 (H, W, 3).
    """
    if mode == 'transformed':
        return draw(sample, names, bgr)
    if mode == 'original':
        loading = [s for s in steps if s.name.startswith('Load')] or steps[:1]
        return draw(loading[-1].data, names)
    shown = [
        (step.name, draw(step.data, names, bgr or 'inputs' not in step.data)) for step in steps
    ]
    return side_by_side([_titled(image, name) for name, image in shown])


def draw(data, names, bgr=True):
    """Draw images and ground truth of a sample, before or after packing.

    Args:
        data (dict): ``img`` (H, W, 3) with ``gt_*`` keys, or packed ``inputs`` with
            ``data_samples``. Several views, as a list or dict, are drawn side by side, as are
            template and search image of a tracking pair.
        names (Sequence[str]): Class names.
        bgr (bool): Channel order of the images. Defaults to True.

    Returns:
        ndarray: RGB uint8 (H, W, 3).
    """
    pair = _pair(data)
    if pair:
        return side_by_side([_with_target(to_rgb(image, bgr), box) for image, box in pair])
    images = data['inputs'] if 'inputs' in data else data['img']
    if isinstance(images, dict):
        images = list(images.values())
    views = images if isinstance(images, (list, tuple)) else [images]
    canvases = [to_rgb(view, bgr) for view in views]
    truth = _truth(data)
    if len(canvases) == 1:
        canvases = [_with_truth(canvases[0], truth, names)]
    canvas = side_by_side(canvases)
    if truth['label'] is not None:
        canvas = _titled(canvas, ', '.join(_name(names, int(i)) for i in truth['label']))
    return canvas


def to_rgb(image, bgr=True):
    """An image of any range and layout as RGB uint8 (H, W, 3).

    Args:
        image (ndarray | Tensor): (H, W, 3), (H, W), or a tensor (3, H, W) or (1, H, W). Floats
            that leave 0 to 255, as after normalisation, are stretched to that range.
        bgr (bool): Whether the channels are in BGR order. Defaults to True.
    """
    if isinstance(image, torch.Tensor):
        image = image.permute(1, 2, 0).numpy() if image.ndim == 3 else image.numpy()
    image = np.asarray(image)
    if image.dtype != np.uint8:
        image = image.astype(np.float64)
        low, high = image.min(), image.max()
        if low < 0 or high > 255 or high <= 1:
            image = 255 * (image - low) / max(high - low, 1e-12)
        image = image.round().astype(np.uint8)
    if image.ndim == 2 or image.shape[2] != 3:
        image = np.repeat(image.reshape(*image.shape[:2], -1)[..., :1], 3, axis=2)
    return np.ascontiguousarray(image[..., ::-1] if bgr else image)


def side_by_side(images):
    """Join RGB images of any height in a row on white."""
    height = max(image.shape[0] for image in images)
    padded = [
        np.pad(
            image,
            ((0, height - image.shape[0]), (0, GAP * (i < len(images) - 1)), (0, 0)),
            constant_values=255,
        )
        for i, image in enumerate(images)
    ]
    return np.concatenate(padded, axis=1)


def _pair(data):
    """Template and search image of a tracking pair, each with its box or None; () for others."""
    if 'search_image' in data:
        return [(data[f'{name}_image'], data[f'{name}_box']) for name in ('template', 'search')]
    if isinstance(data.get('inputs'), dict) and 'search' in data['inputs']:
        search = data['inputs']['search']
        height, width = search.shape[1:]
        box = data['data_samples']['box'].numpy() * (width, height, width, height)
        return [(data['inputs']['template'], None), (search, box)]
    return ()


def _with_target(canvas, box):
    """``canvas`` with the box ``x, y, w, h`` of a target."""
    if box is None:
        return canvas
    x, y, w, h = box
    corners = np.array([[x, y, x + w, y + h]])
    return draw_instances(canvas, corners, [0], np.zeros((1, *canvas.shape[:2])), ['target'])


def _truth(data):
    """Boxes, labels, masks, semantic map and image label of a sample, None where it has none."""
    if 'data_samples' in data:
        sample = data['data_samples']
        instances = sample.get('gt_instances')
        found = dict(
            boxes=instances.get('bboxes') if instances is not None else None,
            labels=instances.get('labels') if instances is not None else None,
            masks=instances.get('masks') if instances is not None else None,
            seg=sample.gt_sem_seg.data if 'gt_sem_seg' in sample else None,
            label=sample.get('gt_label'),
        )
    else:
        keys = ('gt_bboxes', 'gt_bboxes_labels', 'gt_masks', 'gt_seg_map', 'gt_label')
        values = [data.get(key) for key in keys]
        found = dict(zip(('boxes', 'labels', 'masks', 'seg', 'label'), values, strict=True))
    return {key: _array(value) for key, value in found.items()}


def _array(value):
    """The NumPy array in a box, mask or tensor object, None for None."""
    if value is None:
        return None
    if hasattr(value, 'to_ndarray'):
        return value.to_ndarray()
    value = getattr(value, 'tensor', value)
    return np.atleast_1d(np.asarray(value))


def _with_truth(canvas, truth, names):
    """``canvas`` with semantic map, boxes and masks."""
    if truth['seg'] is not None:
        canvas = _overlay(canvas, truth['seg'].squeeze())
    if truth['boxes'] is None or truth['labels'] is None:
        return canvas
    boxes, labels = truth['boxes'].reshape(-1, 4), truth['labels'].astype(int)
    masks = truth['masks']
    masks = np.zeros((len(boxes), *canvas.shape[:2])) if masks is None else masks
    shown = [_name(names, i) for i in range(labels.max(initial=-1) + 1)]
    return draw_instances(canvas, boxes, labels, masks, shown)


def _overlay(canvas, seg):
    """Half-transparent class colours over ``canvas``; a map of another size is resized."""
    height, width = canvas.shape[:2]
    seg = cv2.resize(seg.astype(np.int32), (width, height), interpolation=cv2.INTER_NEAREST)
    colours = np.array(PALETTE, dtype=np.uint8)[seg % len(PALETTE)]
    mixed = cv2.addWeighted(canvas, 0.5, colours, 0.5, 0)
    return np.where((seg == IGNORED)[..., None], canvas, mixed)


def _name(names, index):
    return str(names[index]) if 0 <= index < len(names) else f'class {index}'


def _titled(image, text, height=18):
    """``image`` under a white strip with ``text``, widened so that it fits."""
    width = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.42, 1)[0][0] + 6
    image = np.pad(
        image, ((height, 0), (0, max(0, width - image.shape[1])), (0, 0)), constant_values=255
    )
    cv2.putText(
        image, text, (3, height - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA
    )
    return image
