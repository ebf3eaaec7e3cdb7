"""Images of samples: right colors, right places, for every task."""

import numpy as np
import pytest
import tiny_tracker
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.dataset import BaseDataset
from mmengine.structures import InstanceData, PixelData
from mmpretrain.structures import DataSample
from mmseg.structures import SegDataSample

from mmlite.datasets.sot import FrameFolderDataset, PackTrackPair, TrackPairs
from mmlite.engine.browse import Recorder, draw_sample, draw_steps, to_rgb
from mmlite.errors import UserError
from mmlite.visualization import PALETTE, draw_instances

GAP, LINE = 6, 24  # px of an image grid
GREY = np.full((40, 60, 3), 128, np.uint8)


def differs(image):
    """Where ``image`` is not grey."""
    return (image != 128).any(-1)


@pytest.mark.parametrize(
    ('image', 'bgr', 'pixel'),
    [
        (np.full((2, 2, 3), (1, 2, 3), np.uint8), True, [3, 2, 1]),
        (np.full((2, 2, 3), (1, 2, 3), np.uint8), False, [1, 2, 3]),
        (np.full((2, 2, 3), (1.4, 2.6, 3.0), np.float32), True, [3, 3, 1]),
        (np.full((2, 2), 7, np.uint8), True, [7, 7, 7]),
        (torch.ByteTensor([1, 2, 3])[:, None, None].expand(3, 2, 2), True, [3, 2, 1]),
        (torch.Tensor([-1, 0, 1])[:, None, None].expand(3, 2, 2), False, [0, 128, 255]),
    ],
)
def test_images_of_any_kind_become_rgb(image, bgr, pixel):
    out = to_rgb(image, bgr)
    assert out.shape == (2, 2, 3)
    assert out.dtype == np.uint8
    assert out[0, 0].tolist() == pixel


@pytest.mark.parametrize('packed', [False, True])
def test_boxes_and_masks_of_a_sample_are_drawn(packed):
    mask = np.zeros((1, 40, 60), np.uint8)
    mask[0, 22:28, 32:48] = 1
    boxes, labels = torch.tensor([[30.0, 20.0, 50.0, 30.0]]), np.array([1])
    if packed:
        sample = DetDataSample(gt_instances=InstanceData(
            bboxes=HorizontalBoxes(boxes), labels=torch.tensor(labels),
            masks=BitmapMasks(mask, 40, 60)))  # fmt: skip
        data = dict(inputs=torch.from_numpy(GREY).permute(2, 0, 1), data_samples=sample)
    else:
        data = dict(img=GREY, gt_bboxes=HorizontalBoxes(boxes), gt_bboxes_labels=labels,
                    gt_masks=BitmapMasks(mask, 40, 60))  # fmt: skip
    names = ('a', 'b')
    want = draw_instances(GREY, boxes.numpy(), labels, mask, names, scale=10)
    np.testing.assert_array_equal(draw_sample(data, names, shortest=600), want)


@pytest.mark.parametrize('packed', [False, True])
def test_semantic_maps_cover_all_but_ignored_pixels(packed):
    seg = np.full((20, 30), 255, np.uint8)  # half the size of the image, as test annotations are
    seg[:, :15] = 2
    if packed:
        sample = SegDataSample(gt_sem_seg=PixelData(data=torch.from_numpy(seg)[None]))
        data = dict(inputs=torch.from_numpy(GREY).permute(2, 0, 1), data_samples=sample)
    else:
        data = dict(img=GREY, gt_seg_map=seg)
    out = draw_sample(data, (), shortest=1)
    mixed = np.round(64 + np.array(PALETTE[2]) / 2)
    np.testing.assert_allclose(out[:, :30], np.broadcast_to(mixed, (40, 30, 3)), atol=1)
    assert not differs(out)[:, 30:].any()


def test_the_label_of_an_image_is_written_above_it():
    sample = DataSample().set_gt_label(1)
    data = dict(inputs=torch.from_numpy(GREY).permute(2, 0, 1), data_samples=sample)
    out = draw_sample(data, ('cat', 'dog'), shortest=1)
    assert out.shape == (LINE + 40 + GAP, GAP + 60 + GAP, 3)
    assert not differs(out[LINE:-GAP, GAP:-GAP]).any() and out[:LINE].min() < 100
    other = draw_sample(dict(img=GREY, gt_label=np.int64(0)), ('cat', 'dog'), shortest=1)
    assert not np.array_equal(out, other)  # 'dog' and 'cat'
    assert draw_sample(dict(img=GREY, gt_label=7), ()).shape[0] > 40  # a class without a name


@pytest.mark.parametrize('kind', [list, lambda x: dict(zip('ab', x, strict=True))])
def test_several_views_stand_side_by_side(kind):
    views = kind([torch.zeros(3, 10, 20), torch.zeros(3, 30, 15)])
    shape = (GAP + 30 + GAP, GAP + 20 + GAP + 15 + GAP, 3)
    assert draw_sample(dict(inputs=views), (), shortest=1).shape == shape


class Load:
    def __call__(self, data):
        return dict(data, img=np.full((8, 8, 3), data['sample_idx'], np.uint8))


class Double:
    def __call__(self, data):
        if data['img'][0, 0, 0] == 3:
            return None
        data['img'] *= 2  # in place: the step before must have been copied
        return data


class Numbers(BaseDataset):
    def load_data_list(self):
        return [{} for _ in range(4)]

    def _rand_another(self):
        return 1


class Wrapper:
    def __init__(self, dataset):
        self.dataset = dataset

    def __getitem__(self, index):
        return self.dataset[index]


def test_steps_are_recorded_as_they_were():
    recorder = Recorder(Wrapper(Numbers(pipeline=[Load(), Double()])))
    for index, seen in ((2, (2, 4)), (1, (1, 2)), (3, (1, 2))):  # 3 is drawn again
        sample, steps = recorder[index]
        assert [step.name for step in steps] == ['Load', 'Double']
        assert tuple(step.data['img'][0, 0, 0] for step in steps) == seen
        assert (draw_steps(sample, steps, 'original', ()) == seen[0]).all()
        assert (draw_steps(sample, steps, 'transformed', ()) == seen[1]).all()
    joined = draw_steps(sample, steps, 'pipeline', (), shortest=8)
    first, second = joined[LINE:-GAP, GAP : GAP + 8], joined[LINE:-GAP, -GAP - 8 : -GAP]
    assert (first == 1).all() and (second == 2).all()


class Film:
    """One image whose target is grey and twice as wide as high."""

    metainfo = dict(dataset='film', protocol='stills')
    dataset, name, boxes = 'film', 'film-0', np.array([[10.0, 20.0, 40.0, 20.0]])

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return self

    @property
    def frames(self):
        return self

    def read(self, index):
        return np.full((60, 80, 3), (0, 0, 200), np.uint8)

    def where(self, index):
        return 'film/0.jpg'


class Shift:
    """Draws from the pair's generator, so that pairs differ."""

    def __call__(self, data):
        data['search_box'] = data['search_box'] + (0, 5 + data['rng'].integers(20), 0, 0)
        return data


def test_tracking_pairs_stand_side_by_side_with_their_target():
    recorder = Recorder(Wrapper(TrackPairs([Film()], pipeline=[Shift(), PackTrackPair()])))
    shown = [recorder[k] for k in range(6)]
    tops = [sample['data_samples']['box'][1] for sample, _ in shown]
    assert len(set(map(float, tops))) > 1
    sample, steps = shown[0]
    assert [step.name for step in steps] == ['LoadFrames', 'Shift', 'PackTrackPair']
    for mode, top in (('original', 20), ('transformed', 60 * float(tops[0]))):
        out = draw_steps(sample, steps, mode, (), shortest=1)
        assert out.shape == (60 + 2 * GAP, 80 + 80 + 3 * GAP, 3)
        out = out[GAP:-GAP, GAP:-GAP]
        assert out[-1, 0].tolist() == [200, 0, 0]  # RGB
        template, search = out[:, :80], out[:, 80 + GAP :]
        drawn = (search == PALETTE[0]).all(-1)
        assert drawn[round(top) + 20, 12:48].any()  # the lower side
        assert not drawn[round(top) + 24 :].any()
        assert drawn[round(top) + 10, [10, 50]].all()
        assert (template == PALETTE[0]).all(-1).any() == (mode == 'original')
    joined = draw_steps(sample, steps, 'pipeline', (), bgr=False, shortest=1)
    assert joined.shape == (LINE + 72 + GAP, 3 * (178 + GAP) + GAP, 3)
    # packed images are shown as they are, all others are BGR
    corners = joined[-2 * GAP - 1, 2 * GAP], joined[-2 * GAP - 1, -2 * GAP - 1]
    assert [corner.tolist() for corner in corners] == [[200, 0, 0], [0, 0, 200]]


def test_sequences_have_no_pipeline_to_look_at(tmp_path):
    tiny_tracker.write_sequence(tmp_path, 'a', tiny_tracker.path(3))
    with pytest.raises(UserError, match='FrameFolderDataset holds sequences without a pipeline'):
        Recorder(FrameFolderDataset(tmp_path))
