"""LaSOT tracking sequences."""

from ..job import write_jpeg, write_text
from ..sheet import preview_sequences
from ..spec import CLASSES, STUFF
from .base import Format

_LISTS = {'train': 'training_set.txt', 'val': 'testing_set.txt'}


class LaSOT(Format):
    """``<class>/<class>-<n>/{img/00000001.jpg, groundtruth.txt, full_occlusion.txt, ...}``.

    ``groundtruth.txt`` has a line ``x,y,w,h`` of whole pixels for every frame, counted from 0: the
    full (amodal) extent of the target clipped to the picture, also behind an occluder, and
    ``0,0,0,0`` out of view. ``full_occlusion.txt`` and ``out_of_view.txt`` are one comma-separated
    line; a target counts as hidden or gone when less than 2% of it is left. ``training_set.txt``
    and ``testing_set.txt`` list the sequences: within a class odd numbers train, even ones test.
    """

    task = 'sot'
    folder = 'lasot'
    unit = 'sequences'
    entries = (*_LISTS.values(), *CLASSES)

    def write(self, split, index):
        folder = self._folder(split, index)
        sequence = self.job.sequence(split, index)
        boxes, occluded, gone = [], [], []
        for number, (picture, state) in enumerate(sequence.frames(), 1):
            write_jpeg(folder / 'img' / f'{number:08d}.jpg', picture.image)
            boxes.append(','.join(map(str, _whole(state.box))))
            occluded.append(str(int(state.fully_occluded)))
            gone.append(str(int(state.out_of_view)))
        write_text(folder / 'groundtruth.txt', '\n'.join(boxes) + '\n')
        write_text(folder / 'full_occlusion.txt', ','.join(occluded) + '\n')
        write_text(folder / 'out_of_view.txt', ','.join(gone) + '\n')
        stuff = STUFF[sequence.scene.regions[0].stuff]
        write_text(folder / 'nlp.txt', f'the {folder.parent.name} moving over {stuff}\n')
        return {'name': folder.name}

    def finish(self, records):
        for split, items in records.items():
            names = sorted(item['name'] for item in items)
            write_text(self.job.root / _LISTS[split], '\n'.join(names) + '\n')

    def preview(self):
        rows = []
        for index in range(min(6, self.job.val)):
            folder = self._folder('val', index)
            lines = (folder / 'groundtruth.txt').read_text().split()
            occluded = (folder / 'full_occlusion.txt').read_text().strip().split(',')
            gone = (folder / 'out_of_view.txt').read_text().strip().split(',')
            frames = []
            for number, line in enumerate(lines):
                note = 'hidden' if occluded[number] == '1' else 'out of view'
                absent = '1' in (occluded[number], gone[number])
                path = folder / 'img' / f'{number + 1:08d}.jpg'
                frames.append((path, [float(v) for v in line.split(',')], note if absent else ''))
            rows.append((folder.name, frames))
        return preview_sequences('the target over time', rows)

    def _name(self, split, index):
        classes = self.job.spec.class_names
        number = 2 * (index // len(classes)) + (1 if split == 'train' else 2)
        return classes[self.job.label(split, index)], number

    def _folder(self, split, index):
        name, number = self._name(split, index)
        return self.job.root / name / f'{name}-{number}'


def _whole(box):
    """x, y, w, h in whole pixels, at least one pixel wide and high; zeros without a box."""
    if box is None:
        return 0, 0, 0, 0
    x1, y1, x2, y2 = (round(value) for value in box)
    return x1, y1, max(1, x2 - x1), max(1, y2 - y1)
