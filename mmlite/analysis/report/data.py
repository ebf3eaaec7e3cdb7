"""Page of a data set: what it holds, and samples with their annotations."""

import cv2
import numpy as np

from mmlite.datasets.formats.label_maps import decode_label_map
from mmlite.datasets.formats.survey import count_rows
from mmlite.utils import data_uri, encode_jpeg
from mmlite.visualization import class_colors, color_label_maps, draw_instances, legible

from .page import render_page

SHOWN = 12  # samples on the page


def survey_page(record, surveys, notes, found):
    """HTML page of a record and its surveys.

    Args:
        record (Record): See :func:`~mmlite.datasets.formats.find.read_dataset`.
        surveys (dict[str, Survey]): By split.
        notes, found (list[str]): What was repaired or judged, and what is wrong.
    """
    counts = count_rows(surveys.values())
    unit = dict(det='objects', seg='pixels').get(record.task, 'images')
    return render_page(
        'data.html',
        title=f'{record.root.name}: {record.format}',
        heading=record.root.name,
        tiles={
            'format': record.format,
            **{f'{name} images': survey.images for name, survey in surveys.items()},
            'classes': len(record.classes) or 'unnamed',
            'problems': len(found),
        },
        notes=notes,
        found=found,
        header=['class', *(f'{name}: {unit}' for name in surveys)],
        rows=[[str(key), *map(str, row)] for key, row in counts],
        figures=[
            dict(
                images={title: data_uri(encode_jpeg(image), 'jpeg') for title, image in drawn},
                caption=caption,
                legend=[],
            )
            for caption, drawn in samples(record)
        ],
    )


def samples(record):
    """Captions and drawings, (title, RGB uint8), of samples spread over the splits."""
    if record.task == 'track':
        return
    for name, split in record.splits.items():
        count = min(max(SHOWN // len(record.splits), 1), len(split.images))
        for index in np.linspace(0, len(split.images) - 1, count).astype(int):
            image = cv2.imread(str(split.images[index]))
            if image is not None:
                drawn = draw_sample(record, split, int(index), image[..., ::-1])
                yield f'{name}: {split.images[index].name}', drawn


def draw_sample(record, split, index, image):
    """Drawings of an image (RGB uint8) with its annotations, as pairs of title and image."""
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
