"""Contact sheets: a few items of a set with their labels."""

import colorsys

import cv2
import numpy as np

from mmlite.utils import image_grid

from .masks import tight_box
from .outlines import CLASSES
from .render import render
from .spec import CLUTTER, SEQUENCE_TASKS, STUFF

_IMAGES, _COLUMNS = 20, 5
_SEQUENCES, _FRAMES = 6, 8
_PRESENT, _ABSENT, _NO_CLASS = (60, 230, 80), (240, 60, 60), (60, 60, 60)


def contact_sheet(job):
    """Draw the first items of val with true boxes and masks or over time, RGB uint8 (H, W, 3)."""
    spec = job.spec
    title = f'{job.train} train + {job.val} val, {spec.size} px, seed {job.seed}'
    title += ', labels shuffled' * job.shuffle_labels
    if job.task in SEQUENCE_TASKS:
        items = [_sequence(job, index) for index in range(min(_SEQUENCES, job.val))]
        images, captions = zip(*(tile for row in items for tile in row), strict=True)
        return image_grid(images, captions, min(_FRAMES, spec.frames), title)
    colors = [colorsys.hsv_to_rgb(i / spec.classes, 0.9, 1) for i in range(spec.classes)]
    colors = [tuple(round(255 * part) for part in color) for color in colors] + [_NO_CLASS]
    tiles = [_image(job.scene('val', index), colors) for index in range(min(_IMAGES, job.val))]
    legend = zip((*spec.class_names, 'no class'), colors, strict=True)
    return image_grid(*zip(*tiles, strict=True), _COLUMNS, title, legend)


def _image(scene, colors):
    rendering = render(scene)
    image = rendering.image
    for number, instance in enumerate(scene.instances):
        mask = rendering.mask(number).astype(np.uint8)
        outlines, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(image, outlines, -1, colors[instance.label], 1)
        x, y, width, height = tight_box(mask)
        cv2.rectangle(image, (x, y), (x + width - 1, y + height - 1), colors[instance.label], 1)
    names = [CLASSES[i.label] for i in scene.instances if i.label != CLUTTER]
    return image, ', '.join([STUFF[region.stuff] for region in scene.regions] + names)


def _sequence(job, index):
    numbers = np.linspace(0, job.spec.frames - 1, min(_FRAMES, job.spec.frames)).round().astype(int)
    frames = job.sequence('val', index).frames(numbers)
    for number, (rendering, state) in zip(numbers, frames, strict=True):
        if state.box:
            x1, y1, x2, y2 = (round(value) for value in state.box)
            color = _ABSENT if state.absent else _PRESENT
            cv2.rectangle(rendering.image, (x1, y1), (x2 - 1, y2 - 1), color, 2)
        yield rendering.image, f'{number + 1}' + ' absent' * state.absent
