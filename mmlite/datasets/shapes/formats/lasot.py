"""LaSOT tracking sequences."""

from ..outlines import CLASSES
from ..spec import STUFF
from .base import Format, write_frames, write_lines

_LISTS = {'train': 'training_set.txt', 'val': 'testing_set.txt'}


class LaSOT(Format):
    """``<class>/<class>-<n>/{img/00000001.jpg, groundtruth.txt, full_occlusion.txt, ...}``.

    ``groundtruth.txt`` has a line ``x,y,w,h`` of integer pixels for every frame, counted from 0:
    the full (amodal) extent of the target clipped to the image, also behind an occluder, and
    ``0,0,0,0`` out of view. ``full_occlusion.txt`` and ``out_of_view.txt`` are one comma-separated
    line. ``training_set.txt`` and ``testing_set.txt`` list the sequences: odd numbers of a class
    train, even ones test.
    """

    task = 'sot'
    folder = 'lasot'
    unit = 'sequences'
    entries = (*_LISTS.values(), *CLASSES)

    def write(self, split, index):
        folder = self._folder(split, index)
        sequence = self.job.sequence(split, index)
        states = write_frames(folder / 'img', sequence)
        boxes = [','.join(map(str, _integer_box(state.box))) for state in states]
        write_lines(folder / 'groundtruth.txt', boxes)
        for file, flag in (('full_occlusion', 'fully_occluded'), ('out_of_view', 'out_of_view')):
            flags = ','.join(str(int(getattr(state, flag))) for state in states)
            write_lines(folder / f'{file}.txt', [flags])
        stuff = STUFF[sequence.scene.regions[0].stuff]
        write_lines(folder / 'nlp.txt', [f'the {folder.parent.name} moving over {stuff}'])

    def finish(self, records):
        for split, items in records.items():
            names = sorted(self._folder(split, index).name for index in range(len(items)))
            write_lines(self.job.root / _LISTS[split], names)

    def _folder(self, split, index):
        classes = self.job.spec.class_names
        name = classes[self.job.label(split, index)]
        number = 2 * (index // len(classes)) + (1 if split == 'train' else 2)
        return self.job.root / name / f'{name}-{number}'


def _integer_box(box):
    """x, y, w, h in integer pixels, at least one pixel wide and high; zeros without a box."""
    if box is None:
        return 0, 0, 0, 0
    x1, y1, x2, y2 = (round(value) for value in box)
    return x1, y1, max(1, x2 - x1), max(1, y2 - y1)
