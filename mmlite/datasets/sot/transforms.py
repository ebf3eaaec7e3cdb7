"""Augmentation of training pairs: a template crop and a search crop of the same target.

A pair is a dict with ``template_image`` and ``search_image``, BGR ``uint8`` (H, W, 3), replaced and
never changed in place; ``template_box`` and ``search_box``, ``x, y, w, h`` in their pixels; and
``rng``, the ``numpy.random.Generator`` of all randomness. Order and numbers are OSTrack's (Ye et
al., ECCV 2022, arXiv 2203.11991).
"""

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mmlite.errors import ArgumentError, DataError
from mmlite.registry import TRANSFORMS

from .geometry import box_to_crop, cut_crop, is_exact, plan_crop, shows_image

FRAMES = ('template', 'search')


@TRANSFORMS.register_module()
class CropPair(BaseTransform):
    """Convert both frames to grey and mirror them, or neither, and crop them around jittered boxes.

    Modified keys: the images (size, size, 3) and the boxes, now in pixels of the crops.

    Args:
        template (dict): ``size`` in pixels and ``factor``, the side of the window relative to the
            root of the box area; optional ``center_jitter`` and ``scale_jitter``, see
            :func:`jitter_box`, default to 0. OSTrack-256: ``dict(size=128, factor=2.0)``.
        search (dict): The same of the search region. OSTrack-256:
            ``dict(size=256, factor=4.0, center_jitter=3.0, scale_jitter=0.25)``.
        gray_prob (float): Probability of grey frames. Defaults to 0.05.
        flip_prob (float): Probability of mirrored frames. Defaults to 0.5.
        coords (str): ``'ostrack'``, the default, or ``'exact'``, see
            :mod:`~mmlite.datasets.sot.geometry` and :func:`mirror_box`.
    """

    def __init__(self, template, search, gray_prob=0.05, flip_prob=0.5, coords='ostrack'):
        _check_probability('gray_prob', gray_prob)
        _check_probability('flip_prob', flip_prob)
        is_exact(coords)  # refuses others
        given = dict(template=template, search=search)
        self.crops = {name: _crop_options(name, options) for name, options in given.items()}
        self.gray_prob, self.flip_prob, self.coords = gray_prob, flip_prob, coords

    def transform(self, results):
        """Crop both frames; None where a box has no area or is huge, or a crop is only padding."""
        rng = results['rng']
        gray, flip = rng.random(2) < (self.gray_prob, self.flip_prob)
        for frame, options in self.crops.items():
            image, box = results[f'{frame}_image'], results[f'{frame}_box']
            if flip:
                box = mirror_box(box, image.shape[1], self.coords)
            around = jitter_box(rng, box, options['center_jitter'], options['scale_jitter'])
            try:
                window = plan_crop(around, options['factor'], options['size'])
            except DataError:  # the box has no area, or is huge
                return None
            if not shows_image(image.shape, window):
                return None
            if gray:
                image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
            if flip:
                image = cv2.flip(image, 1)
            results[f'{frame}_image'] = cut_crop(image, window)
            relative = box_to_crop(box, around, window, self.coords)
            results[f'{frame}_box'] = np.multiply(relative, window.size)
        return results


@TRANSFORMS.register_module()
class JitterBrightness(BaseTransform):
    """Multiply each image of the pair by its own factor, rounded and clipped to ``uint8``.

    Args:
        strength (float): Factors are uniform in ``[1 - strength, 1 + strength]``. Defaults to 0.2.
    """

    def __init__(self, strength=0.2):
        _check_probability('strength', strength)
        self.strength = strength

    def transform(self, results):
        low, high = 1 - self.strength, 1 + self.strength
        for frame, factor in zip(FRAMES, results['rng'].uniform(low, high, 2), strict=True):
            levels = np.rint(np.arange(256) * factor).clip(0, 255).astype(np.uint8)
            results[f'{frame}_image'] = cv2.LUT(results[f'{frame}_image'], levels)
        return results


@TRANSFORMS.register_module()
class FlipCrops(BaseTransform):
    """Mirror each crop of the pair, and its box, with probability ``prob``, by default 0.5."""

    def __init__(self, prob=0.5):
        _check_probability('prob', prob)
        self.prob = prob

    def transform(self, results):
        for frame, flip in zip(FRAMES, results['rng'].random(2) < self.prob, strict=True):
            if flip:
                image, box = results[f'{frame}_image'], results[f'{frame}_box']
                results[f'{frame}_image'] = cv2.flip(image, 1)
                results[f'{frame}_box'] = mirror_box(box, image.shape[1], 'exact')
        return results


@TRANSFORMS.register_module()
class PackTrackPair(BaseTransform):
    """Pack a pair for the model; mmengine's ``default_collate`` stacks pairs to batches.

    Returns ``dict(inputs=dict(template=..., search=...), data_samples=dict(box=...))``: BGR
    ``uint8`` (3, size, size), and the target in the search image as float32 (4,), ``x, y, w, h`` in
    units of its width and height.
    """

    def transform(self, results):
        inputs = {}
        for frame in FRAMES:
            image = np.ascontiguousarray(results[f'{frame}_image'].transpose(2, 0, 1))
            inputs[frame] = torch.from_numpy(image)
        height, width = results['search_image'].shape[:2]
        box = np.divide(results['search_box'], (width, height, width, height)).astype(np.float32)
        return dict(inputs=inputs, data_samples=dict(box=torch.from_numpy(box)))


def mirror_box(box, width, coords):
    """Mirror a box ``x, y, w, h``; ``'ostrack'`` puts it one pixel too far left, as the release."""
    x, y, w, h = map(float, box)
    return (width if coords == 'exact' else width - 1) - x - w, y, w, h


def jitter_box(rng, box, center_jitter=0.0, scale_jitter=0.0):
    """Move and scale a box ``x, y, w, h`` at random; returns float64 (4,).

    Width and height are multiplied by ``exp(scale_jitter * N(0, 1))``, sampled for each. Then the
    centre moves along x and y by up to ``center_jitter / 2`` roots of the new area, uniformly.
    """
    if not (center_jitter or scale_jitter):
        return np.asarray(box, dtype=np.float64)
    corner, size = np.asarray(box, dtype=np.float64).reshape(2, 2)
    center = corner + size / 2
    size = size * np.exp(scale_jitter * rng.standard_normal(2))
    center += center_jitter * np.sqrt(size.prod()) * (rng.random(2) - 0.5)
    return np.concatenate([center - size / 2, size])


def _crop_options(name, given):
    known = ('size', 'factor', 'center_jitter', 'scale_jitter')
    if set(given) - set(known) or not {'size', 'factor'} <= set(given):
        raise ArgumentError(f'{name}={dict(given)} is not a crop: it must have size and factor')
    options = dict(center_jitter=0.0, scale_jitter=0.0) | dict(given)
    for key, value in options.items():
        if not value >= 0 or key in ('size', 'factor') and not value:
            raise ArgumentError(f'{name}.{key}={value} is too small for a crop')
    return options


def _check_probability(name, value):
    if not 0 <= value <= 1:
        raise ArgumentError(f'{name} must be between 0 and 1, got {value}')
