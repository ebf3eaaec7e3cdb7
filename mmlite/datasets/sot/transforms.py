"""Augmentation of training pairs: a template crop and a search crop of the same target.

A pair is a dict with the keys ``template_image`` and ``search_image``, BGR ``uint8`` (H, W, 3);
``template_box`` and ``search_box``, ``x, y, w, h`` in pixels of these images; and ``rng``, the
``numpy.random.Generator`` that all randomness comes from. Images are replaced, never changed in
place: of a still picture, both are the same array. Order and numbers are OSTrack's (Ye et al., ECCV
2022, arXiv 2203.11991).
"""

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mmlite.errors import ArgumentError, DataError
from mmlite.registry import TRANSFORMS

from .geometry import COORDS, CropWindow, box_to_crop, cut_crop, plan_crop, shows_picture

FRAMES = ('template', 'search')


@TRANSFORMS.register_module()
class CropPair(BaseTransform):
    """Cut both frames around their targets after the augmentations that both have in common.

    With one draw for the pair, the frames become grey and are mirrored; then each gets its own
    jittered box, around which it is cropped. The result is, bit for bit, that of changing whole
    frames, but only the pixels of the crop are touched.

    Modified keys: the images (size, size, 3) and the boxes, now in pixels of the crops.

    Args:
        template (dict): Crop of the template: ``size`` in pixels and ``factor``, the side of the
            window relative to the root of the box area; optional ``center_jitter`` and
            ``scale_jitter``, see :func:`jitter_box`, default to 0. OSTrack-256:
            ``dict(size=128, factor=2.0)``.
        search (dict): Crop of the search region. OSTrack-256:
            ``dict(size=256, factor=4.0, center_jitter=3.0, scale_jitter=0.25)``.
        gray_prob (float): Probability of grey frames. Defaults to 0.05.
        flip_prob (float): Probability of mirrored frames. Defaults to 0.5.
        coords (str): ``'ostrack'`` for the released coordinates of boxes, ``'exact'`` for such
            without their slips, see :mod:`~mmlite.datasets.sot.geometry` and :func:`mirror_box`.
            Defaults to ``'ostrack'``.

    Raises:
        ArgumentError: If a probability, a key of a crop or ``coords`` is wrong.
    """

    def __init__(self, template, search, gray_prob=0.05, flip_prob=0.5, coords='ostrack'):
        for name, value in (('gray_prob', gray_prob), ('flip_prob', flip_prob)):
            _check_probability(value, name)
        if coords not in COORDS:
            raise ArgumentError(f"coords must be 'ostrack' or 'exact', got {coords!r}")
        self.crops = {'template': _crop_options(template, 'template'),
                      'search': _crop_options(search, 'search')}  # fmt: skip
        self.gray_prob = gray_prob
        self.flip_prob = flip_prob
        self.coords = coords

    def transform(self, results):
        """Crop both frames.

        Returns:
            dict | None: None for a pair that cannot be trained on: a box without area, or a crop
            without a feature cell that shows the picture.
        """
        gray, flip = results['rng'].random(2) < (self.gray_prob, self.flip_prob)
        for frame in FRAMES:
            done = self._crop(results, frame, gray, flip)
            if not done:
                return None
        return results

    def _crop(self, results, frame, gray, flip):
        """Replace image and box of ``frame`` by those of its crop; returns whether it is valid."""
        image, box = results[f'{frame}_image'], results[f'{frame}_box']
        options = self.crops[frame]
        if flip:
            box = mirror_box(box, image.shape[1], self.coords)
        around = jitter_box(results['rng'], box, options['center_jitter'], options['scale_jitter'])
        try:
            window = plan_crop(around, options['factor'], options['size'])
        except DataError:  # the box has no area
            return False
        if not shows_picture(image.shape, window):
            return False
        results[f'{frame}_image'] = cut_changed(image, window, gray, flip)
        relative = box_to_crop(box, around, window, self.coords)
        results[f'{frame}_box'] = np.multiply(relative, window.size)
        return True

    def __repr__(self):
        return (
            f'{type(self).__name__}(template={self.crops["template"]}, '
            f'search={self.crops["search"]}, gray_prob={self.gray_prob}, '
            f'flip_prob={self.flip_prob}, coords={self.coords!r})'
        )


@TRANSFORMS.register_module()
class JitterBrightness(BaseTransform):
    """Multiply each image of the pair by a factor of its own.

    The result is rounded to whole grey levels, which the reference's floats are not, and cut off
    at 255.

    Modified keys: the images.

    Args:
        strength (float): Factors are uniform in ``[1 - strength, 1 + strength]``. Defaults to 0.2.

    Raises:
        ArgumentError: If ``strength`` is not within 0 and 1.
    """

    def __init__(self, strength=0.2):
        _check_probability(strength, 'strength')
        self.strength = strength

    def transform(self, results):
        """Change both images."""
        low, high = 1 - self.strength, 1 + self.strength
        for frame, factor in zip(FRAMES, results['rng'].uniform(low, high, 2), strict=True):
            levels = np.rint(np.arange(256) * factor).clip(0, 255).astype(np.uint8)
            results[f'{frame}_image'] = cv2.LUT(results[f'{frame}_image'], levels)
        return results

    def __repr__(self):
        return f'{type(self).__name__}(strength={self.strength})'


@TRANSFORMS.register_module()
class FlipCrops(BaseTransform):
    """Mirror each crop of the pair, or not, so that the template may be the search's mirror image.

    Modified keys: the images and boxes of the crops that are mirrored.

    Args:
        prob (float): Probability for each of the two. Defaults to 0.5.

    Raises:
        ArgumentError: If ``prob`` is not within 0 and 1.
    """

    def __init__(self, prob=0.5):
        _check_probability(prob, 'prob')
        self.prob = prob

    def transform(self, results):
        """Mirror the crops whose turn it is."""
        for frame, flip in zip(FRAMES, results['rng'].random(2) < self.prob, strict=True):
            if flip:
                image = results[f'{frame}_image']
                results[f'{frame}_image'] = cv2.flip(image, 1)
                x, y, w, h = results[f'{frame}_box']
                results[f'{frame}_box'] = np.array([image.shape[1] - x - w, y, w, h])
        return results

    def __repr__(self):
        return f'{type(self).__name__}(prob={self.prob})'


@TRANSFORMS.register_module()
class PackTrackPair(BaseTransform):
    """What the model gets of a pair; mmengine's ``default_collate`` stacks it to batches.

    Returns ``dict(inputs=dict(template=..., search=...), data_samples=dict(box=...))``: the images
    as BGR ``uint8`` (3, size, size), the target in the search image as float32 (4,), ``x, y, w,
    h`` in units of the image's width and height.
    """

    def transform(self, results):
        """Pack the pair."""
        inputs = {
            frame: torch.from_numpy(
                np.ascontiguousarray(results[f'{frame}_image'].transpose(2, 0, 1))
            )
            for frame in FRAMES
        }
        height, width = results['search_image'].shape[:2]
        box = np.divide(results['search_box'], (width, height, width, height))
        data_samples = dict(box=torch.from_numpy(box.astype(np.float32)))
        return dict(inputs=inputs, data_samples=data_samples)

    def __repr__(self):
        return f'{type(self).__name__}()'


def mirror_box(box, width, coords):
    """A box of a frame in the mirrored frame.

    Args:
        box (Sequence[float]): ``x, y, w, h`` in pixels.
        width (int): Width of the frame.
        coords (str): ``'exact'``, or ``'ostrack'``, where the box comes out one pixel too far to
            the left, as in the reference: ``(width - 1) - x - w``.

    Returns:
        tuple[float]: ``x, y, w, h``.
    """
    x, y, w, h = map(float, box)
    return (width if coords == 'exact' else width - 1) - x - w, y, w, h


def jitter_box(rng, box, center_jitter=0.0, scale_jitter=0.0):
    """A box beside the target, of another size, for a search region that the target moves in.

    Width and height are multiplied by ``exp(scale_jitter * N(0, 1))``, drawn for each. Then the
    centre moves along x and y by up to ``center_jitter / 2`` roots of the new area, uniformly.

    Args:
        rng (numpy.random.Generator): Source of randomness.
        box (Sequence[float]): ``x, y, w, h``.
        center_jitter (float): Defaults to 0; OSTrack-256 has 3.
        scale_jitter (float): Defaults to 0; OSTrack-256 has 0.25.

    Returns:
        ndarray: float64 (4,): ``x, y, w, h``; the box itself without jitter.
    """
    if not (center_jitter or scale_jitter):
        return np.asarray(box, dtype=np.float64)
    corner, size = np.asarray(box, dtype=np.float64).reshape(2, 2)
    center = corner + size / 2
    size = size * np.exp(scale_jitter * rng.standard_normal(2))
    center += center_jitter * np.sqrt(size.prod()) * (rng.random(2) - 0.5)
    return np.concatenate([center - size / 2, size])


def cut_changed(image, window, gray=False, flip=False):
    """Crop a frame that is grey or mirrored, without making it so where the crop does not reach.

    Args:
        image (ndarray): Frame (H, W, 3), BGR ``uint8``, unchanged.
        window (CropWindow): Window in the mirrored frame, if it is to be mirrored. It must not lie
            outside the frame.
        gray (bool): Whether colours are taken out. Defaults to False.
        flip (bool): Whether the frame is mirrored. Defaults to False.

    Returns:
        ndarray: (size, size, 3), equal to the crop of the changed frame.
    """
    if not (gray or flip):
        return cut_crop(image, window)
    height, width = image.shape[:2]
    left, top = max(window.x, 0), max(window.y, 0)
    # one pixel more to the right and below: the crop treats the borders of the frame in a way of
    # its own, so the part must end there only where the frame does
    right = min(window.x + window.side + 1, width)
    bottom = min(window.y + window.side + 1, height)
    columns = slice(width - right, width - left) if flip else slice(left, right)
    part = image[top:bottom, columns]
    if gray:
        part = cv2.cvtColor(cv2.cvtColor(part, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    if flip:
        part = cv2.flip(part, 1)
    return cut_crop(part, CropWindow(window.x - left, window.y - top, window.side, window.size))


def _crop_options(given, name):
    """Options of a crop with their defaults."""
    known = ('size', 'factor', 'center_jitter', 'scale_jitter')
    if set(given) - set(known) or not {'size', 'factor'} <= set(given):
        raise ArgumentError(
            f'{name}={dict(given)} is no crop: it has size and factor, and may have center_jitter '
            f'and scale_jitter'
        )
    options = dict(center_jitter=0.0, scale_jitter=0.0) | dict(given)
    for key, value in options.items():
        if not value >= 0 or key in ('size', 'factor') and not value:
            raise ArgumentError(f'{name}.{key}={value} is too small for a crop')
    return options


def _check_probability(value, name):
    if not 0 <= value <= 1:
        raise ArgumentError(f'{name} must be between 0 and 1, got {value}')
