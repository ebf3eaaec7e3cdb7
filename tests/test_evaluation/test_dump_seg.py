"""Segmentation predictions as they are written to a file."""

import pickle

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmlite.analysis.report.confusion import confusion_matrix
from mmlite.evaluation import DumpSegResults


@pytest.mark.parametrize(('classes', 'dtype'), [(150, torch.uint8), (300, torch.int16)])
def test_labels_are_kept_and_scores_are_not(classes, dtype, tmp_path):
    rng = np.random.default_rng(0)
    truth, found = (torch.from_numpy(rng.integers(0, classes, (1, 40, 50))) for _ in range(2))
    truth[0, 0, 0], truth[0, 0, 1] = classes - 1, 255
    sample = SegDataSample(metainfo=dict(img_path='a.jpg', ori_shape=(40, 50)))
    sample.gt_sem_seg, sample.pred_sem_seg = PixelData(data=truth), PixelData(data=found)
    sample.seg_logits = PixelData(data=torch.rand(classes, 40, 50))
    results = [sample.to_dict()]
    file = tmp_path / 'p.pkl'
    metric = DumpSegResults(str(file))
    metric.process({}, results)
    assert metric.evaluate(1) == {}
    (kept,) = pickle.loads(file.read_bytes())
    assert kept['img_path'] == 'a.jpg' and kept['ori_shape'] == (40, 50)
    assert 'seg_logits' not in kept and 'seg_logits' in results[0]
    assert kept['gt_sem_seg']['data'].dtype == dtype
    np.testing.assert_array_equal(
        confusion_matrix([kept], classes), confusion_matrix(results, classes)
    )
    assert file.stat().st_size < 2 * 40 * 50 * dtype.itemsize + 3000
