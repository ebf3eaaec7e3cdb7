"""EUPE's ViT-T form in the recipes of all five tasks, cut to two blocks and small images."""

from pathlib import Path

import numpy as np
import pytest
import task_recipes
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData
from mmpretrain.structures import DataSample
from mmseg.structures import SegDataSample

from mmlite.registry import MODELS

CONFIGS = Path(__file__).parents[2] / 'configs'
EUPE = dict(
    num_registers=4,
    qkv_bias='qv', pos_embed='none', rope=dict(temperature=100, rescale=2), norm_eps=1e-5,
    layer_scale_init_value=1e-5, drop_path_rate=0.0,
)  # fmt: skip
ALONE = dict(with_cls_token=False, num_registers=0)  # windows and trackers have no prefix


def build(recipe, backbone, **model):
    """The model of a recipe on EUPE's form."""
    cfg = Config.fromfile(CONFIGS / f'{recipe}.py')
    arch = dict(_delete_=True, embed_dims=192, num_layers=2, num_heads=3)
    cfg.merge_from_dict(dict(model=dict(backbone=dict(EUPE, arch=arch) | backbone) | model))
    init_default_scope(cfg.default_scope)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    return model


def learns(model, inputs, data_samples):
    """One step on a batch: finite losses, and gradients of everything but the bias of keys."""
    losses = task_recipes.step(model, dict(inputs=inputs, data_samples=data_samples))
    assert losses and all(np.isfinite(value) for value in losses.values())
    silent = {n for n, p in model.named_parameters() if p.requires_grad and p.grad is None}
    assert not any('backbone' in name for name in silent - {'backbone.norm.weight'}), silent
    assert model.backbone.blocks[0].attn.qkv.bias.grad[192:384].eq(0).all()
    assert model.backbone.blocks[0].attn.qkv.weight.grad[192:384].abs().max() > 0


def random_images(size, count=2):
    return [torch.randint(0, 256, (3, size, size), dtype=torch.uint8) for _ in range(count)]


@pytest.mark.parametrize('method', ['mae', 'd2-mae'])
def test_pre_training(method):
    name = f'pretrain/{method}/{method}_vit-tiny_8xb512-amp-coslr-400e_in1k'
    changes = {}
    if method == 'd2-mae':
        pair = Config.fromfile(CONFIGS / f'{name}.py').model.distill.pairs[0].to_dict()
        pair.update(student='blocks.1', teacher='blocks.1.attn_logits')
        teacher = dict(
            _delete_=True, type='mmlite.TimmViT', model_name='vit_tiny_patch16_dinov3_qkvb',
            img_size=64, timm_kwargs=dict(depth=2),
        )  # fmt: skip
        changes = dict(decode_from='blocks.0', distill=dict(pairs=[pair], teacher=teacher))
    model = build(name, dict(img_size=64), neck=dict(grid=4), **changes)
    learns(model, torch.stack(random_images(64)), [DataSample() for _ in range(2)])


def test_classification():
    model = build(
        'cls/vit-tiny_8xb128-coslr-300e_in1k', {}, train_cfg=None,
        head=dict(loss=dict(_delete_=True, type='CrossEntropyLoss')),
    )  # fmt: skip
    learns(model, torch.stack(random_images(70)), [DataSample().set_gt_label(i) for i in range(2)])


def test_detection_with_windows():
    name = 'det/mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px'
    small = dict(ALONE, rel_pos=None, window_size=3, global_blocks=(1,), img_size=128)
    model = build(
        name, small, data_preprocessor=dict(pad_size_divisor=128),
        train_cfg=dict(rpn_proposal=dict(max_per_img=50), rcnn=dict(sampler=dict(num=16))),
    )  # fmt: skip
    samples = []
    for _ in range(2):
        mask = np.zeros((1, 128, 128), np.uint8)
        mask[:, 20:90, 10:100] = 1
        boxes = torch.tensor([[10.0, 20.0, 100.0, 90.0]])
        found = InstanceData(
            bboxes=boxes, labels=torch.zeros(1).long(), masks=BitmapMasks(mask, 128, 128)
        )
        shape = dict(img_shape=(128, 128), ori_shape=(128, 128), scale_factor=(1, 1), img_id=0)
        none = InstanceData(bboxes=boxes[:0], labels=torch.zeros(0).long())
        samples.append(DetDataSample(metainfo=shape, gt_instances=found, ignored_instances=none))
    learns(model, random_images(128), samples)


@pytest.mark.parametrize('head', ['semfpn', 'upernet'])
def test_segmentation(head):
    model = build(
        f'seg/{head}_vit-tiny_8xb2-amp-160k_ade20k-512x512',
        dict(rel_pos=None, out_indices=(0, 0, 1, 1)),
        data_preprocessor=dict(size=(96, 96), test_cfg=None),
    )
    labels = torch.randint(0, 150, (1, 96, 96))
    shape = dict(img_shape=(96, 96), ori_shape=(96, 96))
    samples = [SegDataSample(gt_sem_seg=PixelData(data=labels), metainfo=shape) for _ in range(2)]
    learns(model, random_images(96), samples)


@pytest.mark.parametrize('variant', ['vit-tiny', 'vit-tiny-ce'])
def test_tracking(variant):
    name = f'track/ostrack_{variant}_4xb32-300e_sot-256px'
    sizes = dict(template_size=64, search_size=128)
    changes = dict(elimination=dict(blocks=(0,))) if 'ce' in variant else {}
    model = build(name, ALONE, **sizes, **changes)
    inputs = dict(template=torch.stack(random_images(64)), search=torch.stack(random_images(128)))
    learns(model, inputs, dict(box=torch.tensor([[0.3, 0.3, 0.3, 0.3]] * 2)))
