"""ImageNet-VID (ILSVRC2015, Russakovsky et al., IJCV 2015, arXiv 1409.0575), to train trackers."""

from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree

import numpy as np
from torch.utils.data import Dataset

from mmlite.errors import DataError
from mmlite.registry import DATASETS
from mmlite.utils import Progress
from mmlite.utils.names import check_known

from .annotations import has_area
from .frames import FrameNames, ImageFrames
from .index import KeptIndex
from .sequence import Sequence
from .storage import Tree

_WORKERS = 8  # threads: small files wait for the disk
SPLITS = ('train', 'val')
SIDES = ('xmin', 'ymin', 'xmax', 'ymax')


@DATASETS.register_module()
class ImageNetVIDDataset(Dataset):
    """Every object of ImageNet-VID's 3,862 training videos as a :class:`Sequence`.

    A sequence lasts from the first to the last frame with a box of the object. The target is
    visible where it has a box of positive size that is not called occluded, as in pytracking. Boxes
    come from a million files, which takes minutes; they are kept beside the indices of videos, see
    :mod:`~mmlite.datasets.sot.index`.

    Args:
        data_root (str): Directory ``ILSVRC2015`` with ``Data/VID`` and ``Annotations/VID``.
        split (str): ``'train'``, the default, or ``'val'``.
        rebuild_index (bool): Read the annotations again. Defaults to False.

    Attributes:
        names (list[str]): ``<video>-<trackid>``.
        lengths (ndarray): int64 (S,), frames of each.
        faults (dict): Empty: a damaged annotation is a DataError.
        metainfo (dict): ``dataset='imagenet_vid'`` and ``protocol='lasot'``.
    """

    def __init__(self, data_root, split='train', rebuild_index=False):
        check_known('ImageNetVIDDataset: split', split, SPLITS)
        self.data_root, self.split, self.faults = str(data_root), split, {}
        self.metainfo = {'dataset': 'imagenet_vid', 'protocol': 'lasot'}
        self._tree = Tree(data_root, 'Data/VID and Annotations/VID of ILSVRC2015')
        index = KeptIndex(self.data_root, f'imagenet_vid-{split}')
        kept = None if rebuild_index else index.load(dict)
        if kept is None:
            kept = read_tracks(self._tree, split, index.tree)
            index.save(kept)
        self.names, self._videos, self._first = kept['names'], kept['videos'], kept['first']
        self.lengths = np.array(kept['lengths'], dtype=np.int64)
        self._ends = np.cumsum(self.lengths)
        self._rows = np.array(kept['rows'], np.float64).reshape(-1, 5)

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        index = range(len(self))[index]  # IndexError, and negative ones, as for a list
        length = int(self.lengths[index])
        rows = self._rows[self._ends[index] - length : self._ends[index]]
        names = FrameNames(self._first[index], length, 6, '', '.JPEG')
        frames = ImageFrames(self._tree, f'Data/VID/{self._videos[index]}', names)
        boxes = rows[:, :4].copy()
        visible = has_area(boxes) & (rows[:, 4] == 0)
        return Sequence(self.names[index], self.metainfo['dataset'], frames, boxes, visible)


def read_tracks(tree, split, watched):
    """Read the objects of all videos of a split.

    Returns a dict of lists with an entry for each object, and ``rows`` of ``x, y, w, h, occluded``
    for all frames of all objects in turn. The directories of videos are looked at in ``watched``.
    """
    videos = list(_find_videos(watched, split))
    kept = dict(names=[], videos=[], first=[], lengths=[], rows=[])
    progress = Progress(f'annotations of imagenet_vid-{split}', len(videos), 'videos')
    with ThreadPoolExecutor(_WORKERS) as pool:
        read = pool.map(lambda video: _read_video(tree, video), videos)
        for video, tracks in zip(videos, progress.track(read), strict=True):
            for track, boxes in sorted(tracks.items()):
                first, last = min(boxes), max(boxes)
                kept['names'].append(f'{video.rpartition("/")[2]}-{track}')
                kept['videos'].append(video)
                kept['first'].append(first)
                kept['lengths'].append(last + 1 - first)
                for number in range(first, last + 1):
                    kept['rows'] += boxes.get(number, (0, 0, 0, 0, 1))
    if not kept['names']:
        raise DataError(f"'{tree.where(f'Annotations/VID/{split}')}' has no annotated object")
    return kept


def _find_videos(tree, split):
    """Paths of the videos of a split, below ``Annotations/VID``; training videos are in parts."""
    top = f'Annotations/VID/{split}'
    for name in tree.folders(top):
        inner = tree.folders(f'{top}/{name}')
        yield from [f'{split}/{name}/{video}' for video in inner] or [f'{split}/{name}']


def _read_video(tree, video):
    """Track -> number of the frame -> x, y, w, h, occluded."""
    folder, tracks = f'Annotations/VID/{video}', {}
    for file in sorted(tree.files(folder)):
        path = f'{folder}/{file}'
        try:
            number = int(file.removesuffix('.xml'))
            for item in ElementTree.fromstring(tree.read(path)).iter('object'):
                x, y, right, bottom = (float(item.findtext(f'bndbox/{side}')) for side in SIDES)
                occluded = int(item.findtext('occluded', '0'))
                row = (x, y, right - x, bottom - y, occluded)
                tracks.setdefault(item.findtext('trackid', '0'), {})[number] = row
        except (ElementTree.ParseError, TypeError, ValueError) as error:
            where = tree.where(path)
            raise DataError(f'{where} is not an annotation of ImageNet-VID: {error}') from error
    return tracks
