"""Pictures of segmentation predictions: what they show, and that test data alone are needed."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmlite.engine.hooks import SegPredictionHook
from mmlite.errors import DataError, OutputError
from mmlite.utils.images import LINE
from mmlite.visualization import draw_label_maps

GAP = 6

NAMES = ('sky', 'road', 'tree', 'car')
COLORS = [(200, 120, 10), (90, 90, 90), (20, 160, 30), (0, 0, 220)]
SIDE = 320


def halves(left, right):
    labels = np.full((SIDE, SIDE), left)
    labels[:, SIDE // 2 :] = right
    return labels


def panel(picture, number, width=SIDE, height=SIDE):
    start = GAP + number * (width + GAP)
    return picture[LINE : LINE + height, start : start + width]


def has(picture, color):
    return (picture == color).all(axis=-1).any()


def test_image_truth_and_prediction_stand_side_by_side():
    image = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), np.uint8)
    maps = {'ground truth': halves(1, 255), 'prediction': halves(1, 3)}
    picture = draw_label_maps(image, maps, NAMES, COLORS)
    assert picture.shape == (LINE + SIDE + GAP + LINE, 3 * (SIDE + GAP) + GAP, 3)
    np.testing.assert_array_equal(panel(picture, 0), image)
    for number, right in ((1, (0, 0, 0)), (2, COLORS[3])):
        wanted = np.array([*COLORS, right], np.uint8)[halves(1, 4)]
        np.testing.assert_array_equal(panel(picture, number), wanted)
    legend = picture[-LINE:]
    assert has(legend, COLORS[1]) and has(legend, COLORS[3]) and has(legend, (0, 0, 0))
    assert not has(legend, COLORS[0]) and not has(legend, COLORS[2])


def test_a_long_legend_breaks_into_lines():
    names = [f'class number {n}' for n in range(40)]
    colors = [(n, 200, 255 - n) for n in range(40)]
    labels = np.arange(40).repeat(8)[None].repeat(SIDE, axis=0)
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    legend = draw_label_maps(image, {'prediction': labels}, names, colors)[LINE + SIDE + GAP :]
    assert len(legend) % LINE == 0 and len(legend) > 5 * LINE
    assert all(has(legend, color) for color in colors)


@pytest.mark.parametrize(
    ('shape', 'shown'),
    [((64, 32), (320, 160)), ((400, 500), (400, 500)), ((640, 1280), (320, 640))],
)
def test_pictures_are_scaled_to_a_legible_size(shape, shown):
    labels = np.zeros(shape, int)
    labels[:, shape[1] // 2 :] = 2
    image = np.zeros((*shape, 3), np.uint8)
    picture = draw_label_maps(image, {'prediction': labels}, NAMES, COLORS)
    assert picture.shape[:2] == (LINE + shown[0] + GAP + LINE, 2 * (shown[1] + GAP) + GAP)
    drawn = panel(picture, 1, width=shown[1], height=shown[0])
    assert {tuple(c) for c in drawn.reshape(-1, 3)} == {COLORS[0], COLORS[2]}  # none is blended


@pytest.fixture
def runner(tmp_path):
    """With test data alone, as a runner whose training data are missing."""
    folder = tmp_path / 'images'
    (folder / 'town').mkdir(parents=True)
    cv2.imwrite(str(folder / 'town/a.png'), np.full((SIDE, SIDE, 3), 128, np.uint8))
    dataset = SimpleNamespace(
        metainfo=dict(classes=NAMES, palette=[list(color) for color in COLORS]),
        data_prefix=dict(img_path=str(folder)),
        ignore_index=255,
    )
    return SimpleNamespace(test_dataloader=SimpleNamespace(dataset=dataset))


def sample(runner, truth=True):
    folder = runner.test_dataloader.dataset.data_prefix['img_path']
    item = SegDataSample(metainfo=dict(img_path=f'{folder}/town/a.png'))
    item.pred_sem_seg = PixelData(data=torch.from_numpy(halves(2, 3))[None])
    if truth:
        item.gt_sem_seg = PixelData(data=torch.from_numpy(halves(0, 255))[None])
    return item


@pytest.mark.parametrize('truth', [True, False])
def test_the_hook_writes_a_picture_of_every_prediction(truth, runner, tmp_path):
    hook = SegPredictionHook(str(tmp_path / 'out'))
    hook.after_test_iter(runner, 0, outputs=[sample(runner, truth)])
    picture = cv2.imread(str(tmp_path / 'out/town/a.jpg'))[..., ::-1]
    assert picture.shape[1] == (2 + truth) * (SIDE + GAP) + GAP
    drawn = panel(picture, 1 + truth)
    quarter = SIDE // 4
    for column, color in ((quarter, COLORS[2]), (3 * quarter, COLORS[3])):
        np.testing.assert_allclose(drawn[quarter, column], color, atol=6)  # it is a JPEG


def test_images_outside_the_folder_are_named_by_their_file(runner, tmp_path):
    hook = SegPredictionHook(tmp_path / 'out')
    item = sample(runner)
    runner.test_dataloader.dataset.data_prefix['img_path'] = str(tmp_path / 'else')
    hook.after_test_iter(runner, 0, outputs=[item])
    assert (tmp_path / 'out/a.jpg').is_file()


def test_a_directory_that_cannot_be_made_is_named(runner, tmp_path):
    (tmp_path / 'file').touch()
    hook = SegPredictionHook(tmp_path / 'file/out')
    with pytest.raises(OutputError, match='cannot write .*file/out/town/a.jpg'):
        hook.after_test_iter(runner, 0, outputs=[sample(runner)])


def test_an_image_that_is_gone_is_named(runner, tmp_path):
    item = sample(runner)
    item.set_metainfo(dict(img_path=str(tmp_path / 'gone.jpg')))
    with pytest.raises(DataError, match=r'image .*gone\.jpg cannot be read'):
        SegPredictionHook(tmp_path / 'out').after_test_iter(runner, 0, outputs=[item])
