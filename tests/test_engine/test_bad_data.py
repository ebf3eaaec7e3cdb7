"""Training on data of which some images and annotations are broken."""

import csv
import json

import pytest
import tiny
import torch
import trainings
from run_tool import run_tool

from mmlite.apis import init_model
from mmlite.engine.loops import BAD_SAMPLES
from mmlite.registry import DATASETS

IMAGES = 40
DETECTION = """
train_dataloader.update(num_workers={workers}, batch_size=10)
train_dataloader['dataset'].update(filter_cfg=dict(filter_empty_gt=True, min_size=8))
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1, val_interval=9)
default_hooks.update(checkpoint=dict(type='CheckpointHook', interval=1))
"""
WRONG = {  # annotation -> what is wrong with it, and what the report says
    17: (dict(bbox=[1, 2, -3, 4]), 'annotation 18 has a box of no valid size'),
    30: (dict(category_id=9), 'annotation 31 has category_id 9'),
    31: (dict(bbox=None), "annotation 32 has no 'bbox'"),
    44: (dict(image_id=777), 'annotation 45 is for image 777, which the file does not list'),
    60: (dict(segmentation=[5]), 'annotation 61 has a segmentation that is a flat list'),
}  # fmt: skip
UNREADABLE = 19


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Data of a detector: 40 images of two boxes each, then some of both broken."""
    root = tmp_path_factory.mktemp('broken')
    data = tiny.write_coco(root, 'train', images=IMAGES)
    tiny.write_coco(root, 'val', images=2, seed=1)
    for row, (wrong, _) in WRONG.items():
        data['annotations'][row].update(wrong)
    (root / 'broken.json').write_text(json.dumps(data))
    return root


@pytest.fixture
def unreadable(folder):
    """The path of an image that is cut off for the time of a test."""
    file = folder / 'train' / f'{UNREADABLE}.png'
    content = file.read_bytes()
    file.write_bytes(content[:-20])
    yield file
    file.write_bytes(content)


def report(work_dir):
    with open(work_dir / BAD_SAMPLES, newline='') as file:
        return list(csv.reader(file))[1:]


def train(folder, work_dir, share=None, workers=0, ann_file='broken.json', resume=()):
    config = tiny.write_detector(folder, extra=DETECTION.format(workers=workers))
    options = [f'train_dataloader.dataset.ann_file={ann_file}']
    options += [f'train_cfg.max_bad_share={share}'] if share is not None else []
    return run_tool('train', config, '--work-dir', work_dir, *resume, '--cfg-options', *options)


def test_every_bad_sample_is_reported_once(folder, unreadable, tmp_path, capfd):
    assert train(folder, tmp_path, share=0.15, workers=2) == 0
    rows = report(tmp_path)
    assert len({tuple(row) for row in rows}) == len(rows) == len(WRONG) + 1
    found = {reason: sample for sample, reason in rows}
    for row, (_, text) in WRONG.items():
        (reason,) = [reason for reason in found if text in reason]
        image = 'broken.json' if row == 44 else f'train/{row // 2}.png'
        assert found.pop(reason) == str(folder / image)
    assert found == {
        f'image {unreadable} cannot be read: the PNG is truncated (no IEND chunk)': str(unreadable)
    }
    text = capfd.readouterr().out
    assert text.count('Left out: ') == len(rows)
    assert f'5 of {IMAGES} training samples are unreadable or malformed' in text
    assert train(folder, tmp_path, share=0.15, resume=['--resume']) == 0
    assert report(tmp_path) == rows  # each is still named once
    assert train(folder, tmp_path, share=0.5, ann_file='train.json') == 0
    assert len(report(tmp_path)) == 1  # a new run has a new report


@pytest.mark.parametrize(
    ('share', 'ann_file', 'message'),
    [
        (None, 'broken.json', 'annotation 18 has a box of no valid size'),
        (None, 'train.json', 'train/19.png cannot be read: the PNG is truncated'),
        (0.01, 'broken.json', 'of 40 training samples are unreadable or malformed, more than '
                              'train_cfg.max_bad_share=0.01 allows: '),
    ],
)  # fmt: skip
def test_by_default_training_stops(share, ann_file, message, folder, unreadable, tmp_path, capsys):
    assert train(folder, tmp_path, share, workers=1, ann_file=ann_file) == 1
    error = capsys.readouterr().err
    assert message in error and error.startswith('error: ') and error.count('\n') == 1
    assert not (tmp_path / 'last_checkpoint').exists()


def test_other_samples_keep_their_places(folder):
    """Images with a broken annotation stay in the list, also where nothing else is in them."""
    sound, broken = (
        DATASETS.build(
            dict(
                type='mmlite.CocoDataset', data_root=str(folder), ann_file=name,
                data_prefix=dict(img='train'), metainfo=dict(classes=('red', 'green')),
                pipeline=[], filter_cfg=dict(filter_empty_gt=True), defer_faults=True,
            )
        )
        for name in ('train.json', 'broken.json')
    )  # fmt: skip
    assert len(sound) == len(broken) == IMAGES
    assert [i for i in range(IMAGES) if 'fault' in broken.get_data_info(i)] == [8, 15]
    others = set(range(IMAGES)) - {8, 15, 22, 30}
    assert all(sound.get_data_info(i)['instances'] == broken.get_data_info(i)['instances']
               for i in others)  # fmt: skip
    assert sound.bad_annotations == []


def test_evaluation_stops_on_a_bad_sample(folder, tmp_path, capsys):
    config, checkpoint = tiny.write_detector(folder), tmp_path / 'random.pth'
    torch.save(init_model(config).state_dict(), checkpoint)
    file = folder / 'val' / '1.png'
    content = file.read_bytes()
    file.write_bytes(content[:-20])
    options = ('--cfg-options', 'train_cfg.max_bad_share=0.5')
    assert run_tool('test', config, checkpoint, '--work-dir', tmp_path / 'test', *options) == 1
    file.write_bytes(content)
    assert f'image {file} cannot be read' in capsys.readouterr().err


def test_a_tracker_trains_past_a_bad_frame_and_a_bad_annotation(tmp_path):
    config = trainings.write('tracking', tmp_path)
    videos = sorted(path for path in (tmp_path / 'lasot').rglob('img'))
    frame = sorted(videos[0].iterdir())[5]
    frame.write_bytes(frame.read_bytes()[:-30])
    boxes = videos[1].parent / 'groundtruth.txt'
    boxes.write_text('no numbers\n')
    options = ('--cfg-options', 'train_cfg.max_bad_share=1', 'train_cfg.val_interval=99')
    assert run_tool('train', config, '--work-dir', tmp_path / 'work', *options) == 0
    rows = report(tmp_path / 'work')
    assert len({tuple(row) for row in rows}) == len(rows)
    named = {str(file): sum(str(file) in reason for _, reason in rows) for file in (frame, boxes)}
    assert sum(named.values()) == len(rows) and named[str(boxes)] == 1 and named[str(frame)] <= 1
