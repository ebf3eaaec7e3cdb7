"""Lists of balanced and long-tailed subsets: counts, nesting, what mmpretrain reads, mistakes."""

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmpretrain.datasets import ImageNet
from run_tool import run_tool

from mmlite.datasets.subsets import (
    assign_counts,
    even_counts,
    fraction_counts,
    sample_images,
    tail_counts,
)
from mmlite.errors import DataError

SIZES = dict(n01=12, n02=8, n03=20)


@pytest.fixture
def train(tmp_path):
    """Folders of empty files; one image lies deeper, and one file is none."""
    folder = tmp_path / 'train'
    for name, count in SIZES.items():
        (folder / name / 'deep').mkdir(parents=True)
        for index in range(count - 1):
            (folder / name / f'{name}_{index}.JPEG').touch()
        (folder / name / 'deep' / f'{name} x.png').touch()
        (folder / name / 'notes.txt').touch()
    return folder


def run(*args):
    return run_tool('dataset_converters/make_subset', *args)


def lines(path):
    return path.read_text().splitlines()


def test_even_counts_are_even_complete_and_never_shrink():
    sizes = [12, 8, 20, 3]
    before = np.zeros(4, int)
    for total in range(sum(sizes) + 1):
        counts = even_counts(sizes, total, seed=5)
        assert counts.sum() == total and (counts <= sizes).all()
        unsaturated = counts[counts < sizes]
        assert unsaturated.size == 0 or counts.max() - unsaturated.min() <= 1
        assert (counts >= before).all()
        before = counts
    assert (even_counts(sizes, 2, seed=0) != even_counts(sizes, 2, seed=1)).any()
    assert fraction_counts([50, 50], 0.29).sum() == 29  # 28.999... as a product of floats


def test_pareto_tail_is_that_of_imagenet_lt():
    """1280 to 5 images, 385 classes above 100, 136 below 20, 115,846 images (a random draw)."""
    counts = tail_counts(1000, 1280, 5)
    assert (counts[0], counts[-1]) == (1280, 5)
    assert (np.diff(counts) <= 0).all()
    assert counts.sum() == 121_937
    assert abs((counts > 100).sum() - 385) < 25
    assert abs((counts < 20).sum() - 136) < 25


def test_exponential_tail_is_that_of_cifar_lt():
    counts = tail_counts(10, 5000, 50, 'exponential')
    assert counts.tolist() == [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]
    assert tail_counts(1, 7, 7).tolist() == [7]


def test_counts_go_to_classes_that_are_large_enough():
    names = list('abcd')
    counts = assign_counts([10, 5, 5, 1], [5, 12, 5, 5], names)
    assert counts[1] == 10 and sorted(counts) == [1, 5, 5, 10]
    orders = {tuple(assign_counts([4, 3, 2, 1], [9] * 4, names, seed)) for seed in range(9)}
    assert len(orders) > 3
    with pytest.raises(DataError, match="2 classes need 10 .* 'a' has the most, 9: start the tail"):
        assign_counts([10, 10], [9, 12], names[:2])


def test_smaller_samples_lie_inside_larger_ones_class_by_class():
    images = {name: [f'{name}/{i}' for i in range(30)] for name in 'ab'}
    small, large = (sample_images(images, counts, seed=1) for counts in ([3, 5], [10, 10]))
    assert all(set(small[name]) < set(large[name]) for name in images)
    # other classes do not matter
    assert sample_images({'b': images['b']}, [5], seed=1) == {'b': small['b']}
    assert sample_images(images, [3, 5], seed=2) != small


@pytest.mark.parametrize(
    ('options', 'digest'),
    [
        ('--fraction 0.25', 'fd93e1ea478a'),
        ('--fraction 0.5 --seed 3', '77028253ff8f'),
        ('--per-class 3 --seed 1', '856750d6aafa'),
        ('--long-tailed --max 16 --min 1', '4ecf4e22cc17'),
        ('--long-tailed exponential --max 16 --imbalance 4 --seed 2', 'c19d168f944b'),
    ],
)
def test_lists_of_a_seed_stay_the_same(options, digest, train, capsys):
    out, figure = train.parent / 'list.txt', train.parent / 'figure.png'
    assert run(train, *options.split(), '--out', out, '--picture', figure) == 0
    assert hashlib.sha1(out.read_bytes()).hexdigest()[:12] == digest
    assert cv2.imread(str(figure)).std() > 1
    if 'exponential' in options:
        assert '28 images of 3 classes, 4 to 16 per class' in capsys.readouterr().out


def test_counts_of_a_thousand_classes_stay_the_same():
    sizes = np.random.default_rng(0).integers(700, 1301, 1000)
    tail = assign_counts(tail_counts(1000, 1280, 5), sizes, [str(n) for n in range(1000)], seed=4)
    for counts, digest in (tail, 'cb1d95f252da'), (fraction_counts(sizes, 0.01, 4), '9ec129d7a57e'):
        assert hashlib.sha1(counts.astype('<i8').tobytes()).hexdigest()[:12] == digest


def test_an_existing_list_is_replaced_on_demand_only(train, capsys):
    out = train.parent / 'meta/train_50percent.txt'
    assert run(train, '--fraction', 0.5) == run(train, '--fraction', 0.5) == 0
    printed = capsys.readouterr().out
    assert f'{out}: 20 images of 3 classes, 6 to 7 per class' in printed
    first = lines(out)
    assert run(train, '--fraction', 0.5, '--seed', 1) == 2
    assert 'exists and differs: give --force' in capsys.readouterr().err and lines(out) == first
    assert run(train, '--fraction', 0.5, '--seed', 1, '--force') == 0
    assert lines(out) != first


def test_imagenet_reads_the_list_as_it_reads_the_folder(train):
    assert run(train, '--fraction', 1) == 0
    common = dict(data_root=str(train.parent), split='train', metainfo=dict(classes=list(SIZES)))
    listed = ImageNet(ann_file='meta/train_100percent.txt', **common)
    found = ImageNet(**common)
    pairs = [[(d['img_path'], d['gt_label']) for d in dataset] for dataset in (listed, found)]
    assert sorted(pairs[0]) == sorted(pairs[1])
    assert len(pairs[0]) == 40 and Path(pairs[0][0][0]).is_file()
    assert run(train, '--per-class', 2, '--no-labels') == 0
    bare = ImageNet(ann_file='meta/train_2perclass.txt', with_label=False, **common)
    assert len(bare) == 6 and all(Path(d['img_path']).is_file() for d in bare)


def test_published_lists_are_converted(train, capsys):
    for text in (
        'train/n03/n03_4.JPEG 2\ntrain/n01/n01_0.JPEG 0\n',  # ImageNet-LT
        'n01_0.JPEG\n\nn03_4.JPEG\n',  # SimCLR
        './n03/n03_4.JPEG\nn01/n01_0.JPEG\n',
    ):
        (train.parent / 'published.txt').write_text(text)
        assert run(train, '--from-list', train.parent / 'published.txt') == 0
        out = train.parent / 'meta' / 'train_published.txt'
        assert lines(out) == ['n01/n01_0.JPEG 0', 'n03/n03_4.JPEG 2']
        assert '2 images of 3 classes, 1 of them empty, 0 to 1' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('options', 'code', 'message'),
    [
        ('--fraction 0', 2, 'the fraction is 0; it should be above 0 and at most 1'),
        ('--fraction 0.05', 2, '40 images is 2, less than one for each of 3 classes'),
        ('--per-class 9', 1, "class 'n02' has 8 images, fewer than the 9 asked"),
        ('--long-tailed --max 9', 2, 'needs --max and one of --min and --imbalance'),
        ('--long-tailed --max 9 --min 10', 2, 'a tail from 9 to 10 images'),
        ('--long-tailed --max 9 --imbalance 0.5', 2, '--imbalance is 0.5'),
        ('--per-class 2 --max 3', 2, '--max belongs to --long-tailed'),
        ('--from-list no.txt', 1, "list 'no.txt' cannot be read: No such file"),
        ('train/n01/n01_77.JPEG 0', 1, "line 1: image '{train}/n01/n01_77.JPEG' does not exist"),
        ('n01/n01_1.JPEG\nn09/n09_1.JPEG', 1, "line 2: 'n09' is not a class folder of {train}"),
        ('train/n02/n02_1.JPEG 2', 1, "label 2 is not 1, the number of 'n02'"),
    ],
)
def test_mistakes_are_one_sentence(options, code, message, train, capsys):
    """Of the options, or of a published list with this text."""
    if not options.startswith('--'):
        (train.parent / 'list.txt').write_text(options)
        options = f'--from-list {train.parent}/list.txt'
    assert run(train, *options.split()) == code
    error = capsys.readouterr().err
    assert message.format(train=train) in error and error.count('\n') == 1


def test_a_wrong_folder_is_one_sentence(tmp_path, train, capsys):
    (train / 'n00').mkdir()
    for folder, message in (
        (tmp_path / 'gone', "gone' does not exist"),
        (train / 'n01' / 'deep', 'has no class folders'),
        (train, "n00' has no image"),
    ):
        assert run(folder, '--fraction', 0.5) == 1
        assert message in capsys.readouterr().err
