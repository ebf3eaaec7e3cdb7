"""ImageNet classification folders."""

import cv2

from ..job import write_jpeg
from ..render import render
from ..sheet import Sheet, draw_caption, fit
from ..spec import balanced_label
from .base import Format

_PREVIEWS = 24


class ImageNet(Format):
    """``{train,val}/<class>/<class>_00000001.JPEG``, one dominant object a picture.

    Every block of ``spec.classes`` pictures holds each class once, also with shuffled labels.
    """

    task = 'cls'
    folder = 'imagenet'
    entries = ('train', 'val')

    def write(self, split, index):
        write_jpeg(self._image_path(split, index), render(self.job.scene(split, index)).image)
        return {}

    def finish(self, records):
        """The folders say it all."""

    def preview(self):
        tiles = []
        for index in range(min(_PREVIEWS, self.job.val)):
            path = self._image_path('val', index)
            tile, _ = fit(cv2.imread(str(path)), 200)
            draw_caption(tile, path.parent.name)
            tiles.append(tile)
        return Sheet('pictures and their class', tiles, columns=6)

    def _image_path(self, split, index):
        job = self.job
        label = job.label(split, index)
        if job.shuffle_labels:
            label = balanced_label(
                job.seed, job.task, split, index, job.spec.classes, purpose='shuffle'
            )
        name = job.spec.class_names[label]
        return job.root / split / name / f'{name}_{index + 1:08d}.JPEG'
