"""Draws the predictions of a segmentation model beside the image and the ground truth."""

import os
from pathlib import Path

import cv2
import numpy as np
from mmengine.hooks import Hook

from mmlite.datasets.transforms import LoadImageFromFile
from mmlite.errors import UserError
from mmlite.registry import HOOKS

GAP = 6  # px between and around pictures
LINE = 24  # px of a line of text
LONGEST, SHORTEST = 640, 320  # px of a picture's longest side, at most and at least
PAPER, INK, IGNORED_COLOUR = (250, 250, 250), (40, 40, 40), (0, 0, 0)


@HOOKS.register_module()
class SegPredictionHook(Hook):
    """Write a picture of every test prediction: image, ground truth, prediction and a legend.

    mmseg's ``SegVisualizationHook`` asks for the training iteration, for which the training data
    must be there; this one needs the test data alone.

    Args:
        out_dir (str): Folder of the pictures, which are named as the images, subfolders included.
        backend_args (dict, optional): File backend of the images, see :func:`mmengine.fileio.get`.

    Raises:
        UserError: Before testing, if the folder cannot be made; or if a picture cannot be written.
    """

    def __init__(self, out_dir, backend_args=None):
        self.out_dir = Path(out_dir)
        self._load = LoadImageFromFile(backend_args=backend_args)

    def before_test(self, runner):
        _make(self.out_dir)

    def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Draw every :class:`mmseg.structures.SegDataSample` of ``outputs``."""
        dataset = runner.test_dataloader.dataset
        meta = dataset.metainfo
        ignored = getattr(dataset, 'ignore_index', 255)
        for sample in outputs:
            image = self._load({'img_path': sample.img_path})['img']
            truth = sample.get('gt_sem_seg')
            maps = {'ground truth': truth} if truth is not None else {}
            maps['prediction'] = sample.pred_sem_seg
            maps = {title: item.data[0].cpu().numpy() for title, item in maps.items()}
            colours = [tuple(int(part) for part in colour[::-1]) for colour in meta['palette']]
            picture = draw_label_maps(image, maps, meta['classes'], colours, ignored)
            self._write(_below(sample.img_path, dataset), picture)

    def _write(self, name, picture):
        path = (self.out_dir / name).with_suffix('.jpg')
        _make(path.parent)
        data = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, 92])[1]
        try:
            path.write_bytes(data.tobytes())
        except OSError as error:
            raise UserError(f'picture {path} cannot be written: {error.strerror}') from error


def draw_label_maps(image, maps, names, colours, ignored=255):
    """An image and its label maps side by side over a legend of the classes that they show.

    Args:
        image, maps, names, colours, ignored: As in :func:`colour_label_maps`.

    Returns:
        ndarray: BGR uint8.
    """
    tiles, entries = colour_label_maps(image, maps, names, colours, ignored)
    row = np.concatenate([_tile(*item) for item in tiles.items()], axis=1)
    return np.concatenate([row, *_legend(entries, row.shape[1])])


def colour_label_maps(image, maps, names, colours, ignored=255):
    """An image and its label maps as pictures of one size, and what their colours mean.

    Args:
        image (ndarray): BGR uint8 (H, W, 3).
        maps (dict[str, ndarray]): Title -> labels (H, W). Another size is stretched to the image's.
        names (Sequence[str]): Class names.
        colours (Sequence[tuple[int, int, int]]): BGR colour of each class.
        ignored (int): Label of pixels without a class, drawn black. Defaults to 255.

    Returns:
        tuple[dict[str, ndarray], list[tuple[str, list[int]]]]: ``'image'`` and the titles ->
        BGR uint8 (h, w, 3) of the image's own size, or scaled to have a longest side of 320 to 640
        pixels; and names with BGR colours of the classes that are shown.
    """
    table = np.array([*colours, IGNORED_COLOUR], np.uint8)
    longest = max(image.shape[:2])
    scale = min(max(longest, SHORTEST), LONGEST) / longest
    size = tuple(max(1, round(scale * length)) for length in image.shape[1::-1])
    smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    tiles = {'image': cv2.resize(image, size, interpolation=smooth)}
    shown = set()
    for title, labels in maps.items():
        # one entry behind the classes stands for ignored pixels
        labels = np.where(labels == ignored, len(names), labels).astype(np.int32)
        shown.update(np.unique(labels).tolist())
        tiles[title] = table[cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)]
    entries = [([*names, 'ignored'][label], table[label].tolist()) for label in sorted(shown)]
    return tiles, entries


def _tile(title, picture):
    """A picture under its title, with a gap around it."""
    height, width = picture.shape[:2]
    tile = np.full((LINE + height + GAP, width + GAP, 3), PAPER, np.uint8)
    tile[LINE : LINE + height, GAP // 2 : GAP // 2 + width] = picture
    _text(tile, title, GAP)
    return tile


def _legend(entries, width):
    """Lines of colours and names, as many entries in each as its width holds."""
    line, x = None, width
    for name, colour in entries:
        needed = LINE + cv2.getTextSize(name, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)[0][0] + 2 * GAP
        if x + needed > width:
            if line is not None:
                yield line
            line, x = np.full((LINE, width, 3), PAPER, np.uint8), GAP // 2
        line[4 : LINE - 4, x : x + LINE - 8] = colour
        _text(line, name, x + LINE - 4)
        x += needed
    yield line


def _text(canvas, text, x):
    cv2.putText(
        canvas, text, (x, LINE - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.45, INK, 1, cv2.LINE_AA
    )  # fmt: skip


def _below(path, dataset):
    """Path of an image below the folder of its data set, else its name."""
    folder = (getattr(dataset, 'data_prefix', None) or {}).get('img_path')
    name = os.path.relpath(path, folder) if folder else os.path.basename(path)
    return os.path.basename(path) if name.startswith(os.pardir) else name


def _make(folder):
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f'folder {folder} cannot be made: {error.strerror}') from error
