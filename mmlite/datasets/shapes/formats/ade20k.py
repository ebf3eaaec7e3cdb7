"""ADE20K scene parsing."""

import cv2
import numpy as np

from ..job import write_jpeg, write_png, write_text
from ..render import render
from ..sheet import Sheet, fit, palette
from ..spec import CLUTTER, STUFF
from .base import Format

_PREVIEWS = 9
_FOLDERS = {'train': 'training', 'val': 'validation'}


class ADE20K(Format):
    """``ADEChallengeData2016/{images,annotations}/{training,validation}/ADE_train_00000001.*``.

    Annotations are grey PNGs: 0 is 'other' (clutter), 1 to 8 the backgrounds of ``STUFF``, then
    the object classes. ``objectInfo<K>.txt`` lists the K classes with the columns of the official
    file: share of all pixels, pictures of each split that show them, whether they are stuff.
    """

    task = 'seg'
    folder = 'ade'
    entries = ('ADEChallengeData2016',)

    @property
    def classes(self):
        """tuple[str]: names of labels 1, 2, ..."""
        return STUFF + self.job.spec.class_names

    def write(self, split, index):
        scene = self.job.scene(split, index)
        picture = render(scene)
        labels = self._label_map(scene, picture, split, index)
        write_jpeg(self._path('images', split, index), picture.image)
        write_png(self._path('annotations', split, index), labels)
        pixels = np.bincount(labels.ravel(), minlength=len(self.classes) + 1)
        return {'pixels': pixels.tolist()}

    def _label_map(self, scene, picture, split, index):
        count = self.job.spec.classes
        stuff = np.arange(len(STUFF))
        things = np.array([instance.label for instance in scene.instances])
        clutter = things == CLUTTER
        if self.job.shuffle_labels:  # stuff among stuff, objects among objects
            rng = self.job.rng(split, index, 'shuffle')
            stuff = rng.integers(0, len(STUFF), len(STUFF))
            things = rng.integers(0, count, len(things))
        seen = np.append(np.where(clutter, 0, things + 1 + len(STUFF)), 0)
        ground = stuff[picture.stuff] + 1
        return np.where(picture.owner < 0, ground, seen[picture.owner]).astype(np.uint8)

    def finish(self, records):
        pixels = {s: np.array([r['pixels'] for r in items]) for s, items in records.items()}
        total = pixels['train'].sum(axis=0) + pixels['val'].sum(axis=0)
        lines = ['Idx\tRatio\tTrain\tVal\tStuff\tName']
        for number, name in enumerate(self.classes, 1):
            shown = [int((pixels[split][:, number] > 0).sum()) for split in ('train', 'val')]
            ratio = total[number] / total.sum()
            stuff = int(number <= len(STUFF))
            lines.append(f'{number}\t{ratio:.4f}\t{shown[0]}\t{shown[1]}\t{stuff}\t{name}')
        write_text(self._base / f'objectInfo{len(self.classes)}.txt', '\n'.join(lines) + '\n')

    def preview(self):
        colors = [(60, 60, 60), *palette(len(STUFF), 0.25), *palette(self.job.spec.classes, 0.9)]
        colors = np.array(colors, np.uint8)
        tiles = []
        for index in range(min(_PREVIEWS, self.job.val)):
            image, _ = fit(cv2.imread(str(self._path('images', 'val', index))), 240)
            path = self._path('annotations', 'val', index)
            labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            flat, _ = fit(colors[labels], 240, cv2.INTER_NEAREST)
            tiles += [image, flat]
        legend = list(zip(('other', *self.classes), colors.tolist(), strict=True))
        return Sheet('pictures and their label maps', tiles, columns=6, legend=legend)

    @property
    def _base(self):
        return self.job.root / 'ADEChallengeData2016'

    def _path(self, kind, split, index):
        suffix = '.jpg' if kind == 'images' else '.png'
        return self._base / kind / _FOLDERS[split] / f'ADE_{split}_{index + 1:08d}{suffix}'
