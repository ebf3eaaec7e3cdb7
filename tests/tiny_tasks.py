"""Small models of three tasks with random weights, on generated pictures."""

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import tiny_classifier
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmlite.apis import ClsInferencer, DetInferencer, SegInferencer
from mmlite.datasets.shapes import Job, generate, task_spec
from mmlite.registry import DATASETS, MODELS

CLASSES = {'cls': ClsInferencer, 'det': DetInferencer, 'seg': SegInferencer}
TASKS = {'cls': 'classification', 'det': 'detection', 'seg': 'segmentation'}
EVERYTHING = {'cls': dict(top_k=3), 'det': dict(score_threshold=0.0), 'seg': {}}
"""Options of a call that leave nothing out."""
RECIPES = Path(__file__).resolve().parents[1] / 'configs' / 'shapes'

DET = """
_base_ = '{recipe}'
model = dict(
    data_preprocessor=dict(pad_size_divisor=64),
    backbone=dict(arch=dict(_delete_=True, embed_dims=24, num_layers=1, num_heads=3),
                  img_size=64, window_size=0, global_blocks=()),
    neck=dict(in_channels=24, out_channels=16),
    rpn_head=dict(in_channels=16, feat_channels=16),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=16),
        bbox_head=dict(in_channels=16, conv_out_channels=16, fc_out_channels=32),
        mask_roi_extractor=dict(out_channels=16),
        mask_head=dict(in_channels=16, conv_out_channels=16),
    ),
    test_cfg=dict(
        rpn=dict(nms_pre=50, max_per_img=30), rcnn=dict(score_thr=0.0, max_per_img=6)
    ),
)
pipeline = _base_.test_pipeline
pipeline[1].update(scale=(64, 64))
test_dataloader = dict(dataset=dict(data_root='{data}/', pipeline=pipeline))
"""
SEG = """
_base_ = '{recipe}'
model = dict(
    data_preprocessor=dict(size=(64, 64), test_cfg=dict(size=(64, 64))),
    backbone=dict(arch=dict(_delete_=True, embed_dims=24, num_layers=2, num_heads=3),
                  img_size=64, out_indices=(0, 0, 1, 1)),
    neck=dict(embed_dim=24, out_channels=16),
    decode_head=dict(in_channels=[16] * 4, channels=16),
    test_cfg=dict(crop_size=(64, 64), stride=(43, 43)),
)
train_pipeline = _base_.train_pipeline
train_pipeline[2].update(scale=(64, 64))
train_pipeline[3].update(crop_size=(64, 64))
train_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False,
    dataset=dict(data_root='{data}/', pipeline=train_pipeline),
)
pipeline = _base_.test_pipeline
pipeline[1].update(scale=(64, 64))
test_dataloader = dict(dataset=dict(data_root='{data}/', pipeline=pipeline))
"""
CONFIGS = {
    'det': ('det/mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px_shapes.py', DET),
    'seg': ('seg/semfpn_vit-tiny_8xb2-amp-160k_ade20k-512x512_shapes.py', SEG),
}


class Case(NamedTuple):
    """A model of a task."""

    task: str
    config: Path
    weights: Path

    @property
    def cfg(self):
        """Its config, read anew."""
        return Config.fromfile(self.config)

    def model(self):
        """The model with its weights, built beside any inferencer."""
        cfg = self.cfg
        with DefaultScope.overwrite_default_scope(cfg.default_scope):
            model = MODELS.build(cfg.model)
        model.load_state_dict(torch.load(self.weights, weights_only=True)['state_dict'])
        return model.eval()

    def dataset(self):
        """The test data of the config."""
        cfg = self.cfg
        with DefaultScope.overwrite_default_scope(cfg.default_scope):
            return DATASETS.build(cfg.test_dataloader.dataset)

    def files(self):
        """Paths of its images; those of detection and segmentation have several sizes."""
        dataset = self.dataset()
        return [dataset.get_data_info(index)['img_path'] for index in range(len(dataset))]


def write(task, folder):
    """Write data, config and weights of ``'cls'``, ``'det'`` or ``'seg'``."""
    if task == 'cls':
        config = tiny_classifier.write(folder)
    else:
        data = folder / 'data'
        spec = task_spec(task, size=96, classes=4, max_aspect=1.5)
        generate(Job(task, data, spec, seed=0, train=2, val=5))
        recipe, text = CONFIGS[task]
        config = folder / f'{task}.py'
        config.write_text(text.format(recipe=RECIPES / recipe, data=data))
    case = Case(task, config, folder / f'{task}.pth')
    save_weights(case)
    return case


def save_weights(case):
    """Draw weights for a config and write them with the class names of its test data."""
    cfg = case.cfg
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(cfg.model)
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:  # large enough for scores of which no two are as good as equal
            torch.nn.init.xavier_uniform_(parameter, gain=0.2 if 'reg' in name else 1.0)
    meta = {key: case.dataset().metainfo.get(key) for key in ('classes', 'palette')}
    meta['classes'] = [name.upper() for name in meta['classes']]  # to be told from the config's
    torch.save(dict(meta=dict(dataset_meta=meta), state_dict=model.state_dict()), case.weights)


def write_torn(folder, files):
    """Copies of three images in a directory, with a truncated one after the first."""
    folder.mkdir()
    for name, file in zip('acd', files, strict=True):
        cv2.imwrite(str(folder / f'{name}.png'), cv2.imread(file))
    (folder / 'b.png').write_bytes((folder / 'a.png').read_bytes()[:200])
    return folder, files


def assert_same(one, other):
    """Two results of an image are equal, to rounding."""
    if hasattr(one, 'label_map'):
        assert one.label_map.shape == other.label_map.shape
        assert (one.label_map == other.label_map).mean() > 0.999
        return
    np.testing.assert_array_equal(one.labels, other.labels)
    np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
    if hasattr(one, 'boxes'):
        np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-3)
        assert one.masks.shape == other.masks.shape
        assert (one.masks == other.masks).mean() > 0.999


def assert_all_same(ones, others):
    assert len(ones) == len(others) > 0
    for pair in zip(ones, others, strict=True):
        assert_same(*pair)
