"""Which frames training pairs are made of: statistics, repeatability, failures, data loaders."""

import copy
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from tiny_sequences import write_coco, write_got10k, write_lasot, write_lines, write_trackingnet
from torch.utils.data import Dataset

from mmlite.datasets.bad_samples import BadSamples
from mmlite.datasets.sot import pairs as pairs_module
from mmlite.datasets.sot.pairs import PairSampler, TrackPairs, is_usable, sample_causal
from mmlite.datasets.sot.sequence import Sequence
from mmlite.errors import ArgumentError, DataError


def plain_causal(rng, visible, max_interval):
    """The rule frame by frame, as the released code has it; also the number of draws."""
    count, gap = len(visible), 0
    while True:
        templates = [i for i in range(0, count - 1) if visible[i]]
        template = templates[rng.integers(len(templates))]
        end = min(template + max_interval + gap, count)
        searches = [i for i in range(template + 1, end) if visible[i]]
        if searches:
            return template, searches[rng.integers(len(searches))], gap
        gap += 5


@pytest.mark.parametrize(('count', 'share', 'max_interval'), [
    (40, 1.0, 200), (300, 0.5, 50), (500, 0.02, 2), (25, 0.1, 6),
])  # fmt: skip
def test_frames_are_those_of_the_plain_version(count, share, max_interval):
    waited = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        visible = rng.random(count) < share
        visible[rng.choice(count, 3, replace=False)] = True
        *want, gap = plain_causal(np.random.default_rng(seed), visible, max_interval)
        got = sample_causal(np.random.default_rng(seed), visible, max_interval)
        assert got == tuple(want)
        assert all(type(frame) is int for frame in got)
        waited += gap > 0
    assert (waited > 0) == (share < 0.5)


def test_videos_that_are_used():
    for count, shown, usable in ((20, 5, True), (19, 19, False), (20, 4, False), (99, 4, False)):
        assert is_usable(np.arange(count) < shown) == usable
    with pytest.raises(ValueError, match='needs two visible frames, got 1'):
        sample_causal(np.random.default_rng(0), np.arange(3) == 1)


class Videos(Dataset):
    """``count`` sequences in memory of ``length`` frames, and ``log``, what is read of them.

    The target of those in ``hidden`` shows in two frames only; frames of those in ``broken`` and
    the annotation of those in ``absent`` cannot be read.
    """

    def __init__(self, name, count, length=30, hidden=(), broken=(), absent=(), protocol='lasot'):
        self.metainfo = dict(dataset=name, protocol=protocol)
        self.count, self.length, self.log = count, length, []
        self.hidden, self.broken, self.absent = hidden, broken, absent
        self.made = {}

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        name = f'{self.metainfo["dataset"]}-{index}'
        self.log.append(name)
        if index in self.absent:
            raise DataError(f'{name}.txt is missing')

        def read(frame):
            self.log.append(frame)
            if index in self.broken:
                raise DataError(f'image {where(frame)} cannot be read')
            return np.full((48, 64, 3), frame % 256, np.uint8)

        def where(frame):
            return f'{name}/{frame}.jpg'

        visible = np.ones(self.length, bool)
        visible[2:] = index not in self.hidden
        boxes = np.tile([20.0, 12.0, 16.0, 16.0], (self.length, 1))
        boxes[:, 0] += np.arange(self.length) / 4
        frames = SimpleNamespace(read=read, where=where)
        made = Sequence(name, self.metainfo['dataset'], frames, boxes, visible)
        return self.made.setdefault(index, made)


def identity(sample):
    """What a pair is made of, and a number from its generator."""
    assert (sample['template_image'] == sample['frame_ids'][0] % 256).all()
    assert (sample['search_image'] == sample['frame_ids'][1] % 256).all()
    assert sample['search_box'][0] == 20 + sample['frame_ids'][1] / 4
    assert sample['img_path'] == f'{sample["sequence"]}/{sample["frame_ids"][1]}.jpg'
    return (sample['sequence'], *sample['frame_ids'], int(sample['rng'].integers(1 << 30)))


class Lenient(list):
    """A policy that allows everything; it holds the reasons."""

    def note(self, sample, error):
        self.append(str(error))


def pairs(datasets, pipeline=(identity,), **options):
    source = TrackPairs(datasets, pipeline=pipeline, **options)
    source.bad_samples = Lenient()
    return source


def stream(source, epoch=0, count=200, seed=0):
    return [source[seed, epoch, k] for k in range(count)]


def shares(drawn):
    count = Counter(name.split('-')[0] for name, *_ in drawn)
    return {name: n / len(drawn) for name, n in count.items()}


@pytest.mark.parametrize('ratios', [None, (3, 0, 1), (0.5, 0.25, 0.25)])
def test_data_sets_come_by_ratio_and_their_sequences_uniformly(ratios):
    sizes = dict(a=3, b=40, c=11)
    source = pairs([Videos(name, size) for name, size in sizes.items()], ratios=ratios)
    drawn = Counter(sequence for sequence, *_ in stream(source, count=3000))
    for (name, size), ratio in zip(sizes.items(), ratios or (1, 1, 1), strict=True):
        seen = [count for sequence, count in drawn.items() if sequence.startswith(name)]
        expected = 3000 * ratio / sum(ratios or (1, 1, 1))
        assert sum(seen) == pytest.approx(expected, abs=100)
        assert len(seen) == size * (ratio > 0)
        assert all(abs(n - expected / size) < 5 * np.sqrt(expected / size) for n in seen)


def test_a_pair_is_a_function_of_seed_epoch_and_number():
    def fresh():
        return pairs([Videos('a', 50), Videos('b', 5, broken=(1, 2), hidden=(3,))])

    first, source = stream(fresh()), fresh()
    for k in np.random.default_rng(0).permutation(200):
        assert source[0, 0, int(k)] == first[k]
    assert len({*first, *stream(source, seed=1), *stream(source, epoch=1)}) == 600


def test_unsuitable_videos_are_replaced_within_their_data_set():
    source = pairs([
        Videos('a', 10, hidden=tuple(range(8))), Videos('b', 2), Videos('c', 6, length=19)
    ], ratios=(1, 1, 0))  # fmt: skip
    drawn = stream(source, count=2000)
    assert {name for name, *_ in drawn} == {'a-8', 'a-9', 'b-0', 'b-1'}
    assert shares(drawn)['a'] == pytest.approx(0.5, abs=0.04)
    assert source.bad_samples == []


@pytest.mark.parametrize('failure', ['broken', 'absent', 'refused'])
def test_the_whole_draw_is_repeated_after_a_failure(failure):
    """So a data set in which 4 of 5 sequences fail has 1/6 of the pairs, not a half."""
    bad = tuple(range(8))
    options = {failure: bad} if failure != 'refused' else {}

    def refuse(sample):
        return None if sample['sequence'] in {f'a-{i}' for i in bad} else sample

    pipeline = [refuse, identity] if failure == 'refused' else [identity]
    source = pairs([Videos('a', 10, **options), Videos('b', 2)], pipeline)
    drawn = stream(source, count=2000)
    assert shares(drawn)['a'] == pytest.approx(1 / 6, abs=0.03)
    assert {name for name, *_ in drawn} == {'a-8', 'a-9', 'b-0', 'b-1'}
    failed = 0 if failure == 'refused' else 2000 / 0.6 * 0.4  # of 2000 / 0.6 draws, 0.4 fail
    assert len(source.bad_samples) == pytest.approx(failed, rel=0.1)


def test_unreadable_files_are_reported_once(tmp_path):
    source = pairs([Videos('a', 3, absent=(0,), broken=(1,), length=20)])
    source.bad_samples = BadSamples(tmp_path / 'bad.csv', size=300, max_share=0.01)
    stream(source, count=300)
    _, *lines = (tmp_path / 'bad.csv').read_text().splitlines()
    frames = {line for line in lines if line.startswith('"a, sequence 1",image a-1/')}
    assert '"a, sequence 0",a-0.txt is missing' in lines
    assert len(lines) == len(frames) + 1 <= 20
    assert source.bad_samples.count == 2


def test_errors_are_raised_without_a_policy_and_those_of_transforms_in_any_case():
    for bad in (dict(absent=(0,)), dict(broken=(0,))):
        with pytest.raises(DataError, match='a-0'):
            TrackPairs([Videos('a', 1, **bad)])[0, 0, 0]

    def fail(sample):
        raise DataError('the transform is wrong')

    source = pairs([Videos('a', 5)], [fail])
    with pytest.raises(DataError, match='^the transform is wrong$'):
        source[0, 0, 0]
    assert source.bad_samples == []


@pytest.mark.parametrize(('videos', 'pipeline', 'message'), [
    (dict(hidden=(0, 1)), [],
     '7 were videos of fewer than 20 frames or 5 visible ones, 0 had unreadable files and 0 were '
     r'rejected by the pipeline; the last: a a-\d is such a video'),
    (dict(broken=(0, 1)), [], r'7 had unreadable files .* the last: image a-\d/\d+.jpg cannot'),
    ({}, [lambda _: None],
     r'7 were rejected by the pipeline; the last: frames \(\d+, \d+\) of a a-\d, boxes \[2'),
])  # fmt: skip
def test_no_usable_pair_is_an_error(videos, pipeline, message):
    source = pairs([Videos('a', 2, **videos)], pipeline, max_tries=7)
    start = r'^none of 7 attempts gave a usable pair \(5, 3, 1\): .*'
    with pytest.raises(DataError, match=start + message):
        source[5, 3, 1]


def test_no_more_is_read_than_a_pair_needs_and_boxes_are_copies():
    def move(sample):
        sample['search_box'] += 1
        return identity({**sample, 'search_box': sample['search_box'] - 1})

    videos, stills = Videos('a', 1), Videos('b', 5, length=1, protocol='stills')
    for source in (videos, stills):
        for k in range(9):
            source.log.clear()
            name, *frames, _ = pairs([source], [move])[0, 0, k]
            assert source.log == [name, *dict.fromkeys(frames)]
    assert frames == [0, 0]


@pytest.mark.parametrize(('options', 'message'), [
    (dict(datasets=[]), 'a ratio for each data set, got 0 data sets'),
    (dict(ratios=(1, 1)), 'got 1 data sets and 2 ratios'),
    (dict(ratios=(0,)), r'ratios must be >= 0 and not all 0, got \[0.0\]'),
    (dict(samples_per_epoch=0), 'samples_per_epoch=0 and .* must be >= 1'),
    (dict(max_tries=0), 'max_tries=0 must be >= 1'),
    (dict(max_interval=1), 'max_interval=1 >= 2'),
])  # fmt: skip
def test_wrong_arguments_are_named(options, message):
    with pytest.raises(ArgumentError, match=message):
        TrackPairs(**dict(dict(datasets=[Videos('a', 1)]), **options))


@pytest.mark.parametrize('world', [1, 3, 4])
def test_processes_share_an_epoch_evenly(world, monkeypatch):
    parts = []
    for rank in range(world):
        monkeypatch.setattr(pairs_module, 'get_dist_info', lambda rank=rank: (rank, world))
        sampler = PairSampler(range(10), seed=7)
        sampler.set_epoch(5)
        parts.append(list(sampler))
        assert len(sampler) == len(parts[-1]) == 10 // world
    drawn = sorted(index for part in parts for index in part)
    assert drawn == [(7, 5, k) for k in range(10 // world * world)]
    monkeypatch.setattr(pairs_module, 'get_dist_info', lambda: (0, 4))
    with pytest.raises(ArgumentError, match='3 pairs an epoch are too few for 4 processes'):
        PairSampler(range(3), seed=0)
    with pytest.raises(ArgumentError, match='PairSampler'):  # else all epochs were the same
        pairs([Videos('a', 1)])[3]


RECIPE = Path(__file__).parents[2] / 'configs/_base_/datasets/sot_pairs_256px.py'


@pytest.fixture
def released(tmp_path):
    """The released recipe on a video of 25 frames or an image each; one frame is truncated."""
    folder = write_lasot(tmp_path / 'LaSOT', 'cat-1', 25)
    write_lines(tmp_path / 'LaSOT' / 'training_set.txt', ['cat-1'])
    frame = folder / 'img' / '00000007.jpg'
    frame.write_bytes(frame.read_bytes()[:-9])
    write_got10k(tmp_path / 'GOT-10k', ['a', 'b'], 'train', 25)
    indices = write_lines(tmp_path / 'GOT-10k' / 'got10k_vot_train_split.txt', [1])
    write_trackingnet(tmp_path / 'TrackingNet', 'TRAIN_3', ['v'], 25)
    write_coco(tmp_path / 'coco', images=1, boxes=1)
    cfg = Config.fromfile(RECIPE).train_dataloader
    for dataset in cfg.dataset.datasets:
        dataset.data_root = str(tmp_path / Path(dataset.data_root).name)
    cfg.dataset.datasets[1].index_file = str(indices)
    cfg.dataset.datasets[3].chunks = [3]
    assert cfg.dataset.samples_per_epoch == 60_000
    cfg.dataset.samples_per_epoch = 70
    return cfg


def test_the_released_recipe_from_files_to_batches(released, tmp_path):
    batches, reports = [], []
    for workers in (0, 2):
        cfg = copy.deepcopy(released)
        cfg.update(num_workers=workers, persistent_workers=workers > 0, pin_memory=False)
        built = Runner.build_dataloader(cfg, seed=0)
        report = tmp_path / f'{workers}.csv'
        built.dataset.bad_samples = BadSamples(report, 70, max_share=1)
        batches.append([
            (batch['inputs']['template'], batch['inputs']['search'], batch['data_samples']['box'])
            for batch in built
        ])  # fmt: skip
        reports.append(report.read_text())
    assert reports[0] == reports[1] and reports[0].count('00000007.jpg cannot be read') == 1
    names = ('lasot', 'got10k', 'coco', 'trackingnet')
    assert built.dataset.metainfo == dict(datasets=names)
    assert len(batches[0]) == 2
    for one, other in zip(*batches, strict=True):
        assert [(tuple(part.shape), part.dtype) for part in one] == [
            ((32, 3, 128, 128), torch.uint8), ((32, 3, 256, 256), torch.uint8),
            ((32, 4), torch.float32),
        ]  # fmt: skip
        assert all(map(torch.equal, one, other))
        box = one[2]
        centre = box[:, :2] + box[:, 2:] / 2
        assert ((centre > 0) & (centre < 1)).all()
        # a quarter of the crop's side, but for the jitter of its scale
        size = box[:, 2:].prod(1).sqrt()
        assert 0.1 < size.min() < size.median() < size.max() < 0.5
        assert 0.2 < size.median() < 0.3
