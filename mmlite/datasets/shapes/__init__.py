"""Generated pictures in official formats: data for machines that have no data set.

One scene generator serves every task. A scene is a background of one to three textures, textured
objects of several classes that overlap and hide one another, light, shadows, blur and noise;
a sequence lets the objects move. ``tools/dataset_converters/make_shapes.py`` is the command.

    spec = task_spec('det', size=320, classes=4)
    picture = render(Job('det', Path('data/shapes/coco'), spec, seed=0).scene('train', 7))
    picture.image, picture.mask(0)

A class is an outline family and a texture family (``CLASS_TEXTURES``); colour says nothing,
unless ``class_colors`` asks for an easier set.
Numbers reached on these pictures compare methods with each other on this data, nothing more.
"""

from .generate import check, contact_path, generate
from .job import Job
from .motion import Sequence, TargetState, sample_sequence
from .render import Picture, render
from .scene import Instance, Pose, Scene, sample_scene
from .spec import CLASS_TEXTURES, CLASSES, CLUTTER, STUFF, TASKS, SceneSpec, task_spec

__all__ = [
    'CLASSES',
    'CLASS_TEXTURES',
    'CLUTTER',
    'Instance',
    'Job',
    'Picture',
    'Pose',
    'STUFF',
    'Scene',
    'SceneSpec',
    'Sequence',
    'TASKS',
    'TargetState',
    'check',
    'contact_path',
    'generate',
    'render',
    'sample_scene',
    'sample_sequence',
    'task_spec',
]
