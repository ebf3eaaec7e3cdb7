"""The confusion matrix of segmentation predictions against plain counts and mmseg's metric."""

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.evaluation import IoUMetric
from run_tool import run_tool

from mmlite.analysis.report.confusion import (
    class_scores,
    confusion_matrix,
    draw_confusion,
    largest_confusions,
)
from mmlite.errors import DataError

ROOT = Path(__file__).parents[2]
TOOL = 'analysis_tools/confusion_matrix'
SMALL = ROOT / 'configs/shapes/seg/semfpn_vit-tiny_8xb2-amp-160k_ade20k-512x512_shapes.py'
NAMES = Config.fromfile(SMALL).classes


def results(classes, count=3, seed=0):
    """Predictions that are right in about half of the pixels, of an odd size; some are ignored."""
    rng = np.random.default_rng(seed)
    items = []
    for _ in range(count):
        truth = rng.integers(0, classes, (1, 17, 23))
        random = rng.integers(0, classes, truth.shape)
        prediction = np.where(rng.random(truth.shape) < 0.5, truth, random)
        truth[rng.random(truth.shape) < 0.1] = 255
        pair = {'gt_sem_seg': truth, 'pred_sem_seg': prediction}
        items.append({key: {'data': torch.from_numpy(value)} for key, value in pair.items()})
    return items


def test_pixels_are_counted_by_true_and_predicted_class():
    items = results(4)
    plain = np.zeros((4, 4), int)
    for item in items:
        truth, prediction = (item[k]['data'].ravel() for k in ('gt_sem_seg', 'pred_sem_seg'))
        for true, predicted in zip(truth.tolist(), prediction.tolist(), strict=True):
            if true != 255:
                plain[true, predicted] += 1
    np.testing.assert_array_equal(confusion_matrix(items, 4), plain)


def test_scores_equal_those_of_mmseg():
    items = results(5)
    metric = IoUMetric()
    metric.dataset_meta = dict(classes=list('abcde'))
    metric.process({}, items)
    expected = metric.compute_metrics(metric.results)
    scores = class_scores(confusion_matrix(items, 5))
    assert 100 * scores['IoU'].mean() == pytest.approx(expected['mIoU'], abs=0.005)
    assert 100 * scores['accuracy'].mean() == pytest.approx(expected['mAcc'], abs=0.005)
    assert scores['share'].sum() == pytest.approx(1)


def test_scores_and_confusions_of_hand_written_matrices():
    scores = class_scores(np.array([[6, 2, 0], [1, 3, 0], [0, 0, 0]]))
    np.testing.assert_allclose(scores['IoU'], [6 / 9, 3 / 6, np.nan])
    np.testing.assert_allclose(scores['accuracy'], [6 / 8, 3 / 4, np.nan])
    np.testing.assert_allclose(scores['precision'], [6 / 7, 3 / 5, np.nan])
    np.testing.assert_allclose(scores['share'], [8 / 12, 4 / 12, 0])
    matrix = np.array([[9, 1, 0], [6, 2, 4], [0, 0, 5]])
    assert largest_confusions(matrix) == [(1, 0, 6 / 12), (1, 2, 4 / 12), (0, 1, 1 / 10)]
    assert largest_confusions(matrix, 1) == [(1, 0, 0.5)]
    assert largest_confusions(np.eye(3, dtype=int)) == []


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        ('gt_sem_seg', None, 'result 0 has no gt_sem_seg: the predictions should be'),
        ('pred_sem_seg', torch.zeros(1, 4, 4), r'is \(17, 23\), the prediction \(4, 4\): load'),
        ('gt_sem_seg', torch.full((1, 17, 23), 4), 'true label is 4, but there are 4 classes'),
    ],
)
def test_wrong_predictions_are_named(key, value, message):
    items = results(4, count=1)
    items[0][key] = None if value is None else {'data': value}
    with pytest.raises(DataError, match=message):
        confusion_matrix(items, 4)


def test_right_predictions_are_a_bright_diagonal():
    def direction(matrix):
        data = np.frombuffer(draw_confusion(matrix, list('abc')), np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR).astype(int)
        yellow = np.abs(image - (37, 231, 253)).max(axis=-1) < 3  # top of viridis
        yellow[:, int(0.8 * yellow.shape[1]) :] = False  # the bar beside the matrix
        return np.corrcoef(*yellow.nonzero())[0, 1]

    assert direction(100 * np.eye(3)) > 0.8
    assert direction(100 * np.eye(3)[::-1]) < -0.8


def test_the_tool_prints_the_table_and_writes_the_figure(tmp_path, capsys):
    file = tmp_path / 'p.pkl'
    items = results(8)
    file.write_bytes(pickle.dumps(items))
    assert run_tool(TOOL, SMALL, file) == 0
    out = capsys.readouterr().out
    scores = class_scores(confusion_matrix(items, 8))
    for row, name in ((0, NAMES[0]), (7, NAMES[7])):
        cells = next(line for line in out.splitlines() if line.split()[:1] == [name]).split()
        assert cells[1:] == [f'{100 * score[row]:.2f}' for score in scores.values()]
    assert f'mIoU {100 * scores["IoU"].mean():.2f}, pixel accuracy ' in out
    assert cv2.imread(str(file.with_suffix('.png'))) is not None


def test_predictions_that_cannot_be_read_are_one_sentence(tmp_path, capsys):
    file = tmp_path / 'p.pkl'
    for content in (None, b'no pickle', pickle.dumps({})):
        if content is not None:
            file.write_bytes(content)
        assert run_tool(TOOL, SMALL, file) == 1
        assert capsys.readouterr().err.startswith(f'error: predictions {file} ')
    config = ROOT / 'configs/det/mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px.py'
    assert run_tool(TOOL, config, file) == 2
    assert 'should be of a segmentation model and have test data' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('dataset', 'message'),
    [
        (
            "dict(type='PascalVOCDataset', data_root='gone/', data_prefix=dict(img_path='a'), "
            "ann_file='b.txt', _delete_=True)",
            "error: test_dataloader.dataset.data_root is 'gone/', which does not exist; ",
        ),
        (
            "dict(type='PascalVOCDataset', data_root=folder, data_prefix=dict(img_path=''), "
            "ann_file='', _delete_=True)",
            'error: test_dataloader.dataset of type PascalVOCDataset cannot be built: it needs ',
        ),
        (
            'dict(metainfo=dict(classes=(), palette=[]))',
            'error: test_dataloader.dataset has no classes: give metainfo=dict(classes=',
        ),
    ],
)
def test_data_sets_without_classes_are_one_sentence(dataset, message, tmp_path, capsys):
    """Some data sets of mmseg assert that their files exist before they tell their classes."""
    config = tmp_path / 'voc.py'
    config.write_text(
        f"_base_ = '{SMALL}'\nmake_data = None\nfolder = '{tmp_path}'\n"
        f'test_dataloader = dict(dataset={dataset})'
    )
    (tmp_path / 'p.pkl').write_bytes(pickle.dumps(results(8)))
    assert run_tool(TOOL, config, tmp_path / 'p.pkl') == 1
    err = capsys.readouterr().err
    assert err.startswith(message) and err.count('\n') == 1
