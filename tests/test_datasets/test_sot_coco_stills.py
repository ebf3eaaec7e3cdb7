"""COCO objects as sequences of one frame: layouts, the kept index, contradictions."""

import json
import os
import shutil

import numpy as np
import pytest
from tiny_sequences import pack, write_coco

from mmlite.datasets.sot import COCOStillsDataset, coco_stills
from mmlite.errors import DataError

SPLIT = 'train2017'


@pytest.fixture
def root(tmp_path):
    return tmp_path / 'coco'


@pytest.mark.parametrize('layout', [SPLIT, f'images/{SPLIT}', 'zip'])
def test_every_object_but_crowds_is_a_sequence(root, layout):
    data, _ = write_coco(root, SPLIT if layout == 'zip' else layout, crowds=(2, 7))
    if layout == 'zip':
        pack(root / SPLIT, around=True)
    wanted = [item for item in data['annotations'] if item['id'] not in (2, 7)]
    for source in (COCOStillsDataset(root), COCOStillsDataset(root)):  # read, and from the index
        assert source.names == [str(item['id']) for item in wanted]
        assert source.lengths.tolist() == [1] * 6
        assert source.metainfo == dict(dataset='coco', protocol='stills')
        for sequence, item in zip(source, wanted, strict=True):
            assert sequence.name == str(item['id'])
            assert sequence.boxes.dtype == np.float64
            assert sequence.boxes.tolist() == [item['bbox']]
            assert sequence.visible.tolist() == [True] and sequence.annotated
            assert len(sequence.frames) == 1
            assert sequence.frames.where(0).endswith(f'/{item["image_id"]}.png')
            assert (sequence.frames.read(0) == item['image_id']).all()


def test_the_index_serves_until_the_annotation_changes(root, monkeypatch):
    data, file = write_coco(root)
    read, read_objects = [], coco_stills.read_objects
    monkeypatch.setattr(
        coco_stills, 'read_objects', lambda *file: read.append(file) or read_objects(*file)
    )

    def check(objects, times, **options):
        assert len(COCOStillsDataset(root, **options)) == objects
        assert len(read) == times

    check(8, 1)
    check(8, 1)
    check(8, 2, rebuild_index=True)
    data['annotations'].pop()
    file.write_text(json.dumps(data))
    check(7, 3)
    check(7, 3)
    os.utime(file, (1, 1))
    check(7, 4)


@pytest.mark.parametrize(('wrong', 'message'), [
    (dict(bbox=[1, 2, 3]), r'annotation 4 has bbox \[1, 2, 3\]'),
    (dict(image_id=77), 'annotation 4 is for image 77'),
])  # fmt: skip
def test_a_wrong_annotation_does_not_keep_the_others_from_use(root, wrong, message):
    data, file = write_coco(root)
    sound = COCOStillsDataset(root)
    data['annotations'][3].update(wrong)
    file.write_text(json.dumps(data))
    for _ in range(2):  # from the file, from the index
        source = COCOStillsDataset(root)
        (bad,) = source.faults
        assert sound.names.index('4') == bad
        with pytest.raises(DataError, match=f'{file}: {message}'):
            source[bad]
        for index in set(range(len(sound))) - {bad}:
            assert source[index].name == sound[index].name
            assert (source[index].boxes == sound[index].boxes).all()
            assert (source[index].frames.read(0) == sound[index].frames.read(0)).all()


@pytest.mark.parametrize(('content', 'message'), [
    ('{"images": [', 'is not valid JSON'), ('[1]', 'it must be a JSON object'),
    (None, 'is missing'), ('{"images": []}', 'categories is missing'),
    ('crowds', 'no annotated object'),
])  # fmt: skip
def test_unusable_annotations_are_named(root, content, message):
    _, file = write_coco(root, crowds=range(99))
    if content is None:
        file.unlink()
    elif content != 'crowds':
        file.write_text(content)
    with pytest.raises(DataError, match=f'{file}.*{message}'):
        COCOStillsDataset(root)


def test_missing_folders_and_images_are_named(root):
    with pytest.raises(DataError, match=f'{root}.* does not exist.*instances_{SPLIT}.json'):
        COCOStillsDataset(root)
    write_coco(root)
    (root / SPLIT / '0.png').unlink()
    with pytest.raises(DataError, match=f'{SPLIT}/0.png is missing'):
        COCOStillsDataset(root)[0].frames.read(0)
    shutil.rmtree(root / SPLIT)
    with pytest.raises(DataError, match='has no images in train2017 or images'):
        COCOStillsDataset(root)
