"""Checks of the images and label maps of a segmentation data set.

Label maps are read as mmseg's ``LoadAnnotations`` does, by Pillow and unchanged, so that palette
PNGs give their indices; images are read as in training.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from mmlite.errors import DataError
from mmlite.utils import IMAGE_SUFFIXES

from .transforms import LoadImageFromFile

UNLABELLED_SHARE = 0.2
"""Least share of pixels from which label 0 is taken for a class; where all other classes occur, the
share of an average class is enough."""

KINDS = {
    'no_label': 'images without a label map',
    'no_image': 'label maps without an image',
    'ending': 'files of another ending, which the data set would leave out',
    'unreadable': 'files that cannot be read',
    'channels': 'label maps with more than one channel',
    'size': 'label maps of another size than their image',
    'value': 'label values outside the range',
}
"""Kind of problem -> its heading in the report, in the order of the report."""

_LOAD = LoadImageFromFile()
_SHOWN = 5  # values named for one file


class Problem(NamedTuple):
    """A defect of one file; ``kind`` is a key of ``KINDS``."""

    kind: str
    file: str
    text: str = ''


@dataclass
class SplitReport:
    """Content of a split: paths of images with their label maps, numbers of files, and defects.

    :func:`check_split` sets the number of pixels of the ignored value, and int64 (classes + 1,) the
    pixels of each other value and the label maps that show it.
    """

    pairs: list[tuple[str, str]]
    images: int
    labels: int
    problems: list[Problem]
    ignored: int = 0
    pixels: np.ndarray = None
    shown: np.ndarray = None


class Verdict(NamedTuple):
    """Right value of ``reduce_zero_label`` (None: both fit the labels) and the reason.

    ``doubt`` is a sentence where the verdict rests on the number of classes alone.
    """

    reduce_zero_label: bool | None
    why: str
    doubt: str = ''


def find_splits(root):
    """Directories of images and label maps of each split of an ADE20K-style data set, a dict."""
    root = Path(root)
    if not root.is_dir():
        wrong = 'is a file' if root.is_file() else 'does not exist'
        raise DataError(f"folder '{root}' {wrong}: give the one that holds images/")
    splits = {}
    for name in ('training', 'validation'):
        folders = root / 'images' / name, root / 'annotations' / name
        missing = [folder for folder in folders if not folder.is_dir()]
        if len(missing) == 1:
            raise DataError(f"folder '{missing[0]}' is missing, though its counterpart is there")
        if not missing:
            splits[name] = folders
    if not splits:
        raise DataError(
            f"'{root}' has no images/training or images/validation: give the folder that holds "
            f'images/ and annotations/, e.g. ADEChallengeData2016, or --images and --annotations'
        )
    return splits


def find_pairs(images, annotations, img_suffix='.jpg', seg_map_suffix='.png'):
    """Match images with label maps as mmseg does: equal paths up to the suffix.

    The directories ``images`` and ``annotations`` are searched at any depth. Returns a SplitReport
    with pairs, counts and files without a counterpart, still without pixels.
    """
    photos, other_photos = _list_files(images, img_suffix)
    maps, other_maps = _list_files(annotations, seg_map_suffix)
    both = sorted(photos.keys() & maps.keys())
    if not both:
        raise DataError(
            f"no image of '{images}' has a label map in '{annotations}': a pair has equal names "
            f'up to {img_suffix} and {seg_map_suffix}'
        )
    problems = [Problem('no_label', photos[stem]) for stem in sorted(photos.keys() - maps.keys())]
    problems += [Problem('no_image', maps[stem]) for stem in sorted(maps.keys() - photos.keys())]
    pairs = [(photos[stem], maps[stem]) for stem in both]
    return SplitReport(pairs, len(photos), len(maps), problems + other_photos + other_maps)


def check_split(report, classes, ignore=255, workers=1, progress=None):
    """Read every pair of a report of :func:`find_pairs` and complete it.

    Args:
        report (SplitReport): Of a split.
        classes (int): Values 0 to ``classes`` are in the range.
        ignore (int): ``ignore_index`` of mmseg, allowed too. Defaults to 255.
        workers (int): Threads that read files. Defaults to 1.
        progress (callable, optional): Called after every pair, without arguments.
    """
    report.pixels, report.shown = np.zeros((2, classes + 1), np.int64)
    pool = ThreadPoolExecutor(workers)  # decoders let other threads run
    try:
        for problems, values in pool.map(
            lambda pair: check_pair(*pair, classes, ignore), report.pairs
        ):
            report.problems += problems
            for value, count in values.items():
                if 0 <= value <= classes:
                    report.pixels[value] += count
                    report.shown[value] += 1
                elif value == ignore:
                    report.ignored += count
            if progress:
                progress()
    finally:
        pool.shutdown(cancel_futures=True)


def check_pair(image, label, classes, ignore=255):
    """Read one image and its label map, by path; see :func:`check_split`.

    Returns the problems, a list, and the pixels of each value, a dict.
    """
    problems, size = [], None
    try:
        size = _LOAD({'img_path': image})['ori_shape']
    except DataError as error:
        reason = str(error).partition(' cannot be read: ')[2]
        problems.append(Problem('unreadable', image, reason))
    try:
        with Image.open(label) as file:
            label_map, mode = np.asarray(file), file.mode
    except Exception as error:  # decoders raise types of their own
        reason = f'{type(error).__name__}: {str(error).strip()}'
        return [*problems, Problem('unreadable', label, reason)], {}
    height, width, *channels = label_map.shape
    if size and size != (height, width):
        text = f'image {size[1]} x {size[0]}, label map {width} x {height}'
        problems.append(Problem('size', label, text))
    if channels:
        text = f'{channels[0]} channels ({mode}); it should be grey or have a palette'
        return [*problems, Problem('channels', label, text)], {}
    if label_map.dtype.kind == 'f':
        text = 'floating-point values; they should be integers'
        return [*problems, Problem('value', label, text)], {}
    if label_map.dtype == np.uint8:  # many times as fast
        values = {v: n for v, n in enumerate(np.bincount(label_map.ravel()).tolist()) if n}
    else:
        found, counts = np.unique(label_map, return_counts=True)
        values = dict(zip(found.astype(int).tolist(), counts.tolist(), strict=True))
    outside = [
        f'value {value} in {_count(count, "pixel")}'
        for value, count in values.items()
        if not 0 <= value <= classes and value != ignore
    ]
    if outside:
        more = f' and {len(outside) - _SHOWN} more values' if len(outside) > _SHOWN else ''
        problems.append(Problem('value', label, ', '.join(outside[:_SHOWN]) + more))
    return problems, values


def judge_zero(pixels, ignored=0):
    """Judge from the labels whether 0 is 'unlabelled' or the first class.

    ADE20K's label maps have 0 for unlabelled pixels and 1 to C for the C classes, which requires
    ``reduce_zero_label=True``. Where the classes are 0 to C - 1, that would drop the first class
    and shift all others. ``pixels`` (C + 1,) are those of the values 0 to C, ``ignored`` the number
    of those of the ignored value.
    """
    classes = len(pixels) - 1
    if not pixels.sum():
        return Verdict(None, 'no label is in the range')
    share = pixels[0] / pixels.sum()
    largest = int(pixels.nonzero()[0][-1])
    zero = f'0 takes {100 * share:.1f}% of the pixels'
    if largest == classes:
        why = (
            f'the largest value is {classes}, so that the {classes} classes are 1 to {classes} and '
            '0 is unlabelled'
        )
        doubt = f'{zero}: if it is a class, there are {classes + 1} classes and it must be False'
        return Verdict(True, why, doubt if share >= UNLABELLED_SHARE else '')
    if not pixels[0]:
        return Verdict(True, 'no pixel is 0, so that the classes count from 1')
    found = f'the largest value is {largest} and {zero}'
    common = share >= UNLABELLED_SHARE or (share >= 1 / classes and pixels[:-1].all())
    if largest == classes - 1 and (common or ignored):
        other = '' if common else ' and unlabelled pixels have the ignored value'
        return Verdict(
            False,
            f'{found}{other}, so that the {classes} classes are 0 to {largest}, and True would '
            'take the first one away',
        )
    return Verdict(None, f'{found}: 0 may be a class or unlabelled ({classes} classes are assumed)')


class ConfigLabels(NamedTuple):
    """Labels of a data set according to a config.

    ``key`` is its place in the config, ``labelled`` the number of classes in its label maps,
    ``used`` that of those given to the model, ``heads`` pairs of a key and its ``num_classes``.
    """

    key: str
    reduce_zero_label: bool
    labelled: int
    used: int
    heads: tuple = ()


def compare_config(verdict, labelled, config, labels):
    """List sentences about ``labels`` of a config that do not suit the data.

    ``labelled`` is the number of classes of the data, None where it is unknown.
    """
    wrong, place, right = [], f'{config}: {labels.key} has', verdict.reduce_zero_label
    if right is not None and right != labels.reduce_zero_label:
        wrong.append(
            f'{place} reduce_zero_label={labels.reduce_zero_label}, which must be {right} for '
            f'these labels: {verdict.why}'
        )
    classes = _count(labels.labelled, 'class', 'classes')
    if labelled is not None and labels.labelled != labelled:
        wrong.append(f'{place} {classes}, but the data have {labelled}')
    wrong += [
        f'{config}: {key} is {number}, but {labels.key} has {labels.used} classes'
        for key, number in labels.heads
        if number != labels.used
    ]
    return wrong


def _list_files(folder, suffix):
    """Stem -> path of the files with the suffix, and a Problem for each other image."""
    if not Path(folder).is_dir():
        raise DataError(f"folder '{folder}' does not exist")
    stems, other = {}, []
    for path, _, files in os.walk(folder):
        for name in files:
            file = os.path.join(path, name)
            if name.endswith(suffix):
                stems[os.path.relpath(file, folder)[: -len(suffix)]] = file
            elif os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES:
                other.append(Problem('ending', file, f'not {suffix}'))
    if not stems:
        raise DataError(f"'{folder}' has no files that end in {suffix}")
    # with another suffix, the folder may hold several kinds of label maps
    return stems, sorted(other) if suffix.startswith('.') else []


def _count(number, one, many=None):
    return f'{number} {one if number == 1 else many or one + "s"}'
