"""LaSOT and GOT-10k sequences: motion, exact files, boxes and flags against what is visible."""

import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmlite.datasets.shapes import CLASSES, Job, TargetState, generate, task_spec
from mmlite.datasets.shapes.formats import FORMATS, cover_level

FRAMES = 25


def make(tmp_path_factory, task):
    root = tmp_path_factory.mktemp(task) / FORMATS[task].folder
    spec = task_spec(task, size=80, classes=3, min_size=0.2, max_size=0.3, frames=FRAMES)
    job = Job(task, root, spec, seed=1, train=4, val=2)
    assert generate(job)
    return job


@pytest.fixture(scope='module')
def filmed():
    """Rendered sequences: (sequence, renderings, states)."""
    spec = task_spec('sot', size=80, min_size=0.15, frames=45)
    job = Job('sot', Path('unused'), spec, seed=0)
    sequences = [job.sequence('train', index) for index in range(14)]
    return [(s, *zip(*s.frames(), strict=True)) for s in sequences]


def test_targets_get_hidden_leave_and_return(filmed):
    def share(condition):
        return np.mean([condition(states) for _, _, states in filmed])

    def leaves_and_returns(states):
        gone = [s.out_of_view for s in states]
        return any(gone) and not gone[-1]

    assert share(lambda states: any(s.visible < 0.7 * s.inside for s in states)) > 0.4
    assert share(lambda states: any(s.fully_occluded for s in states)) > 0.1
    assert share(lambda states: any(s.cut for s in states)) > 0.25
    assert share(leaves_and_returns) > 0.1
    assert np.mean([s.absent for _, _, states in filmed for s in states]) < 0.2


def test_box_holds_the_visible_target_and_is_tight(filmed):
    tight = 0
    for sequence, renderings, states in filmed:
        for rendering, state in zip(renderings, states, strict=True):
            target = rendering.mask(sequence.target)
            if state.box is None:
                assert target.sum() < 0.02 * rendering.amodal[sequence.target]
                continue
            x1, y1, x2, y2 = state.box
            assert 0 <= x1 < x2 <= rendering.image.shape[1]
            assert 0 <= y1 < y2 <= rendering.image.shape[0]
            if not target.any():
                continue
            x, y, w, h = cv2.boundingRect(target.view(np.uint8))
            assert x >= x1 - 1 and y >= y1 - 1 and x + w <= x2 + 1 and y + h <= y2 + 1
            if state.visible == 1:  # nothing hidden: amodal and visible extent agree
                np.testing.assert_allclose((x, y, x + w, y + h), state.box, atol=1.6)
                tight += 1
    assert tight > 200


def test_motion_is_smooth_among_distractors_before_a_panning_background(filmed):
    for sequence, _, states in filmed:
        assert states[0].inside == 1 and states[0].visible > 0.95
        labels = [instance.label for instance in sequence.scene.instances]
        assert labels.count(labels[sequence.target]) >= 2
        path = sequence.scene.instances[sequence.target].pose
        step = np.hypot(np.diff(path.x), np.diff(path.y))
        assert 0 < step.max() < 1.2 * path.size.min()
        assert 0 < np.abs(np.diff(path.size)).max() < 0.1 * path.size.min()
        assert 0 < np.abs(np.diff(path.angle)).max() < 0.35
    assert max(np.ptp(s.pan, axis=0).max() for s, _, _ in filmed) > 4


@pytest.mark.parametrize('frames', [1, 2, 13])
def test_short_sequences(frames):
    spec = task_spec('sot', size=64, min_size=0.2, frames=frames)
    sequence = Job('sot', Path('unused'), spec).sequence('train', 0)
    states = [state for _, state in sequence.frames()]
    assert len(states) == frames == len(sequence)
    assert states[0].visible > 0.95


STATE = TargetState(box=(1, 1, 5, 5), inside=1.0, visible=1.0)


@pytest.mark.parametrize(
    ('visible', 'level'),
    [(0, 0), (0.01, 0), (0.03, 1), (0.15, 1), (0.2, 2), (0.6, 4), (0.75, 5), (0.95, 7), (1.0, 8)],
)
def test_cover_level(visible, level):
    assert cover_level(replace(STATE, visible=visible)) == level


@pytest.mark.parametrize(
    ('inside', 'visible', 'flags'),
    [
        (1.0, 1.0, (False, False, False, False)),
        (1.0, 0.0, (True, True, False, False)),
        (0.5, 0.4, (False, False, False, True)),
        (0.5, 0.0, (True, True, False, True)),
        (0.0, 0.0, (True, False, True, False)),
    ],
)
def test_flags(inside, visible, flags):
    state = replace(STATE, inside=inside, visible=visible)
    assert (state.absent, state.fully_occluded, state.out_of_view, state.cut) == flags


def has_lines(path, line, count):
    """Whether a file is exactly ``count`` lines of the pattern ``line``."""
    return re.fullmatch(f'({line}\n){{{count}}}', path.read_text())


def test_lasot_files(tmp_path_factory):
    job = make(tmp_path_factory, 'sot')
    for split, file, count in (('train', 'training_set.txt', 4), ('val', 'testing_set.txt', 2)):
        found = []
        for index in range(count):
            label = CLASSES[job.label(split, index)]
            number = 2 * (index // 3) + (1 if split == 'train' else 2)
            found.append(f'{label}-{number}')
            states = [state for _, state in job.sequence(split, index).frames()]
            check_lasot_sequence(job.root / label / found[-1], states)
        assert (job.root / file).read_text().split() == sorted(found)


def check_lasot_sequence(folder, states):
    images = sorted(p.name for p in (folder / 'img').iterdir())
    assert images == [f'{i:08d}.jpg' for i in range(1, FRAMES + 1)]
    assert has_lines(folder / 'groundtruth.txt', r'\d+,\d+,\d+,\d+', FRAMES)
    boxes = np.loadtxt(folder / 'groundtruth.txt', delimiter=',')
    for name, flag in (('full_occlusion', 'fully_occluded'), ('out_of_view', 'out_of_view')):
        flags = ','.join(str(int(getattr(state, flag))) for state in states)
        assert (folder / f'{name}.txt').read_text() == flags + '\n'
    for (x, y, w, h), state in zip(boxes, states, strict=True):
        if state.out_of_view:
            assert (x, y, w, h) == (0, 0, 0, 0)
        else:
            np.testing.assert_allclose((x, y, x + w, y + h), state.box, atol=1.5)
            assert w >= 1 and h >= 1
    assert has_lines(folder / 'nlp.txt', f'the {folder.parent.name} moving over [a-z]+', 1)


def test_got10k_files(tmp_path_factory):
    job = make(tmp_path_factory, 'got')
    for split, count in (('train', 4), ('val', 2), ('test', 2)):
        names = [f'GOT-10k_{split.capitalize()}_{i:06d}' for i in range(1, count + 1)]
        assert (job.root / split / 'list.txt').read_text() == '\n'.join(names) + '\n'
        folders = {p.name for p in (job.root / split).iterdir() if p.is_dir()}
        assert folders == set(names)
        for index, name in enumerate(names):
            states = [state for _, state in job.sequence(split, index).frames()]
            check_got10k_sequence(job.root / split / name, states, split, job)


def check_got10k_sequence(folder, states, split, job):
    files = sorted(p.name for p in folder.iterdir())
    images = [f'{i:08d}.jpg' for i in range(1, FRAMES + 1)]
    lines = 1 if split == 'test' else FRAMES
    assert has_lines(folder / 'groundtruth.txt', r'\d+\.\d{4}(,\d+\.\d{4}){3}', lines)
    boxes = np.loadtxt(folder / 'groundtruth.txt', delimiter=',', ndmin=2)
    for (x, y, w, h), state in zip(boxes, states, strict=False):
        expected = (0, 0, 0, 0) if state.out_of_view else state.box
        np.testing.assert_allclose((x, y, x + w, y + h), expected, atol=2e-4)
    if split == 'test':
        assert files == [*images, 'groundtruth.txt']
        return
    labels = ['absence.label', 'cover.label', 'cut_by_image.label', 'groundtruth.txt']
    assert files == [*images, *labels, 'meta_info.ini']

    def column(name):
        assert has_lines(folder / name, r'\d', FRAMES)
        return [int(value) for value in (folder / name).read_text().split()]

    assert column('absence.label') == [int(s.absent) for s in states]
    assert column('cut_by_image.label') == [int(s.cut) for s in states]
    assert column('cover.label') == [cover_level(s) for s in states]
    meta = (folder / 'meta_info.ini').read_text().splitlines()
    assert meta[0] == '[METAINFO]'
    label = job.spec.class_names[job.label(split, int(folder.name[-6:]) - 1)]
    assert meta[5] == f'object_class: {label}'  # readers take it from this line
    keys = [line.split(': ')[0] for line in meta[1:]]
    assert keys == ['url', 'begin', 'end', 'anno_fps', 'object_class', 'motion_class'] + [
        'major_class', 'root_class', 'motion_adverb', 'resolution'
    ]  # fmt: skip
    assert meta[10] == 'resolution: (80, 80)'
