"""GOT-10k tracking sequences."""

import math

from .base import Format, write_frames, write_lines

_COVER_STEPS = (0.15, 0.30, 0.45, 0.60, 0.75, 0.90)  # visible fraction of the full extent


class GOT10k(Format):
    """``{train,val,test}/list.txt`` and ``<split>/GOT-10k_Train_000001/{00000001.jpg, ...}``.

    ``groundtruth.txt`` has a line ``x,y,w,h`` of floats for every frame, counted from 0: the full
    (amodal) extent of the target clipped to the image, also behind an occluder, and zeros out
    of view. ``absence.label`` (0 or 1), ``cover.label`` (see ``cover_level``) and
    ``cut_by_image.label`` (0 or 1) have one line per frame. The test split, as large as val, has
    images and the first box only.
    """

    task = 'got'
    folder = 'got10k'
    unit = 'sequences'
    entries = ('train', 'val', 'test')

    def counts(self):
        return {**super().counts(), 'test': self.job.val}

    def write(self, split, index):
        folder = self._folder(split, index)
        sequence = self.job.sequence(split, index)
        states = write_frames(folder, sequence)
        if split == 'test':
            write_lines(folder / 'groundtruth.txt', [_line(states[0].box)])
            return
        write_lines(folder / 'groundtruth.txt', [_line(s.box) for s in states])
        write_lines(folder / 'absence.label', [int(s.absent) for s in states])
        write_lines(folder / 'cover.label', [cover_level(s) for s in states])
        write_lines(folder / 'cut_by_image.label', [int(s.cut) for s in states])
        self._write_meta(folder, sequence)

    def _write_meta(self, folder, sequence):
        scene = sequence.scene
        name = self.job.spec.class_names[scene.instances[sequence.target].label]
        seconds = math.ceil(len(sequence) / 10)
        meta = {
            'url': 'generated',
            'begin': '00:00:00',
            'end': f'{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}',
            'anno_fps': '10Hz',
            'object_class': name,
            'motion_class': 'wandering',
            'major_class': 'shape',
            'root_class': 'artifact',
            'motion_adverb': 'smoothly',
            'resolution': f'({scene.width}, {scene.height})',
        }
        lines = ['[METAINFO]', *(f'{key}: {value}' for key, value in meta.items())]
        write_lines(folder / 'meta_info.ini', lines)

    def finish(self, records):
        for split, items in records.items():
            names = [self._folder(split, index).name for index in range(len(items))]
            write_lines(self.job.root / split / 'list.txt', names)

    def _folder(self, split, index):
        name = f'GOT-10k_{split.capitalize()}_{index + 1:06d}'
        return self.job.root / split / name


def cover_level(state):
    """GOT-10k's cover label of a ``TargetState``: 0 absent, 1 to 7 steps of 15%, 8 all visible."""
    if state.absent:
        return 0
    if state.visible == 1:
        return 8
    return 1 + sum(state.visible > step for step in _COVER_STEPS)


def _line(box):
    x1, y1, x2, y2 = box or (0.0, 0.0, 0.0, 0.0)
    return ','.join(f'{value:.4f}' for value in (x1, y1, x2 - x1, y2 - y1))
