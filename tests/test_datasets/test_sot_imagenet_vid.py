"""ImageNet-VID in its official layout: objects, gaps, occlusion, the kept index, damage."""

import numpy as np
import pytest
from tiny_sequences import level, write_frames, write_lines

from mmlite.datasets.sot import ImageNetVIDDataset, TrackPairs
from mmlite.errors import DataError

VIDEO = 'train/ILSVRC2015_VID_train_0000/ILSVRC2015_train_00010001'
OBJECT = """<object><trackid>{track}</trackid><name>n02691156</name><bndbox><xmax>{right}</xmax>
<xmin>{x}</xmin><ymax>9</ymax><ymin>2</ymin></bndbox><occluded>{occluded}</occluded>
<generated>0</generated></object>"""


def write_video(root, video, frames):
    """A video; of every frame a list of (track, x, occluded), the box is ``x, 2, 4, 7``."""
    write_frames(root / 'Data/VID' / video, range(len(frames)), '{:06d}.JPEG')
    for number, objects in enumerate(frames):
        items = [OBJECT.format(track=t, x=x, right=x + 4, occluded=o) for t, x, o in objects]
        text = f'<annotation><folder>{video}</folder>{"".join(items)}</annotation>'
        write_lines(root / 'Annotations/VID' / video / f'{number:06d}.xml', [text])


@pytest.fixture
def root(tmp_path):
    both = [[(0, i, 0)] + [(1, 2 * i, int(i == 3))] * (i in (2, 3, 5)) for i in range(7)]
    write_video(tmp_path, VIDEO, [*both, []])
    write_video(
        tmp_path, VIDEO.replace('0000/', '0001/').replace('1000', '2000'), [[(0, 1, 0)]] * 30
    )
    write_video(tmp_path, 'val/ILSVRC2015_val_00000000', [[(4, 3, 0)]] * 2)
    return tmp_path


def test_every_object_is_a_sequence_from_its_first_to_its_last_box(root):
    for dataset in (ImageNetVIDDataset(root), ImageNetVIDDataset(root)):  # read, and kept
        names = ['train_00010001-0', 'train_00010001-1', 'train_00020001-0']
        assert dataset.names == [f'ILSVRC2015_{name}' for name in names]
        assert dataset.lengths.tolist() == [7, 4, 30]
        whole, part, _ = dataset
        assert whole.boxes.tolist() == [[i, 2, 4, 7] for i in range(7)] and whole.visible.all()
        assert part.boxes.tolist() == [[4, 2, 4, 7], [6, 2, 4, 7], [0, 0, 0, 0], [10, 2, 4, 7]]
        assert part.visible.tolist() == [True, False, False, True]
        assert part.frames.where(3).endswith(f'Data/VID/{VIDEO}/000005.JPEG')
        shades = [part.frames.read(i).mean() / level(1) for i in range(len(part.frames))]
        np.testing.assert_allclose(shades, [2, 3, 4, 5], atol=0.4)
    assert ImageNetVIDDataset(root, 'val').names == ['ILSVRC2015_val_00000000-4']


def test_it_gives_training_pairs(root):
    pairs = TrackPairs([ImageNetVIDDataset(root)], samples_per_epoch=4)
    for k in range(4):  # the other two sequences are too short
        pair = pairs[0, 0, k]
        assert pair['sequence'] == 'ILSVRC2015_train_00020001-0'
        assert pair['frame_ids'][0] < pair['frame_ids'][1]
        assert pair['search_box'].tolist() == [1, 2, 4, 7]


def test_damage_is_named(root):
    write_lines(root / 'Annotations/VID' / VIDEO / '000003.xml', ['<annotation><object>'])
    with pytest.raises(DataError, match='000003.xml is not an annotation of ImageNet-VID'):
        ImageNetVIDDataset(root)
    with pytest.raises(DataError, match='Annotations/VID/val'):
        ImageNetVIDDataset(root / 'Data', 'val')
    write_video(root / 'empty', VIDEO, [[], []])
    with pytest.raises(DataError, match="Annotations/VID/train' has no annotated object"):
        ImageNetVIDDataset(root / 'empty')
