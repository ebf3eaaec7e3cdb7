"""Mends of the wheels: what fails without them works, whenever the wheels are imported."""

import subprocess
import sys
from types import SimpleNamespace

import cv2
import mmcv
import numpy as np
import pytest
import torch
from mmcv.image import photometric
from mmdet.evaluation.functional import YTVIS, YTVISeval
from mmdet.models.dense_heads import SSDHead
from mmdet.structures import DetDataSample
from mmengine import Config, ConfigDict, dump
from mmengine.registry import DefaultScope
from mmpretrain.evaluation import RetrievalAveragePrecision, RetrievalRecall
from mmpretrain.models import LeNet5, multimodal
from mmpretrain.registry import MODELS
from mmseg.models.decode_heads.san_head import RecWithAttnbias
from PIL import Image
from pycocotools import mask

from mmlite.stack.mends import transformers_5

HUES = np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8)


def turned(levels, backend):
    """``HUES`` with 256 hues a circle."""
    if backend == 'cv2':
        hsv = cv2.cvtColor(HUES, cv2.COLOR_BGR2HSV_FULL).astype(int)
    else:
        hsv = np.array(Image.fromarray(HUES[..., ::-1]).convert('HSV')).astype(int)
    hsv[..., 0] = (hsv[..., 0] + levels) % 256
    if backend == 'cv2':
        return cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2BGR_FULL)
    return np.array(Image.fromarray(hsv.astype(np.uint8), 'HSV').convert('RGB'))[..., ::-1]


@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
@pytest.mark.parametrize(('turn', 'levels'), [(0.2, 51), (-0.2, -51), (-0.5, -127), (0, 0)])
def test_hues_turn_both_ways(backend, turn, levels):
    assert mmcv.adjust_hue is mmcv.image.adjust_hue is photometric.adjust_hue
    result = mmcv.adjust_hue(HUES, turn, backend)
    np.testing.assert_array_equal(result, turned(levels, backend))


@pytest.mark.parametrize('turn', [-0.6, 0.6])
def test_more_than_half_a_turn_is_refused(turn):
    with pytest.raises(ValueError, match=r'is not in \[-0.5, 0.5\]'):
        mmcv.adjust_hue(HUES, turn)


def test_retrieval_metrics():
    ranked = [np.array([2, 0, 1]), np.array([1, 2, 0])]
    right = [np.array([0]), np.array([0, 2])]
    options = dict(pred_indices=True, target_indices=True)
    precision = RetrievalAveragePrecision.calculate(ranked, right, 3, **options)
    assert precision == pytest.approx(100 * (1 / 2 + (1 / 2 + 2 / 3) / 2) / 2)
    assert RetrievalRecall.calculate(ranked, right, topk=(1, 2), **options) == [0, 100]


def test_youtube_vis_metric(tmp_path):
    """A video with one object, which is found in each frame."""
    square = np.zeros((8, 8), np.uint8)
    square[2:6, 2:6] = 1
    shape = mask.encode(np.asfortranarray(square))
    found = dict(id=1, video_id=1, category_id=1, iscrowd=0, height=8, width=8, length=2)
    segmentations = [shape | dict(counts=shape['counts'].decode())] * 2
    truth = found | dict(segmentations=segmentations, areas=[16, 16], bboxes=[[2, 2, 4, 4]] * 2)
    dump(
        dict(
            videos=[dict(id=1, height=8, width=8, length=2)],
            categories=[dict(id=1, name='a')],
            annotations=[truth],
        ),
        tmp_path / 'truth.json',
    )
    truth = YTVIS(str(tmp_path / 'truth.json'))
    results = truth.loadRes([found | dict(score=0.9, segmentations=[shape] * 2)])
    metric = YTVISeval(truth, results, 'segm')
    metric.evaluate()
    metric.accumulate()
    metric.summarize()
    assert metric.stats[0] == pytest.approx(1)


def test_ssd_predicts():
    anchors = dict(
        type='SSDAnchorGenerator', scale_major=False, input_size=32, strides=[8, 16],
        ratios=[[2], [2]], min_sizes=[8, 16], max_sizes=[16, 32],
    )  # fmt: skip
    nms = dict(type='nms', iou_threshold=0.5)
    with DefaultScope.overwrite_default_scope('mmdet'):
        head = SSDHead(
            num_classes=3,
            in_channels=(4, 4),
            anchor_generator=anchors,
            test_cfg=ConfigDict(nms_pre=100, score_thr=0.0, max_per_img=5, nms=nms),
        )
    features = [torch.randn(1, 4, 4, 4), torch.randn(1, 4, 2, 2)]
    sample = DetDataSample(metainfo=dict(img_shape=(32, 32), scale_factor=(1, 1)))
    (found,) = head.predict(features, [sample])
    assert len(found) == 5 and found.scores.isfinite().all()


@pytest.mark.parametrize('images', [1, 2])
def test_lenet_takes_a_batch_of_one(images):
    (scores,) = LeNet5(num_classes=10)(torch.randn(images, 1, 32, 32))
    assert scores.shape == (images, 10)
    (features,) = LeNet5()(torch.randn(images, 1, 32, 32))
    assert features.shape == (images, 120, 1, 1)


@pytest.mark.parametrize('given, channels', [({}, 192), (dict(embed_dim=24), 24)])
def test_the_decoder_of_milan_fits_the_backbone(given, channels):
    backbone = dict(type='MILANViT', arch='deit-t', img_size=32, mask_ratio=0.5)
    neck = dict(type='MILANPretrainDecoder', num_patches=4, decoder_depth=1, **given)
    model = MODELS.build(dict(type='MILAN', backbone=backbone, neck=neck))
    assert model.neck.decoder_embed.in_features == channels


def test_san_is_initialized_without_a_checkpoint():
    head = RecWithAttnbias(sos_token_num=2, num_layers=1, embed_dims=8, num_heads=1, out_dims=4)
    before = head.proj.weight.clone()
    head.init_weights(None)
    assert torch.equal(head.proj.weight, before)
    head.init_weights(dict(head.state_dict(), **{'proj.weight': before + 1}))
    assert torch.equal(head.proj.weight, before + 1)


@pytest.mark.parametrize('version, there', [('4.57.3', True), ('5.24.0', False)])
def test_multimodal_models_are_left_out_beside_transformers_5(monkeypatch, version, there):
    module = SimpleNamespace(WITH_MULTIMODAL=True)
    monkeypatch.setattr(transformers_5.metadata, 'version', dict(transformers=version).get)
    transformers_5.mend(module)
    assert module.WITH_MULTIMODAL == there


def test_configs_that_are_scripts_too_are_inherited(tmp_path):
    (tmp_path / 'base.py').write_text(
        "from mmpretrain.models import build_classifier\nmodel = dict(type='A', depth=3)\n"
        "if __name__ == '__main__':\n    print(build_classifier(model))\n"
    )
    (tmp_path / 'leaf.py').write_text("_base_ = 'base.py'\nmodel = dict(depth=4)\n")
    assert Config.fromfile(tmp_path / 'leaf.py').model == dict(type='A', depth=4)
    lazy = tmp_path / 'lazy.py'
    lazy.write_text('from mmdet.models import ATSS as Model\nmodel = dict(type=Model)\n')
    assert Config.fromfile(lazy).model.type.__name__ == 'ATSS'


@pytest.mark.skipif(multimodal.WITH_MULTIMODAL, reason='transformers is installed')
@pytest.mark.parametrize('name', ['Flamingo', 'OFA', 'RAMOpenset'])
def test_multimodal_models_name_themselves(name):
    with pytest.raises(ImportError, match=rf'^{name} requires extra multi-modal dependencies'):
        MODELS.build(dict(type=name))


def test_modules_that_are_imported_already_are_mended():
    program = """
import mmcv, numpy
adjust = mmcv.image.photometric.adjust_hue
import mmlite
print(mmcv.adjust_hue(numpy.zeros((2, 2, 3), 'u1'), -0.5).sum(), mmcv.image.adjust_hue is adjust)
"""
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert done.stdout.split() == ['0', 'False'], done.stderr
