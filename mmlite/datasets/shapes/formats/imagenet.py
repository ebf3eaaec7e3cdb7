"""ImageNet classification directories."""

from ..render import render
from .base import Format, write_jpeg


class ImageNet(Format):
    """``{train,val}/<class>/<class>_00000001.JPEG``, one dominant object per image.

    Every block of ``spec.classes`` images holds each class once, also with shuffled labels.
    """

    task = 'cls'
    folder = 'imagenet'
    entries = ('train', 'val')

    def write(self, split, index):
        write_jpeg(self._image_path(split, index), render(self.job.scene(split, index)).image)

    def _image_path(self, split, index):
        job = self.job
        label = job.label(split, index, 'shuffle' if job.shuffle_labels else 'label')
        name = job.spec.class_names[label]
        return job.root / split / name / f'{name}_{index + 1:08d}.JPEG'
