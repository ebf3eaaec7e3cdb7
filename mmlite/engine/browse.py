"""Samples of a data pipeline as images, for every task."""

import copy
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np
import torch

from mmlite.datasets.sot import TrackPairs
from mmlite.datasets.sot.base import SequenceDataset
from mmlite.errors import UserError
from mmlite.utils import image_grid
from mmlite.visualization import class_colors, class_name, draw_instances

IGNORED = 255  # label of pixels without a class
SHORTEST = 320  # px; smaller images are enlarged, so that text upon them is legible


class Step(NamedTuple):
    """State of a sample after the transform ``name``."""

    name: str
    data: dict


class Recorder:
    """Record every step of the pipeline of a data set, which may be wrapped."""

    def __init__(self, dataset):
        if isinstance(dataset, SequenceDataset):
            raise UserError(
                f'{type(dataset).__name__} holds sequences without a pipeline: browse the training '
                'pairs (--phase train), or draw results by tools/test.py --show-dir'
            )
        self.dataset = dataset
        self.steps = []
        inner = dataset
        while not isinstance(inner, TrackPairs) and {'dataset', 'datasets'} & vars(inner).keys():
            inner = inner.dataset if hasattr(inner, 'dataset') else inner.datasets[0]
        self._pairs = isinstance(inner, TrackPairs)
        steps = [(type(transform).__name__, transform) for transform in inner.pipeline.transforms]
        if self._pairs:  # these load frames before their pipeline
            steps.insert(0, ('LoadFrames', lambda data: data))
        inner.pipeline.transforms = [partial(self._record, *step) for step in steps]

    def __getitem__(self, index):
        """The packed sample and its steps; for tracking, those of a pair of epoch 0 with seed 0."""
        self.steps.clear()
        sample = self.dataset[(0, 0, index) if self._pairs else index]
        return sample, list(self.steps)

    def _record(self, name, transform, data):
        data = transform(data)
        if data is None:  # the data set takes another sample
            self.steps.clear()
        else:
            self.steps.append(Step(name, copy.deepcopy(data)))
        return data


def draw_steps(sample, steps, mode, names, bgr=True, shortest=SHORTEST):
    """Draw a sample of :class:`Recorder` with its ground truth, RGB uint8 (H, W, 3).

    ``mode`` is ``'original'`` (as loaded), ``'transformed'`` (as the model gets it) or
    ``'pipeline'`` (after every step, side by side). Steps before packing are BGR; for the rest see
    :func:`draw_sample`.
    """
    if mode == 'transformed':
        return draw_sample(sample, names, bgr, shortest)
    if mode == 'original':
        loading = [step for step in steps if step.name.startswith('Load')] or steps[:1]
        return draw_sample(loading[-1].data, names, shortest=shortest)
    images = [
        draw_sample(step.data, names, bgr or 'inputs' not in step.data, shortest) for step in steps
    ]
    return image_grid(images, [step.name for step in steps])


def draw_sample(data, names, bgr=True, shortest=SHORTEST):
    """Draw images and ground truth of a sample, before or after packing, RGB uint8 (H, W, 3).

    Several views, or both images of a tracking pair, are drawn side by side, their longest side at
    least ``shortest`` pixels. ``bgr`` is the channel order of the images.
    """
    views = _views(data)
    drawn = [_draw(to_rgb(image, bgr), truth, names, shortest) for image, truth in views]
    label = views[0][1].get('label', ())
    caption = ', '.join(class_name(names, int(index)) for index in label)
    return image_grid(drawn, [caption]) if caption or len(drawn) > 1 else drawn[0]


def to_rgb(image, bgr=True):
    """Convert (H, W, 3), (H, W) or a tensor (3, H, W) or (1, H, W) to RGB uint8 (H, W, 3).

    Floats outside 0 to 255, as after normalization, are stretched to that range.
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


def _views(data):
    """Images of a sample, each with its ground truth."""
    if 'search_image' in data:
        names = ('template', 'search')
        return [(data[f'{name}_image'], _target(data[f'{name}_box'])) for name in names]
    images = data['inputs'] if 'inputs' in data else data['img']
    if isinstance(images, dict) and 'search' in images:
        height, width = images['search'].shape[1:]
        box = data['data_samples']['box'].numpy() * (width, height, width, height)
        return [(images['template'], {}), (images['search'], _target(box))]
    truth = _truth(data)
    images = list(images.values()) if isinstance(images, dict) else images
    if not isinstance(images, (list, tuple)):
        return [(images, truth)]
    return [(image, {k: v for k, v in truth.items() if k == 'label'}) for image in images]


def _target(box):
    x, y, w, h = box
    return dict(boxes=np.array([[x, y, x + w, y + h]]), labels=np.zeros(1), names=['target'])


def _truth(data):
    """Boxes, labels, masks, semantic map and image label of a sample, those that it has."""
    if (sample := data.get('data_samples')) is None:
        keys = ('gt_bboxes', 'gt_bboxes_labels', 'gt_masks', 'gt_seg_map', 'gt_label')
        values = [data.get(key) for key in keys]
    else:
        instances, seg = sample.get('gt_instances') or {}, sample.get('gt_sem_seg')
        values = [instances.get(key) for key in ('bboxes', 'labels', 'masks')]
        values += [None if seg is None else seg.data, sample.get('gt_label')]
    truth = {}
    for key, value in zip(('boxes', 'labels', 'masks', 'seg', 'label'), values, strict=True):
        if hasattr(value, 'to_ndarray'):
            truth[key] = value.to_ndarray()
        elif value is not None:
            truth[key] = np.atleast_1d(np.asarray(getattr(value, 'tensor', value)))
    return truth


def _draw(image, truth, names, shortest):
    """Enlarge an image and draw its semantic map, boxes and masks."""
    scale = max(1.0, shortest / max(image.shape[:2]))
    has_boxes = 'boxes' in truth and 'labels' in truth
    boxes = truth['boxes'].reshape(-1, 4) if has_boxes else ()
    labels = truth['labels'].astype(int) if has_boxes else ()
    if 'seg' in truth:
        seg = truth['seg'].squeeze().astype(np.int32)  # maybe of another size
        seg = cv2.resize(seg, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        colors = np.array(class_colors(IGNORED + 1), np.uint8)[np.clip(seg, 0, IGNORED)]
        mixed = cv2.addWeighted(image, 0.5, colors, 0.5, 0)
        image = np.where((seg == IGNORED)[..., None], image, mixed)
    names = truth.get('names', names)
    return draw_instances(image, boxes, labels, truth.get('masks'), names, scale=scale)
