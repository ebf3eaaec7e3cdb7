"""Tracking data sets of a few tiny frames, in the official layouts."""

import json
import shutil
import zipfile
from pathlib import Path

import cv2
import numpy as np
import tiny

SHAPE = (12, 16, 3)


def picture(number):
    """A frame that tells its number."""
    return np.full(SHAPE, level(number), np.uint8)


def level(number):
    """Grey level of the frame of a number, give or take what JPEG changes."""
    return 3 * number % 256


def write_frames(folder, numbers, pattern='{:08d}.jpg'):
    """Write one frame a number."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        assert cv2.imwrite(str(folder / pattern.format(number)), picture(number))


def write_boxes(file, count, separator=',', first=0):
    """Write ``count`` boxes: box ``i`` is ``first + i, 2, 3.5, 4``; returns them."""
    boxes = np.array([(first + i, 2, 3.5, 4) for i in range(count)])
    write_lines(file, [separator.join(f'{value:g}' for value in box) for box in boxes])
    return boxes


def write_lines(file, lines):
    """Write a text file, and its folder."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('\n'.join(map(str, lines)) + '\n')
    return file


def write_lasot(root, name, count=6):
    """A sequence of LaSOT, or of its extension; returns its folder."""
    folder = root / name.rpartition('-')[0] / name
    write_frames(folder / 'img', range(1, count + 1))
    write_boxes(folder / 'groundtruth.txt', count)
    for file in ('full_occlusion.txt', 'out_of_view.txt'):
        write_lines(folder / file, [','.join('0' * count)])
    return folder


def write_got10k(root, names, split='val', count=6):
    """Sequences of GOT-10k and their list; returns the folder of the split."""
    for name in names:
        folder = root / split / name
        write_frames(folder, range(1, count + 1))
        write_boxes(folder / 'groundtruth.txt', 1 if split == 'test' else count)
        if split != 'test':
            write_lines(folder / 'absence.label', [0] * count)
            write_lines(folder / 'cover.label', [8] * count)
    write_lines(root / split / 'list.txt', names)
    return root / split


def write_trackingnet(root, chunk, videos, count=12):
    """Videos of a chunk of TrackingNet."""
    for video in videos:
        write_frames(root / chunk / 'frames' / video, range(count), '{}.jpg')
        boxes = 1 if chunk == 'TEST' else count
        write_boxes(root / chunk / 'anno' / f'{video}.txt', boxes)


def write_otb(root, video, numbers, boxes, file='groundtruth_rect.txt', separator=','):
    """A video of OTB-100; returns its boxes."""
    write_frames(root / video / 'img', numbers, '{:04d}.jpg')
    return write_boxes(root / video / file, boxes, separator)


def write_uav(root, videos, sequences, part='UAV123'):
    """Videos and sequences of UAV123, each with its number of frames."""
    for video, count in videos.items():
        write_frames(root / 'data_seq' / 'UAV123' / video, range(1, count + 1), '{:06d}.jpg')
    for name, count in sequences.items():
        write_boxes(root / 'anno' / part / f'{name}.txt', count)


def pack(folder, around=False):
    """Replace a folder by a zip archive of its files, or of the folder itself."""
    folder = Path(folder)
    with zipfile.ZipFile(folder.with_name(f'{folder.name}.zip'), 'w') as archive:
        for file in sorted(folder.rglob('*')):
            archive.write(file, file.relative_to(folder.parent if around else folder))
    shutil.rmtree(folder)
    return folder.with_name(f'{folder.name}.zip')


def write_coco(root, folder='train2017', crowds=(), **options):
    """A COCO of images with squares, by default 4 with 2; returns its annotation and the file."""
    data = tiny.coco(**options)
    for item in data['annotations']:
        item['iscrowd'] = int(item['id'] in crowds)
    file = write_lines(root / 'annotations/instances_train2017.json', [json.dumps(data)])
    (root / folder).mkdir(parents=True)
    for image in data['images']:
        pixels = np.full((64, 80, 3), image['id'], np.uint8)
        cv2.imwrite(str(root / folder / image['file_name']), pixels)
    return data, file
