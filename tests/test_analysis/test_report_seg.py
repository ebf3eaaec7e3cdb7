"""The page about a training run of a segmentation model."""

import base64
import pickle
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from test_report import assert_it_stands_alone, cells_of, tiles_of
from tiny import write_log

from mmlite.analysis.report import write_report
from mmlite.analysis.report.confusion import class_scores, confusion_matrix
from mmlite.errors import DataError

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / 'configs/shapes/seg/semfpn_vit-tiny_8xb2-amp-160k_ade20k-512x512_shapes.py'
PARTS = {'loss': 2.5, 'decode.loss_ce': 2.0, 'aux.loss_ce': 0.5, 'decode.acc_seg': 40.0}
LOG = [
    *(dict(PARTS, lr=1e-4, time=0.5, step=step) for step in (10, 20)),
    dict(mIoU=41.25, mAcc=50.0, aAcc=60.5, step=20),
]
NAMES = Config.fromfile(RECIPE).classes
COLORS = Config.fromfile(RECIPE).palette
LAST = len(NAMES) - 1
SIZE = 320  # as it is shown


@pytest.fixture
def finished_run(tmp_path):
    """A work directory as train.py and test.py leave it, of four images."""
    cfg = Config.fromfile(RECIPE)
    cfg.dump(tmp_path / 'recipe.py')
    write_log(tmp_path, LOG)
    rng = np.random.default_rng(0)
    results = []
    for number in range(4):
        image = tmp_path / f'{number}.jpg'
        cv2.imwrite(str(image), np.full((SIZE, SIZE, 3), 60 * number, np.uint8))
        truth = np.full((SIZE, SIZE), 2 * number)
        truth[:, 200:] = 255
        prediction = np.where(rng.random(truth.shape) < 0.75, truth, LAST)
        pair = {'gt_sem_seg': truth, 'pred_sem_seg': np.where(truth == 255, LAST, prediction)}
        data = {k: {'data': torch.from_numpy(v)[None].byte()} for k, v in pair.items()}
        results.append(dict(data, img_path=str(image)))
    (tmp_path / 'predictions.pkl').write_bytes(pickle.dumps(results))
    return tmp_path


def report(work_dir, results=None, **options):
    file = work_dir / 'predictions.pkl'
    if results is not None:
        file.write_bytes(pickle.dumps(results))
    return write_report(work_dir, file, **options).read_text()


def results_of(work_dir):
    return pickle.loads((work_dir / 'predictions.pkl').read_bytes())


def images_of(page, title):
    """Decoded BGR images of that title."""
    data = re.findall(rf'<img src="data:image/\w+;base64,([^"]+)" alt="{title}">', page)
    return [cv2.imdecode(np.frombuffer(base64.b64decode(d), np.uint8), 1) for d in data]


def test_the_page_shows_numbers_and_commands(finished_run):
    page = report(finished_run)
    tiles = tiles_of(page)
    assert {'41.2': 'mIoU', '60.5': 'pixel accuracy', '2.50': 'final loss'}.items() <= tiles.items()
    for title in ('training loss', 'validation, %', 'learning rate'):
        assert len(images_of(page, f'{title} by iteration')) == 1
    assert_it_stands_alone(page)


def test_iou_and_confusions_are_those_of_the_predictions(finished_run):
    page = report(finished_run)
    matrix = confusion_matrix(results_of(finished_run), len(NAMES))
    scores = class_scores(matrix)
    assert f'mIoU {100 * np.nanmean(scores["IoU"]):.2f}' in page
    for row, name in enumerate(NAMES):
        expected = [100 * values[row] for values in scores.values()]
        np.testing.assert_allclose(cells_of(page, name), expected, atol=0.05)
    for row in (0, 2, 4, 6):  # what was planted: a quarter of each is predicted as the last class
        share = 100 * matrix[row, LAST] / matrix[row].sum()
        assert f'<td>{NAMES[row]}</td><td>{NAMES[LAST]}</td><td>{share:.1f}</td>' in page
        assert 24 < share < 26
    assert len(re.findall('class="wide" src="data:image/png', page)) == 1


def test_images_stand_beside_the_truth_with_a_legend_of_what_they_show(finished_run):
    page = report(finished_run, count=2)
    images, truths, found = (
        images_of(page, title) for title in ('image', 'ground truth', 'prediction')
    )
    assert [len(images), len(truths), len(found)] == [2, 2, 2]
    legends = re.findall(r'<div class="legend">(.*?)</div>', page, re.S)
    for number, truth, prediction, legend in zip((0, 3), truths, found, legends, strict=True):
        assert truth.shape == (SIZE, SIZE, 3)
        color, last = COLORS[2 * number], COLORS[LAST]
        assert (truth[:, :200] == color[::-1]).all() and not truth[:, 200:].any()
        drawn = {tuple(c) for c in prediction.reshape(-1, 3).tolist()}
        assert drawn == {tuple(color[::-1]), tuple(last[::-1])}
        expected = [(color, NAMES[2 * number]), (last, NAMES[LAST]), ([0, 0, 0], 'ignored')]
        entries = re.findall(r'rgb\((\d+),(\d+),(\d+)\)"></i>([^<]+)', legend)
        assert [(list(map(int, e[:3])), e[3]) for e in entries] == expected
        assert re.search(rf'{number}\.jpg, 7[45]\.\d % of the pixels right', page)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda r: r.pop('img_path'), 'do not name their images: PackSegInputs packs img_path'),
        (lambda r: r.update(img_path='gone.jpg'), r'gone\.jpg'),
    ],
)
def test_wrong_predictions_are_named(finished_run, change, message):
    results = results_of(finished_run)
    change(results[0])
    with pytest.raises(DataError, match=message):
        report(finished_run, results)
