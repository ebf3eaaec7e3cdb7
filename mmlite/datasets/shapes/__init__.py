"""Generated images in official formats: data for machines that have no data set.

A scene is a background of one to three textures and textured objects of several classes that
overlap, with light, blur and noise; a sequence lets the objects move.
``tools/dataset_converters/make_shapes.py`` is the command.

    spec = task_spec('det', size=320, classes=4)
    rendering = render(Job('det', Path('data/shapes/coco'), spec, seed=0).scene('train', 7))
    rendering.image, rendering.mask(0)

A class is an outline and one of four textures; color is no cue, unless with ``class_colors``.
"""

from .generate import Job, check, contact_path, generate
from .motion import TargetState
from .outlines import CLASSES
from .render import render
from .spec import CLUTTER, STUFF, TASKS, task_spec

__all__ = [
    'CLASSES', 'CLUTTER', 'Job', 'STUFF', 'TASKS', 'TargetState', 'check', 'contact_path',
    'generate', 'render', 'task_spec',
]  # fmt: skip
