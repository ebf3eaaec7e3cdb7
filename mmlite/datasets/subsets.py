"""Lists of images for balanced and long-tailed subsets of a directory data set.

A list has one line ``class/file label`` for every image. Labels count the class directories in
alphabetical order, as mmpretrain does where there is no list.
"""

import os
from pathlib import Path

import numpy as np

from mmlite.errors import DataError, UserError
from mmlite.utils import IMAGE_SUFFIXES

from .formats.record import is_hidden

PARETO_POWER = 6  # of ImageNet-LT (Liu et al., arXiv 1904.05160)


def find_classes(folder):
    """Names of the class directories in the order of their labels; a DataError without any."""
    folder = Path(folder)
    if not folder.is_dir():
        wrong = 'is a file' if folder.is_file() else 'does not exist'
        raise DataError(f"folder '{folder}' {wrong}: give the one that holds the classes")
    folders = [entry.name for entry in os.scandir(folder) if entry.is_dir()]
    classes = sorted(name for name in folders if not is_hidden(name))
    if not classes:
        raise DataError(f"'{folder}' has no class folders: give the folder that holds them")
    return classes


def find_images(folder):
    """Map each class to the sorted paths of its images in ``folder``; without any, a DataError."""
    images = {}
    for name in find_classes(folder):
        images[name] = sorted(
            path.relative_to(folder).as_posix()
            for path in Path(folder, name).rglob('*')
            if path.suffix.lower() in IMAGE_SUFFIXES and not is_hidden(path.relative_to(folder))
        )
        if not images[name]:
            raise DataError(
                f"class folder '{Path(folder, name)}' has no image ({', '.join(IMAGE_SUFFIXES)})"
            )
    return images


def even_counts(sizes, total, seed=0):
    """Spread ``total`` images over classes of ``sizes`` images as evenly as these allow.

    ``seed`` decides which classes have one more. No count shrinks when ``total`` grows.
    """
    sizes = np.asarray(sizes)
    larger = [(sizes > level).sum() for level in range(sizes.max() + 1)]
    low = int(np.searchsorted(np.cumsum(larger), total, side='right'))
    counts = np.minimum(sizes, low)
    order = np.random.default_rng(seed).permutation(len(sizes))
    growing = order[sizes[order] > low]
    counts[growing[: total - counts.sum()]] += 1
    return counts


def fraction_counts(sizes, fraction, seed=0):
    """Class-balanced counts of ``int(fraction * images)`` images, see :func:`even_counts`.

    Of ImageNet-1K, 1% is 12,811 images and 10% 128,116, as in SimCLR (arXiv 2002.05709).
    """
    if not 0 < fraction <= 1:
        raise UserError(f'the fraction is {fraction:g}; it should be above 0 and at most 1')
    total = int(fraction * sum(sizes) + 1e-6)  # 0.29 * 100 is 28.999...
    if total < len(sizes):
        least = np.ceil(1e6 * len(sizes) / sum(sizes)) / 1e6
        raise UserError(
            f'{fraction:g} of {sum(sizes)} images is {total}, less than one for each of '
            f'{len(sizes)} classes: give a fraction of {least:g} or more'
        )
    return even_counts(sizes, total, seed)


def tail_counts(classes, largest, smallest, shape='pareto'):
    """Counts of the C classes of a long-tailed set, in falling order.

    ``'pareto'``, as ImageNet-LT: quantiles i / (C + 1) of the Pareto distribution of power 6 above
    its least value, stretched to the two counts (1000 classes from 1280 to 5 images are 121,937;
    the published list, a random draw, has 115,846). ``'exponential'``, as CIFAR-LT (Cui et al.,
    arXiv 1901.05555): ``largest * (smallest / largest) ** (i / (C - 1))``, rounded down.
    """
    if not 1 <= smallest <= largest:
        raise UserError(f'a tail from {largest} to {smallest} images: it should fall to 1 or more')
    rank = np.arange(classes)
    if shape == 'exponential':
        fall = (smallest / largest) ** (rank / max(classes - 1, 1))
        return (largest * fall + 1e-6).astype(int)  # else 5000 * 0.01 is 49
    excess = ((rank + 1) / (classes + 1)) ** (-1 / PARETO_POWER) - 1
    excess = (excess - excess[-1]) / max(excess[0] - excess[-1], 1e-12)
    return np.round(smallest + (largest - smallest) * excess).astype(int)


def assign_counts(counts, sizes, names, seed=0):
    """Assign falling ``counts`` to classes, at random among those of enough images: int64 (C,)."""
    sizes = np.asarray(sizes)
    waiting = np.random.default_rng(seed).permutation(len(sizes))
    assigned = np.zeros(len(sizes), dtype=int)
    for rank, count in enumerate(counts):
        large = np.flatnonzero(sizes[waiting] >= count)
        if not len(large):
            largest = waiting[sizes[waiting].argmax()]
            raise DataError(
                f'{rank + 1} classes need {count} or more images, but of those left '
                f"'{names[largest]}' has the most, {sizes[largest]}: start the tail lower"
            )
        assigned[waiting[large[0]]] = count
        waiting = np.delete(waiting, large[0])
    return assigned


def sample_images(images, counts, seed=0):
    """Sample ``counts`` images of each class of ``images``, dicts of class -> list of paths.

    Every class has one random order for a seed, of which the first images are taken: with equal
    seeds, a set of smaller counts lies inside one of larger counts.
    """
    sampled = {}
    for (name, paths), count in zip(images.items(), counts, strict=True):
        # from the name, not the number, so that other classes do not matter
        order = np.random.default_rng([seed, *name.encode()]).permutation(len(paths))
        sampled[name] = sorted(paths[index] for index in order[:count])
    return sampled


def read_list(file, folder):
    """Images of a published list, e.g. of ImageNet-LT or SimCLR.

    A line is ``path`` or ``path label``. A path is below ``folder`` or starts with its name
    (``train/n01440764/x.JPEG 0``); a bare file name belongs to the class before its last ``_``
    (``n01440764_10026.JPEG``). Returns as :func:`find_images`, classes without images included.
    """
    classes = find_classes(folder)
    listed = {name: [] for name in classes}
    try:
        lines = Path(file).read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, 'strerror', None) or 'it is not text'
        raise DataError(f"list '{file}' cannot be read: {reason}") from error
    for number, line in enumerate(map(str.strip, lines), start=1):
        if not line:
            continue
        path, _, label = line.rpartition(' ')
        if not (path and label.isdigit()):
            path, label = line, None
        path = path.removeprefix('./').removeprefix(f'{Path(folder).name}/')
        if '/' not in path:
            path = f'{path.rpartition("_")[0]}/{path}'
        name, place = path.split('/')[0], f'{file}, line {number}'
        if not name:
            raise DataError(f"{place}: '{line}' is not of the form CLASS/FILE")
        if name not in listed:
            raise DataError(f"{place}: '{name}' is not a class folder of {folder}")
        if label is not None and int(label) != classes.index(name):
            raise DataError(
                f"{place}: label {label} is not {classes.index(name)}, the number of '{name}' "
                f'among the folders of {folder}'
            )
        if not Path(folder, path).is_file():
            raise DataError(f"{place}: image '{Path(folder, path)}' does not exist")
        listed[name].append(path)
    return listed


def format_list(images, with_labels=True):
    """Text of a list; labels are the positions of the classes in ``images``."""
    return ''.join(
        f'{path} {label}\n' if with_labels else f'{path}\n'
        for label, paths in enumerate(images.values())
        for path in paths
    )
