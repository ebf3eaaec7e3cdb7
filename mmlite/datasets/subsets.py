"""Which images of a folder data set belong to a subset, and the lists that mmpretrain reads.

A list has one line ``class/file label`` for every image. Labels count the class folders in
alphabetical order, as mmpretrain does where there is no list.
"""

import os
from pathlib import Path

import numpy as np

from mmlite.errors import DataError, UserError

EXTENSIONS = ('.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif')
PARETO_POWER = 6
"""Of ImageNet-LT (Liu et al., Large-Scale Long-Tailed Recognition, arXiv 1904.05160)."""


def find_classes(folder):
    """Names of the class folders in the order of their labels.

    Raises:
        DataError: If the folder is missing or has no folders.
    """
    folder = Path(folder)
    if not folder.is_dir():
        wrong = 'is a file' if folder.is_file() else 'does not exist'
        raise DataError(f"folder '{folder}' {wrong}: give the one that holds the classes")
    classes = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    if not classes:
        raise DataError(f"'{folder}' has no class folders: give the folder that holds them")
    return classes


def find_images(folder):
    """Images by class.

    Args:
        folder (str | Path): Holds a folder for each class; images may lie deeper in it.

    Returns:
        dict[str, list[str]]: Class -> paths below ``folder``, sorted, with ``/``.

    Raises:
        DataError: If the folder is missing, or a class has no image.
    """
    images = {}
    for name in find_classes(folder):
        found = []
        for path, _, files in os.walk(os.path.join(folder, name)):
            below = os.path.relpath(path, folder).replace(os.sep, '/')
            found += [f'{below}/{file}' for file in files if file.lower().endswith(EXTENSIONS)]
        if not found:
            raise DataError(
                f"class folder '{os.path.join(folder, name)}' has no image "
                f'({", ".join(EXTENSIONS)})'
            )
        images[name] = sorted(found)
    return images


def even_counts(sizes, total, seed=0):
    """Spread ``total`` images over classes as evenly as their sizes allow.

    Counts differ by one at most, save for classes that are used up. The classes with one more are
    drawn by ``seed``. No count shrinks when ``total`` grows.

    Args:
        sizes (Sequence[int]): Images of each class.
        total (int): At most the sum of ``sizes``.
        seed (int): Defaults to 0.

    Returns:
        ndarray: int64, of the length of ``sizes``, summing to ``total``.
    """
    sizes = np.asarray(sizes)
    low, high = 0, int(sizes.max())
    while low < high:  # the largest level that stays within the total
        middle = (low + high + 1) // 2
        low, high = (
            (middle, high) if np.minimum(sizes, middle).sum() <= total else (low, middle - 1)
        )
    counts = np.minimum(sizes, low)
    order = np.random.default_rng(seed).permutation(len(sizes))
    growing = order[sizes[order] > low]
    counts[growing[: total - counts.sum()]] += 1
    return counts


def fraction_counts(sizes, fraction, seed=0):
    """Class-balanced counts of ``int(fraction * images)`` images, see :func:`even_counts`.

    A hundredth of ImageNet-1K is 12,811 images, 12 or 13 of a class, a tenth 128,116 (the
    numbers of SimCLR, arXiv 2002.05709).

    Raises:
        UserError: If the fraction is outside (0, 1] or leaves a class without an image.
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


def equal_counts(sizes, number, names):
    """``number`` images of every class.

    Raises:
        UserError: If the number is not positive.
        DataError: If a class has fewer images.
    """
    if number < 1:
        raise UserError(f'{number} images of every class: it should be 1 or more')
    smallest = int(np.argmin(sizes))
    if sizes[smallest] < number:
        raise DataError(
            f"class '{names[smallest]}' has {sizes[smallest]} images, fewer than the {number} "
            f'asked of every class'
        )
    return np.full(len(sizes), number)


def tail_counts(classes, largest, smallest, shape='pareto'):
    """Images of each class of a long-tailed set, in falling order.

    Args:
        classes (int): Number of classes C.
        largest, smallest (int): Images of the first and the last class.
        shape (str): ``'pareto'``, as ImageNet-LT: quantiles i / (C + 1) of the Pareto distribution
            of power 6 above its least value, stretched to the two counts (1000 classes from 1280 to
            5 images are 121,937; the published list, a random draw, has 115,846). Or
            ``'exponential'``, as CIFAR-LT (Cui et al., arXiv 1901.05555):
            ``largest * (smallest / largest) ** (i / (C - 1))``, rounded down.

    Returns:
        ndarray: int64 (C,).

    Raises:
        UserError: If the counts are not 1 <= smallest <= largest.
    """
    if not 1 <= smallest <= largest:
        raise UserError(
            f'a tail from {largest} to {smallest} images a class: both should be positive, and the '
            f'first not less than the second'
        )
    rank = np.arange(classes)
    if shape == 'exponential':
        fall = (smallest / largest) ** (rank / max(classes - 1, 1))
        return (largest * fall + 1e-6).astype(int)  # else 5000 * 0.01 is 49
    excess = ((rank + 1) / (classes + 1)) ** (-1 / PARETO_POWER) - 1
    excess = (excess - excess[-1]) / max(excess[0] - excess[-1], 1e-12)
    return np.round(smallest + (largest - smallest) * excess).astype(int)


def assign_counts(counts, sizes, names, seed=0):
    """Give counts in falling order to classes, at random among those that have enough images.

    Args:
        counts (Sequence[int]): In falling order, as many as classes.
        sizes (Sequence[int]): Images of each class.
        names (Sequence[str]): Names of the classes, for the message.
        seed (int): Defaults to 0.

    Returns:
        ndarray: int64, the count of each class.

    Raises:
        DataError: If too few classes are large enough.
    """
    sizes = np.asarray(sizes)
    waiting = list(np.random.default_rng(seed).permutation(len(sizes)))
    assigned = np.zeros(len(sizes), dtype=int)
    for rank, count in enumerate(counts):
        place = next((p for p, index in enumerate(waiting) if sizes[index] >= count), None)
        if place is None:
            largest = max(waiting, key=lambda index: sizes[index])
            raise DataError(
                f'{rank + 1} classes need {count} or more images, but of those left '
                f"'{names[largest]}' has the most, {sizes[largest]}: start the tail lower"
            )
        assigned[waiting.pop(place)] = count
    return assigned


def draw(images, counts, seed=0):
    """Draw ``counts`` images of each class.

    Every class has one random order for a seed, of which the first images are taken: with equal
    seeds, a set of smaller counts lies inside one of larger counts.

    Args:
        images (dict[str, list[str]]): Paths by class.
        counts (Sequence[int]): Images to draw of each class.
        seed (int): Defaults to 0.

    Returns:
        dict[str, list[str]]: Drawn paths by class, sorted.
    """
    drawn = {}
    for (name, paths), count in zip(images.items(), counts, strict=True):
        # from the name, not the number, so that other classes do not matter
        order = np.random.default_rng([seed, *name.encode()]).permutation(len(paths))
        drawn[name] = sorted(paths[index] for index in order[:count])
    return drawn


def read_list(file, folder):
    """Images of a published list, e.g. of ImageNet-LT or SimCLR.

    Args:
        file (str | Path): Lines ``path`` or ``path label``. A path is below ``folder`` or starts
            with its name (``train/n01440764/x.JPEG 0``); a bare file name belongs to the class in
            front of its last ``_`` (``n01440764_10026.JPEG``).
        folder (str | Path): Holds a folder for each class.

    Returns:
        dict[str, list[str]]: Paths below ``folder`` by class, classes without images included.

    Raises:
        DataError: If the list or one of its files is missing, a class is none of the folder, or a
            label is not the number of its class folder.
    """
    classes = find_classes(folder)
    labels = {name: index for index, name in enumerate(classes)}
    drawn = {name: [] for name in classes}
    try:
        lines = Path(file).read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, 'strerror', None) or 'it is no text'
        raise DataError(f"list '{file}' cannot be read: {reason}") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f'{file}, line {number}'
        path, label = _split_line(line.strip())
        path = _below(path, Path(folder).name)
        name = path.split('/')[0]
        if not name:
            raise DataError(f"{place}: '{line.strip()}' is no path of the form CLASS/FILE")
        if name not in labels:
            raise DataError(f"{place}: '{name}' is no class folder of {folder}")
        if label not in (None, labels[name]):
            raise DataError(
                f"{place}: label {label} is not {labels[name]}, the number of '{name}' among the "
                f'folders of {folder}'
            )
        if not os.path.isfile(os.path.join(folder, path)):
            raise DataError(f"{place}: image '{os.path.join(folder, path)}' does not exist")
        drawn[name].append(path)
    return drawn


def _split_line(line):
    """Path and label of a line; the label is None where there is none."""
    path, _, last = line.rpartition(' ')
    return (path, int(last)) if path and last.isdigit() else (line, None)


def _below(path, folder):
    """A path of a list as one that starts with its class."""
    path = path.removeprefix('./').removeprefix(f'{folder}/')
    return path if '/' in path else f'{path.rpartition("_")[0]}/{path}'


def format_list(drawn, with_labels=True):
    """Text of an annotation list; labels are the positions of the classes in ``drawn``."""
    return ''.join(
        f'{path} {label}\n' if with_labels else f'{path}\n'
        for label, paths in enumerate(drawn.values())
        for path in paths
    )
