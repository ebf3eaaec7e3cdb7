"""Boxes, masks and label maps over images, and the hook that draws segmentation results."""

from contextlib import nullcontext
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmpretrain.structures import DataSample
from mmpretrain.visualization import UniversalVisualizer
from mmseg.structures import SegDataSample
from torch.utils.data import Dataset

from mmlite.engine import launch
from mmlite.engine.hooks import PredictionHook, SegPredictionHook
from mmlite.errors import DataError, OutputError
from mmlite.utils.images import LINE, warn_of_font
from mmlite.visualization import PALETTE, draw_instances, draw_label_maps

GAP, SIDE = 6, 320
NAMES = ('sky', 'road', 'tree', 'car')
COLORS = [(200, 120, 10), (90, 90, 90), (20, 160, 30), (0, 0, 220)]
POLYGON = [[20, 10, 50, 10, 50, 30, 20, 30]]
COLUMNS = dict(size=[40, 60], counts=[20 * 40 + 10] + [20, 20] * 29 + [20, 10 * 40 + 10])


def masks():
    mask = np.zeros((40, 60), bool)
    mask[10:30, 20:50] = True
    return mask, POLYGON, COLUMNS


@pytest.mark.parametrize('mask', masks(), ids=['array', 'polygon', 'run lengths'])
def test_boxes_and_masks_are_drawn_where_they_are(mask):
    image = np.full((40, 60, 3), 100, np.uint8)
    drawn = draw_instances(image, [[20, 10, 50, 30]], [0], [mask], ['disc'], [0.5], scale=2)
    assert drawn.shape == (80, 120, 3)
    color = np.array(PALETTE[0])
    inside = np.broadcast_to(0.55 * 100 + 0.45 * color, (26, 50, 3))
    np.testing.assert_allclose(drawn[32:58, 45:95], inside, atol=1)
    np.testing.assert_array_equal(drawn[60, 70], color)  # lower edge of the box
    np.testing.assert_array_equal(drawn[70, 20], [100] * 3)
    plain = draw_instances(image, [[20, 10, 50, 30]], [0], None, ['disc'], scale=2)
    np.testing.assert_array_equal(plain[40, 70], [100] * 3)


def halves(left, right):
    labels = np.full((SIDE, SIDE), left)
    labels[:, SIDE // 2 :] = right
    return labels


def panel(sheet, number, width=SIDE, height=SIDE):
    start = GAP + number * (width + GAP)
    return sheet[LINE : LINE + height, start : start + width]


def test_image_truth_and_prediction_stand_side_by_side():
    image = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), np.uint8)
    maps = {'ground truth': halves(1, 255), 'prediction': halves(1, 3)}
    sheet = draw_label_maps(image, maps, NAMES, COLORS)
    assert sheet.shape == (LINE + SIDE + GAP + LINE, 3 * (SIDE + GAP) + GAP, 3)
    np.testing.assert_array_equal(panel(sheet, 0), image)
    for number, right in ((1, (0, 0, 0)), (2, COLORS[3])):
        expected = np.array([*COLORS, right], np.uint8)[halves(1, 4)]
        np.testing.assert_array_equal(panel(sheet, number), expected)
    legend = {tuple(pixel) for pixel in sheet[-LINE:].reshape(-1, 3).tolist()}
    assert {COLORS[1], COLORS[3], (0, 0, 0)} <= legend
    assert not {COLORS[0], COLORS[2]} & legend


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


class TinyPrefixed(Dataset):
    def __init__(self, data_prefix):
        self.data_prefix = data_prefix


def draw(runner, out_dir, truth=True, path=None):
    folder = runner.test_dataloader.dataset.data_prefix['img_path']
    sample = SegDataSample(metainfo=dict(img_path=str(path or f'{folder}/town/a.png')))
    sample.pred_sem_seg = PixelData(data=torch.from_numpy(halves(2, 3))[None])
    if truth:
        sample.gt_sem_seg = PixelData(data=torch.from_numpy(halves(0, 255))[None])
    SegPredictionHook(str(out_dir)).after_test_iter(runner, 0, outputs=[sample])


@pytest.mark.parametrize('truth', [True, False])
def test_the_hook_draws_every_prediction(truth, runner, tmp_path):
    draw(runner, tmp_path / 'out', truth)
    sheet = cv2.imread(str(tmp_path / 'out/town/a.jpg'))[..., ::-1]
    assert sheet.shape[1] == (2 + truth) * (SIDE + GAP) + GAP
    drawn = panel(sheet, 1 + truth)
    for column, color in ((SIDE // 4, COLORS[2]), (3 * SIDE // 4, COLORS[3])):
        np.testing.assert_allclose(drawn[SIDE // 4, column], color, atol=6)  # it is a JPEG


@pytest.mark.parametrize(('folders', 'key', 'shown'), [
    ([''], 'img', 'cam0/a.png'), (['cam0'], 'img_path', 'a.png'), ([None], 'img', 'a.png'),
    (['cam0', 'cam1'], 'img', 'cam0/a.png'), (['cam1'], 'img', 'cam0/a.png'),
])  # fmt: skip
@pytest.mark.parametrize('views', [False, True])
def test_equal_names_stay_apart(views, folders, key, shown, runner, tmp_path):
    prefixes = [{} if folder is None else {key: f'{tmp_path}/{folder}'} for folder in folders]
    inner = [TinyPrefixed(prefix) for prefix in prefixes]
    runner.test_dataloader = SimpleNamespace(dataset=SimpleNamespace(datasets=inner), batch_size=4)
    UniversalVisualizer.get_instance('test').dataset_meta = dict(classes=NAMES)
    samples = [DataSample().set_pred_label(0).set_pred_score(torch.eye(4)[0]) for _ in range(2)]
    samples[0].set_metainfo(dict(img_path=f'{tmp_path}/cam0/a.png'))
    hook = PredictionHook(str(tmp_path / 'out'), launch.DRAWING_HOOKS['mmpretrain'])
    images = torch.zeros(2, 3, SIDE, SIDE, dtype=torch.uint8)
    hook.after_test_iter(runner, 2, dict(inputs=[images, images] if views else images), samples)
    drawn = {
        path.relative_to(tmp_path / 'out').as_posix() for path in tmp_path.rglob('out/**/*.png')
    }
    assert drawn == {f'{shown}_0.png', '9_0.png'}


@pytest.mark.parametrize(('name', 'drawable'), [('chaise à <b>', True), ('红色', False), (3, True)])
def test_names_that_the_stock_font_lacks_are_reported(name, drawable, runner):
    warn_of_font.cache_clear()
    runner.visualizer = UniversalVisualizer.get_instance('test')
    runner.test_dataloader.dataset.metainfo = dict(classes=('red', name))
    hook = PredictionHook('out', launch.DRAWING_HOOKS['mmpretrain'])
    with nullcontext() if drawable else pytest.warns(UserWarning, match='Latin letters'):
        hook.before_test(runner)
    assert runner.visualizer.dataset_meta['classes'] == ['red', str(name)]


def test_paths_that_the_hook_reads_and_writes(runner, tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(OutputError, match='cannot write .*file/out/town/a.jpg'):
        draw(runner, tmp_path / 'file/out')
    with pytest.raises(DataError, match=r'image .*gone\.jpg cannot be read'):
        draw(runner, tmp_path / 'out', path=tmp_path / 'gone.jpg')
    inside = tmp_path / 'images/town/a.png'
    runner.test_dataloader.dataset.data_prefix['img_path'] = str(tmp_path / 'else')
    draw(runner, tmp_path / 'out', path=inside)
    assert (tmp_path / 'out/images/town/a.jpg').is_file()  # outside of the data set
