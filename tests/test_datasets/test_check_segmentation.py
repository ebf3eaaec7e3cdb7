"""Checks of segmentation data on directories with one planted defect each."""

import cv2
import numpy as np
import pytest
from PIL import Image

from mmlite.datasets.check_segmentation import (
    ConfigLabels,
    Verdict,
    check_pair,
    compare_config,
    find_pairs,
    judge_zero,
)

SIZE = (6, 8)  # height, width
CLASSES = 4


def label_map():
    """One row of 0, 1, 2, 3 each and two rows of 4."""
    return np.repeat(np.array([0, 1, 2, 3, 4, 4], np.uint8)[:, None], SIZE[1], axis=1)


def write_pair(folder, name, labels=None, size=SIZE):
    """Paths of an image and a label map below ``folder``."""
    paths = folder / 'images' / f'{name}.jpg', folder / 'annotations' / f'{name}.png'
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    cv2.imwrite(str(paths[0]), noise)
    Image.fromarray(label_map() if labels is None else labels).save(paths[1])
    return paths


def check(paths, classes=CLASSES):
    return check_pair(*map(str, paths), classes)


def planted(value, count, dtype=np.uint8):
    labels = label_map().astype(dtype)
    labels.ravel()[:count] = value
    return labels


@pytest.mark.parametrize(
    ('labels', 'kind', 'text'),
    [
        (planted(5, 3), 'value', 'value 5 in 3 pixels'),
        (planted(300, 2, np.uint16), 'value', 'value 300 in 2 pixels'),
        (planted(-1, 2, np.int32), 'value', 'value -1 in 2 pixels'),
        (planted(0.5, 2, np.float32), 'value', 'floating-point values; they should be integers'),
        (
            np.arange(10, 58, dtype=np.uint8).reshape(SIZE), 'value',
            'value 10 in 1 pixel, value 11 in 1 pixel, value 12 in 1 pixel, value 13 in 1 pixel, '
            'value 14 in 1 pixel and 43 more values',
        ),
        (
            np.zeros((*SIZE, 3), np.uint8), 'channels',
            '3 channels (RGB); it should be grey or have a palette',
        ),
        (label_map().T.copy(), 'size', 'image 8 x 6, label map 6 x 8'),
    ],
)  # fmt: skip
def test_a_wrong_label_map_is_named_with_what_is_wrong(labels, kind, text, tmp_path):
    if labels.dtype in (np.int32, np.float32):  # which no PNG holds
        paths = write_pair(tmp_path, 'a')
        paths = paths[0], paths[1].with_suffix('.tif')
        Image.fromarray(labels).save(paths[1])
    else:
        paths = write_pair(tmp_path, 'a', labels)
    problems, _ = check(paths)
    assert problems == [(kind, str(paths[1]), text)]


def test_pixels_are_counted_and_the_ignored_value_and_a_palette_are_no_problems(tmp_path):
    image, label = write_pair(tmp_path, 'a')
    assert check((image, label)) == ([], {0: 8, 1: 8, 2: 8, 3: 8, 4: 16})
    palette = Image.fromarray(planted(255, 5)).convert('P')
    palette.putpalette([7, 8, 9] * 256)
    palette.save(label)
    assert check((image, label)) == ([], {0: 3, 1: 8, 2: 8, 3: 8, 4: 16, 255: 5})


@pytest.mark.parametrize('index', [0, 1])
@pytest.mark.parametrize('keep', [0, 0.6])
def test_truncated_files_are_named_and_the_other_is_still_read(index, keep, tmp_path):
    paths = write_pair(tmp_path, 'a')
    if index:  # noise, since a truncated chunk is needed
        noise = np.random.default_rng(0).integers(0, CLASSES + 1, SIZE, np.uint8)
        Image.fromarray(noise).save(paths[1])
    content = paths[index].read_bytes()
    paths[index].write_bytes(content[: int(keep * len(content))])
    problems, values = check(paths)
    assert [(kind, file) for kind, file, _ in problems] == [('unreadable', str(paths[index]))]
    assert problems[0][2]
    assert sum(values.values()) == (0 if index else 48)


def test_a_rotated_photo_is_compared_as_training_loads_it(tmp_path):
    image, label = write_pair(tmp_path, 'a')
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    Image.open(image).save(image, exif=exif)
    assert check((image, label))[0] == [('size', str(label), 'image 6 x 8, label map 8 x 6')]


def test_files_without_a_counterpart_and_of_another_ending_are_found(tmp_path):
    for name in ('a', 'b', 'deep/c'):
        write_pair(tmp_path, name)
    (tmp_path / 'images/b.jpg').rename(tmp_path / 'images/z.jpg')
    (tmp_path / 'images/w.JPEG').write_bytes(b'x')
    (tmp_path / 'images/notes.txt').write_bytes(b'x')
    folders = tmp_path / 'images', tmp_path / 'annotations'
    report = find_pairs(*folders)
    assert [image for image, _ in report.pairs] == [
        str(folders[0] / f'{n}.jpg') for n in ('a', 'deep/c')
    ]
    assert (report.images, report.labels) == (3, 3)
    assert {(p.kind, p.file) for p in report.problems} == {
        ('no_label', str(folders[0] / 'z.jpg')),
        ('no_image', str(folders[1] / 'b.png')),
        ('ending', str(folders[0] / 'w.JPEG')),
    }


def test_suffixes_choose_among_several_label_maps_of_an_image(tmp_path):
    image, label = write_pair(tmp_path, 'a')
    image.rename(image.with_name('a_photo.jpg'))
    for end in ('_ids', '_color'):
        label.with_name(f'a{end}.png').write_bytes(label.read_bytes())
    label.unlink()
    report = find_pairs(image.parent, label.parent, '_photo.jpg', '_ids.png')
    assert report.pairs == [
        (str(image.with_name('a_photo.jpg')), str(label.with_name('a_ids.png')))
    ]
    assert (report.images, report.labels, report.problems) == (1, 1, [])


@pytest.mark.parametrize(
    ('pixels', 'ignored', 'expected', 'why'),
    [
        ([5, 30, 30, 30, 30], 0, True, 'the largest value is 4, so that the 4 classes are 1 to 4'),
        ([0, 30, 30, 30, 0], 0, True, 'no pixel is 0'),
        ([70, 10, 10, 10, 0], 0, False, 'the largest value is 3 and 0 takes 70.0% of the pixels'),
        ([25, 0, 0, 75, 0], 0, False, 'the largest value is 3 and 0 takes 25.0%'),
        ([4, 32, 32, 32, 0], 9, False, 'unlabelled pixels have the ignored value'),
        ([4, 32, 32, 32, 0], 0, None, '0 may be a class or unlabelled'),
        ([70, 30, 0, 0, 0], 0, None, 'the largest value is 1 and 0 takes 70.0%'),
        ([0, 0, 0, 0, 0], 7, None, 'no label is in the range'),
        ([10] * 10 + [0], 0, False, 'the largest value is 9 and 0 takes 10.0%'),
        ([5] + [10] * 9 + [0], 0, None, '0 may be a class or unlabelled'),
    ],
)
def test_the_verdict_on_label_0(pixels, ignored, expected, why):
    verdict = judge_zero(np.array(pixels), ignored)
    assert verdict.reduce_zero_label is expected
    assert why in verdict.why and not verdict.doubt


def test_a_config_is_compared_with_the_labels():
    verdict = judge_zero(np.array([73, 20, 7]))
    assert verdict.reduce_zero_label is True
    assert verdict.doubt.startswith('0 takes 73.0% of the pixels: if it is a class, there are 3')
    labels = ConfigLabels('train_dataloader.dataset', True, 4, 4, (('model.head', 4),))
    assert compare_config(Verdict(True, 'w'), 4, 'c.py', labels) == []
    assert compare_config(Verdict(None, 'w'), None, 'c.py', labels) == []
    assert compare_config(Verdict(False, 'so'), 4, 'c.py', labels) == [
        'c.py: train_dataloader.dataset has reduce_zero_label=True, which must be False for these '
        'labels: so'
    ]
    wrong = labels._replace(labelled=150, used=2)
    assert compare_config(Verdict(True, 'w'), 4, 'c.py', wrong) == [
        'c.py: train_dataloader.dataset has 150 classes, but the data have 4',
        'c.py: model.head is 4, but train_dataloader.dataset has 2 classes',
    ]
