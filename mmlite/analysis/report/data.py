"""Page of a data set: what it holds, and samples with their annotations."""

import numpy as np

from mmlite.datasets.formats.images import decode_image
from mmlite.datasets.formats.label_maps import decode_label_map
from mmlite.datasets.formats.survey import count_rows, open_sequence
from mmlite.errors import DataError
from mmlite.utils import data_uri, encode_jpeg
from mmlite.visualization import class_colors, color_label_maps, draw_instances, legible

from .page import render_page

SHOWN = 12  # samples on the page
# of a task: what a split has, and what its classes count
UNITS = dict(
    det=('images', 'objects'),
    seg=('images', 'pixels'),
    cls=('images', 'images'),
    track=('sequences', None),
    pretrain=('images', None),
)


def survey_page(record, surveys, notes, found):
    """HTML page of a record and its surveys.

    Args:
        record (Record): See :func:`~mmlite.datasets.formats.find.read_dataset`.
        surveys (dict[str, Survey]): By split.
        notes, found (list[str]): What was repaired or judged, and what is wrong.
    """
    header, rows = count_table(record, surveys)
    return render_page(
        'data.html',
        title=f'{record.root.resolve().name}: {record.format}',
        heading=record.root.resolve().name,
        tiles={
            'format': record.format,
            **{f'{name} {UNITS[record.task][0]}': s.images for name, s in surveys.items()},
            **({'classes': len(record.classes) or 'unnamed'} if UNITS[record.task][1] else {}),
            'problems': len(found),
        },
        notes=notes,
        found=found,
        header=header,
        rows=rows,
        figures=[
            dict(
                images={title: data_uri(encode_jpeg(image), 'jpeg') for title, image in drawn},
                caption=caption,
                legend=[],
            )
            for caption, drawn in samples(record)
        ],
    )


def count_table(record, surveys):
    """Header and rows of the counts by class and split."""
    unit = UNITS[record.task][1] or 'number'
    apart = unit in ('objects', 'pixels')  # from the images that show them
    units = [f'{name}: {each}' for name in surveys for each in [unit, *['images'] * apart]]
    rows = []
    for key, _ in count_rows(surveys.values()):
        pairs = [(s.counts[key], s.shown[key])[: 1 + apart] for s in surveys.values()]
        rows.append([str(key), *(str(number) for pair in pairs for number in pair)])
    return ['class' if UNITS[record.task][1] else '', *units], rows


def samples(record):
    """Captions and drawings, (title, RGB uint8), of samples spread over the splits."""
    for name, split in record.splits.items():
        count = min(max(SHOWN // len(record.splits), 1), len(split.images))
        for index in np.linspace(0, len(split.images) - 1, count).astype(int):
            path = split.images[index]
            label = f'{split.labels[index]}/' if record.task == 'cls' else ''
            try:
                drawn = draw_sample(record, split, int(index))
            except (DataError, OSError):
                continue  # one of the problems
            yield f'{name}: {label}{path.name}', drawn


def draw_sample(record, split, index):
    """Drawings of a sample with its annotations, as pairs of title and image.

    Raises:
        DataError, OSError: It cannot be read.
    """
    if record.task == 'track':
        sequence = open_sequence(split.images[index])
        shown = np.flatnonzero(sequence.visible)
        return [_draw_frame(sequence, n) for n in shown[:: max(len(shown) // 2, 1)][:2]]
    image = decode_image(split.images[index].read_bytes())[..., ::-1]
    if record.task == 'det':
        data = split.labels
        names = {category['id']: category['name'] for category in data['categories']}
        number = data['images'][index]['id']
        objects = [item for item in data['annotations'] if item['image_id'] == number]
        boxes = np.array([item['bbox'] for item in objects], float).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        labels = [item['category_id'] for item in objects]
        masks = [item.get('segmentation') for item in objects]
        scale = legible(image)[1]
        drawn = draw_instances(
            image, boxes, labels, masks if all(masks) else None, names, scale=scale
        )
        return [('objects', drawn)]
    if record.task == 'seg':
        labels = decode_label_map(split.labels[index].read_bytes())
        count = int(labels[labels < 255].max(initial=0)) + 1
        names = record.classes if len(record.classes) >= count else list(map(str, range(count)))
        colors = class_colors(len(names))
        return list(color_label_maps(image, {'labels': labels}, names, colors)[0].items())
    return [('image', legible(image)[0])]


def _draw_frame(sequence, number):
    x, y, width, height = sequence.boxes[number]
    image = sequence.frames.read(number)[..., ::-1]
    box, scale = [x, y, x + width, y + height], legible(image)[1]
    return f'frame {number + 1}', draw_instances(image, [box], [0], None, ['target'], scale=scale)
