"""ADE20K scene parsing."""

import numpy as np

from mmlite.utils import encode_png

from ..render import render
from ..spec import CLUTTER, STUFF
from .base import Format, write_jpeg, write_lines

_FOLDERS = {'train': 'training', 'val': 'validation'}


class ADE20K(Format):
    """``ADEChallengeData2016/{images,annotations}/{training,validation}/ADE_train_00000001.*``.

    Annotations are grey PNGs: 0 is 'other' (clutter), 1 to 4 the backgrounds of ``STUFF``, then
    the object classes. ``objectInfo<K>.txt`` lists these with the columns of the official file.
    """

    task = 'seg'
    folder = 'ade'
    entries = ('ADEChallengeData2016',)

    @property
    def classes(self):
        """Names of labels 1, 2, ..., a tuple."""
        return STUFF + self.job.spec.class_names

    def write(self, split, index):
        scene = self.job.scene(split, index)
        rendering = render(scene)
        write_jpeg(self._path('images', split, index), rendering.image)
        stuff = np.arange(len(STUFF))
        things = np.array([instance.label for instance in scene.instances])
        clutter = things == CLUTTER
        if self.job.shuffle_labels:  # stuff among stuff, objects among objects
            rng = self.job.rng(split, index, 'shuffle')
            stuff = rng.integers(0, len(STUFF), len(STUFF))
            things = rng.integers(0, self.job.spec.classes, len(things))
        seen = np.where(clutter, 0, things + 1 + len(STUFF))
        ground = stuff[rendering.stuff] + 1
        labels = np.where(rendering.owner < 0, ground, seen[rendering.owner]).astype(np.uint8)
        path = self._path('annotations', split, index)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_png(labels))
        return np.bincount(labels.ravel(), minlength=len(self.classes) + 1).tolist()

    def finish(self, records):
        pixels = {split: np.array(counts) for split, counts in records.items()}
        ratios = sum(counts.sum(axis=0) for counts in pixels.values())
        ratios = ratios / ratios.sum()
        lines = ['Idx\tRatio\tTrain\tVal\tStuff\tName']
        for number, name in enumerate(self.classes, 1):
            train, val = ((pixels[s][:, number] > 0).sum() for s in ('train', 'val'))
            stuff = int(number <= len(STUFF))
            lines.append(f'{number}\t{ratios[number]:.4f}\t{train}\t{val}\t{stuff}\t{name}')
        base = self.job.root / 'ADEChallengeData2016'
        write_lines(base / f'objectInfo{len(self.classes)}.txt', lines)

    def _path(self, kind, split, index):
        name = f'ADE_{split}_{index + 1:08d}.{"jpg" if kind == "images" else "png"}'
        return self.job.root / 'ADEChallengeData2016' / kind / _FOLDERS[split] / name
