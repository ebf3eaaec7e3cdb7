"""Reading of every file of a data set: counts by class, sizes, and what is wrong."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mmlite.errors import DataError
from mmlite.utils.names import listed

from ..sot.frame_folder import FrameFolderDataset
from ..transforms import LoadImageFromFile
from .label_maps import count_values
from .loading import LoadSegAnnotations

UNLABELLED_SHARE = 0.2
"""Least share of pixels from which label 0 is taken for a class; where all other classes occur, the
share of an average class is enough."""


@dataclass
class Survey:
    """Content of a split.

    Attributes:
        images (int): Number of images.
        sizes (ndarray): (N, 2), shown width and height of the readable images.
        counts (Counter): By class name (det: objects, cls: images) or label (seg: pixels); of
            tracking, frames and boxes.
        shown (Counter): By the same key, number of images that have it.
        problems (list[tuple[str, str]]): File, and what is wrong with it.
    """

    images: int
    sizes: np.ndarray = None
    counts: Counter = field(default_factory=Counter)
    shown: Counter = field(default_factory=Counter)
    problems: list = field(default_factory=list)


def count_rows(surveys):
    """Keys of the counts of all surveys, in order, each with the counts by split."""
    keys = {key for survey in surveys for key in survey.counts}
    order = sorted(keys, key=lambda key: (isinstance(key, str), key))
    return [(key, [survey.counts[key] for survey in surveys]) for key in order]


def survey_split(split, task, workers=8, progress=None):
    """Read every image and label map of a split.

    Args:
        split (Split): Of a record.
        task (str): Task of the record.
        workers (int): Threads that read files. Defaults to 8.
        progress (callable, optional): Called after every image, without arguments.

    Returns:
        Survey:
    """
    survey, sizes = Survey(len(split.images)), []
    stated = [None] * len(split.images)
    if task == 'det':
        stated = [(image['width'], image['height']) for image in split.labels['images']]
        _count_objects(split.labels, survey)
    elif task == 'cls':
        survey.counts.update(split.labels)
        survey.shown.update(split.labels)
    maps = split.labels if task == 'seg' else [None] * len(split.images)
    with ThreadPoolExecutor(workers) as pool:  # decoders let other threads run
        for size, problems, values in pool.map(read_pair, split.images, maps, stated):
            sizes += [size] if size else []
            survey.problems += problems
            survey.counts.update(values)
            survey.shown.update(values.keys())
            if progress:
                progress()
    survey.sizes = np.array(sizes, int).reshape(-1, 2)
    return survey


def _count_objects(data, survey):
    names = {category['id']: category['name'] for category in data['categories']}
    objects = [item for item in data.get('annotations', ()) if not item.get('iscrowd')]
    survey.counts.update(names[item['category_id']] for item in objects)
    survey.shown.update(
        names[category] for category, _ in {(i['category_id'], i['image_id']) for i in objects}
    )


def read_pair(image, label=None, stated=None):
    """Read an image and its label map as in training.

    Args:
        image, label (Path): The latter may be None.
        stated (tuple[int, int], optional): Width and height according to the annotations.

    Returns:
        tuple: Size of the loaded image or (), problems (file, reason), and pixels by label.
    """
    problems, values = [], {}
    info = dict(img_path=str(image), seg_fields=[], reduce_zero_label=False)
    if Path(image).is_dir():
        return _read_sequence(image)
    if stated:
        info['width'], info['height'] = stated
    if label is not None:
        info['seg_map_path'] = str(label)
    try:
        LoadImageFromFile().transform(info)
    except DataError as error:
        problems.append((str(image), _reason(error.__cause__)))
    if label is not None:
        try:
            values = count_values(LoadSegAnnotations().transform(info)['gt_seg_map'])
        except DataError as error:
            problems.append((str(label), _reason(error.__cause__)))
    return info.get('ori_shape', ())[::-1], problems, values


def _read_sequence(folder):
    try:
        sequence = open_sequence(folder)
        shapes = [sequence.frames.read(number).shape for number in range(len(sequence))]
    except DataError as error:
        return (), [(str(folder), str(error))], {}
    values = dict(frames=len(sequence), boxes=int(sequence.visible.sum()))
    return shapes[0][1::-1], [], values


def open_sequence(folder):
    """:class:`~mmlite.datasets.sot.sequence.Sequence` of a directory; no index is kept."""
    return FrameFolderDataset(folder, rebuild_index=None)[0]


def _reason(error):
    return getattr(error, 'strerror', None) or str(error)


def judge_values(pixels, classes=None, ignored=255):
    """Number of classes of label maps, and whether 0 is 'unlabelled' or the first class.

    ADE20K's label maps have 0 for unlabelled pixels and 1 to C for the C classes, which requires
    ``reduce_zero_label=True``. Where the classes are 0 to C - 1, that would drop the first class
    and shift all others.

    Args:
        pixels (Counter): By label.
        classes (int, optional): Number of classes C, where it is known.
        ignored (int): Label of ignored pixels. Defaults to 255.

    Returns:
        tuple[int, bool | None, str]: Classes, ``reduce_zero_label`` (None: both fit), the reason.
    """
    total = sum(count for label, count in pixels.items() if label != ignored)
    labels = sorted(label for label in pixels if label != ignored)
    if not total:
        return classes or 0, None, 'no pixel has a label'
    largest = labels[-1]
    share = pixels[0] / total
    zero = f'0 takes {share:.1%} of the labelled pixels'
    if not pixels[0]:
        return classes or largest, True, 'no pixel is 0, so that the classes count from 1'
    if classes is None:
        return largest + 1, False, f'the largest label is {largest} and {zero}'
    if largest == classes:
        return classes, True, f'the largest label is {largest}, so that the classes count from 1'
    common = share >= UNLABELLED_SHARE or (share >= 1 / classes and len(labels) == classes)
    why = f'the largest label is {largest} and {zero}'
    if largest == classes - 1 and (common or pixels[ignored]):
        return classes, False, f'{why}, so that the classes count from 0'
    return classes, None, f'{why}: 0 may be unlabelled or a class'


def label_findings(pixels, names, first=0, ignored=255):
    """Sentences about labels outside the range, absent classes and ignored pixels.

    Args:
        pixels (Counter): By label.
        names (Sequence): Classes.
        first (int): Label of the first class. Defaults to 0.
        ignored (int): Label of ignored pixels. Defaults to 255.
    """
    right = {*range(len(names) + first), ignored}
    outside = [f'{label} ({pixels[label]} pixels)' for label in sorted(set(pixels) - right)]
    absent = [repr(name) for label, name in enumerate(names, first) if not pixels[label]]
    share = pixels[ignored] / max(sum(pixels.values()), 1)
    findings = {
        f'labels outside the range of {len(names)} classes: {listed(outside, 5)}': outside,
        f'classes without a pixel: {listed(absent, 5)}': absent,
        f'the ignored label {ignored} takes {share:.1%} of the pixels': share > 0.2,
    }
    return [finding for finding, holds in findings.items() if holds]
