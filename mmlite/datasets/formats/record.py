"""One record of a data set, whatever format it has on disk."""

import json
import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from mmlite.errors import DataError
from mmlite.utils import IMAGE_SUFFIXES

from .coco import mask_fault
from .images import read_header

TASKS = ('det', 'seg', 'cls', 'track', 'pretrain')


@dataclass
class Split:
    """Files of a split.

    Attributes:
        images (list[Path]): Images; of tracking, directories of sequences.
        labels: By task: a decoded COCO file, ``file_name`` being absolute (det), paths of label
            maps (seg), class names (cls), or None.
    """

    images: list
    labels: object = None


@dataclass
class Record:
    """A data set: task (one of :data:`TASKS`), name of the format, root, splits and classes.

    ``findings`` are sentences about what was repaired or left out, ``problems`` pairs of a file and
    what is wrong with it; ``reduce_zero_label`` of label maps is known after a survey.
    """

    task: str
    format: str
    root: Path
    splits: dict[str, Split]
    classes: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    reduce_zero_label: bool | None = None


def read_json(file):
    """Content of a JSON file, in UTF-8 or, with a byte order mark, in UTF-16 or UTF-32.

    Raises:
        DataError: Names the file.
    """
    try:
        return json.loads(Path(file).read_bytes())
    except (ValueError, RecursionError) as error:
        raise DataError(f'annotation file {file} is not valid JSON: {error}') from error


def is_hidden(path):
    """Whether a relative path belongs to a program, such as Jupyter or the Finder of macOS."""
    return any(part.startswith('.') or part == '__MACOSX' for part in PurePath(path).parts)


def read_lines(file):
    """Lines of a text file in UTF-8, stripped."""
    try:
        text = Path(file).read_text(encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise DataError(f'{file} is not text in UTF-8: {error}') from error
    return [line.strip() for line in text.splitlines()]


def image_size(image, file, stated=()):
    """Shown width and height of an image, or what the annotation ``file`` has ``stated``.

    Raises:
        DataError: The image cannot be read, or has another size.
    """
    try:
        header = read_header(image)
        size = tuple(int(float(value or 0)) for value in stated)
    except (DataError, TypeError, ValueError) as error:
        raise DataError(f'{file}: its image {image} or its size cannot be used: {error}') from error
    if not size or 0 in size:
        return header.shown
    if size not in (header[:2], header.shown):
        raise DataError(
            f'{file}: its size is {size[0]} x {size[1]}, but {image} has '
            f'{header.width} x {header.height} pixels'
        )
    return size


def list_images(folder, recursive=True):
    """Images of a directory in order, and the number of other files by suffix.

    Hidden files and directories are skipped.

    Returns:
        tuple[list[Path], Counter]:
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"'{folder}' is not a directory")
    images, others = [], Counter()
    for path in sorted(folder.rglob('*') if recursive else folder.iterdir()):
        if is_hidden(path.relative_to(folder)) or not path.is_file():
            continue
        if path.suffix.lower() in IMAGE_SUFFIXES:
            images.append(path)
        else:
            others[path.suffix] += 1
    return images, others


class CocoBuilder:
    """Collects images and objects of a split in the form of a COCO file.

    Args:
        classes (Sequence[str]): Category ids count from 1 in their order.
    """

    def __init__(self, classes):
        categories = [dict(id=number, name=name) for number, name in enumerate(classes, 1)]
        self.data = dict(images=[], annotations=[], categories=categories)
        self._ids = {name: number for number, name in enumerate(classes, 1)}

    def add_image(self, path, width, height):
        """Add an image; following objects are its own."""
        number = len(self.data['images']) + 1
        image = dict(id=number, file_name=str(path), width=width, height=height)
        self.data['images'].append(image)

    def add_object(self, where, name, box, polygons=None, ignored=False):
        """Add an object by class name, ``[x, y, width, height]`` in pixels, and polygons.

        Raises:
            DataError: Begins with ``where`` the object is written; the box is not finite or outside
                the image, or a polygon is not one.
        """
        x, y, width, height = box
        image = self.data['images'][-1]
        sizes = 0 <= width < math.inf and 0 <= height < math.inf
        inside = -width <= x <= image['width'] and -height <= y <= image['height']
        if not sizes or not inside:
            raise DataError(
                f'{where} has the box [x, y, width, height] = {[float(v) for v in box]}, which is '
                f'not within its image of {image["width"]} x {image["height"]} pixels'
            )
        fault = mask_fault(polygons, (image['width'], image['height'])) if polygons else None
        if fault:
            raise DataError(f'{where} has {fault}')
        annotation = dict(
            id=len(self.data['annotations']) + 1,
            image_id=len(self.data['images']),
            category_id=self._ids[name],
            bbox=[round(float(value), 3) for value in box],
            area=round(float(box[2] * box[3]), 3),
            iscrowd=int(ignored),
        )
        if polygons:
            annotation['segmentation'] = polygons
            annotation['area'] = round(float(sum(map(polygon_area, polygons))), 3)
        self.data['annotations'].append(annotation)

    def split(self):
        """Split: The images and the COCO data."""
        return Split([Path(image['file_name']) for image in self.data['images']], self.data)


def polygon_box(points):
    """[x, y, width, height] of points ``[x, y, x, y, ...]``."""
    xs, ys = points[::2], points[1::2]
    return [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]


def polygon_area(points):
    """Area of a polygon ``[x, y, x, y, ...]`` (shoelace formula)."""
    xs, ys = points[::2], points[1::2]
    pairs = zip(xs, ys, xs[1:] + xs[:1], ys[1:] + ys[:1], strict=True)
    return abs(sum(x * v - u * y for x, y, u, v in pairs)) / 2
