"""ViT-Tiny and Hiera-Tiny in recipes of mmdet and mmseg: they build, train and predict."""

import copy
import math

import pytest
import task_recipes
import torch
from mmengine.config import ConfigDict
from mmengine.logging import MessageHub
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData

from mmlite.engine.config_file import load_config
from mmlite.engine.swap import shrink_model
from mmlite.errors import UserError
from mmlite.registry import MODELS

SWAP = """
_base_ = '{recipe}'
from mmlite import swap_backbone
model, optim_wrapper, param_scheduler = swap_backbone(_base_, '{backbone}')
"""
RECIPES = {
    'mmdet::atss/atss_r50_fpn_1x_coco.py': (12.4, 14.4),
    'mmdet::cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py': (58.7, 59.3),
    'mmdet::cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py': (50.7, 51.4),
    'mmdet::condinst/condinst_r50_fpn_ms-poly-90k_coco_instance.py': (14.3, 16.2),
    'mmdet::deformable_detr/deformable-detr_r50_16xb2-50e_coco.py': (18.5, 18.3),
    'mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py': (26.0, 25.9),
    'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py': (23.1, 23.8),
    'mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py': (12.4, 14.4),
    'mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco.py': (28.0, 26.0),
    'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py': (14.0, 16.2),
    'mmdet::rtmdet/rtmdet-ins_s_8xb32-300e_coco.py': (8.0, 10.5),
    'mmdet::solov2/solov2_r50_fpn_1x_coco.py': (27.9, 28.6),
    'mmdet::tood/tood_r50_fpn_1x_coco.py': (12.3, 14.3),
    'mmseg::fcn/fcn_r50-d8_4xb4-80k_ade20k-512x512.py': (14.0, 15.0),
    'mmseg::knet/knet-s3_swin-t_upernet_8xb2-adamw-80k_ade20k-512x512.py': (50.2, 48.7),
    'mmseg::mask2former/mask2former_r50_8xb2-160k_ade20k-512x512.py': (28.0, 26.1),
    'mmseg::point_rend/pointrend_r50_4xb4-160k_ade20k-512x512.py': (10.2, 10.9),
    'mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py': (8.8, 6.8),
    'mmseg::segmenter/segmenter_vit-t_mask_8xb1-160k_ade20k-512x512.py': (6.6, 7.4),
    'mmseg::setr/setr_vit-l_mla_8xb1-80k_cityscapes-768x768.py': (9.9, 10.7),
    'mmseg::upernet/upernet_r50_4xb4-80k_ade20k-512x512.py': (37.0, 35.4),
}
"""Recipe -> millions of parameters with ViT-Tiny and with Hiera-Tiny."""
CASES = [
    pytest.param(recipe, backbone, size, id=f'{recipe.split("/")[-1].split("_")[0]}-{backbone}')
    for recipe, sizes in RECIPES.items()
    for backbone, size in zip(('vit-tiny', 'hiera-tiny'), sizes, strict=True)
]


def swapped(folder, recipe, backbone, text=SWAP):
    """The config that the lines of ``text`` make of a recipe."""
    path = folder / 'config.py'
    path.write_text(text.format(recipe=recipe, backbone=backbone))
    return load_config(path)


def without_downloads(part):
    """Remove ``init_cfg`` everywhere."""
    if isinstance(part, dict):
        part.pop('init_cfg', None)
    for value in part.values() if isinstance(part, dict) else part:
        if isinstance(value, dict | list | tuple):
            without_downloads(value)


def shrink(model, size):
    """Pad and crop to ``size`` pixels."""
    for augment in model.data_preprocessor.get('batch_augments') or []:
        augment['size'] = (size, size)
    if 'size' in model.data_preprocessor:
        model.data_preprocessor.size = (size, size)
        if model.test_cfg.get('mode') == 'slide':
            model.test_cfg.update(crop_size=(size, size), stride=(size, size))


def batch(scope, size, count):
    """Images of noise: two objects, or a label for each pixel."""
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks
    from mmseg.structures import SegDataSample

    shapes = dict.fromkeys(
        ('img_shape', 'ori_shape', 'pad_shape', 'batch_input_shape'), (size,) * 2
    )
    if scope == 'mmseg':
        sample = SegDataSample(metainfo=dict(shapes, padding_size=[0] * 4))
        sample.gt_sem_seg = PixelData(data=torch.randint(0, 4, (1, size, size)))
    else:
        boxes = torch.tensor([[4.0, 4, size / 2, size / 2], [size / 3, size / 3, size, size]])
        masks = torch.zeros(2, size, size, dtype=torch.uint8)
        for mask, (x1, y1, x2, y2) in zip(masks, boxes.int().tolist(), strict=True):
            mask[y1:y2, x1:x2] = 1
        sample = DetDataSample(metainfo=dict(shapes, scale_factor=(1, 1), img_id=0))
        sample.gt_instances = InstanceData(
            bboxes=boxes,
            labels=torch.tensor([1, 2]),
            masks=BitmapMasks(masks.numpy(), size, size),
        )
        sample.ignored_instances = InstanceData(
            bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long)
        )
    images = [torch.randint(0, 256, (3, size, size), dtype=torch.uint8) for _ in range(count)]
    return dict(inputs=images, data_samples=[copy.deepcopy(sample) for _ in images])


@pytest.mark.parametrize(('recipe', 'backbone', 'millions'), CASES)
def test_recipe_trains_and_predicts(recipe, backbone, millions, tmp_path):
    cfg = swapped(tmp_path, recipe, backbone)
    assert len([line for line in SWAP.splitlines() if line]) == 3
    init_default_scope(cfg.default_scope)
    without_downloads(cfg.model)
    size = 224 if 'dino' in recipe else 64  # DINO chooses 900 of its positions
    shrink(cfg.model, size)
    torch.manual_seed(0)
    model = revert_sync_batchnorm(MODELS.build(cfg.model))
    model.init_weights()  # the level embeddings of DETRs have none until then
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.05)

    MessageHub.get_current_instance().update_info('epoch', 0)  # read by TOOD
    wrapper = task_recipes.optim_wrapper(cfg, model)
    data = batch(cfg.default_scope, size, count=2 if cfg.default_scope == 'mmseg' else 1)
    losses = task_recipes.step(model, data)
    assert all(math.isfinite(value) for value in losses.values())
    lost = task_recipes.without_gradient(model)
    assert [name for name in lost if name.startswith(('backbone', 'neck'))] == []
    wrapper.step()

    with torch.no_grad():
        (result,) = model.eval().test_step({key: value[:1] for key, value in data.items()})
    if cfg.default_scope == 'mmseg':
        assert result.pred_sem_seg.data.shape == (1, size, size)
    else:
        assert result.pred_instances.scores.isfinite().all()


@pytest.mark.parametrize(
    ('recipe', 'settings', 'schedule'),
    [
        (  # SGD and a warm-up of its own
            'mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py',
            (1e-4, 0.05, {}),
            [('LinearLR', 0, None), ('MultiStepLR', 0, None)],
        ),
        (  # AdamW with a smaller rate for the backbone
            'mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py',
            (1e-4, 1e-4, {}),
            [('LinearLR', 0, None), ('MultiStepLR', 0, None)],
        ),
        (  # SGD whose lowest rate is the new one
            'mmseg::upernet/upernet_r50_4xb4-80k_ade20k-512x512.py',
            (1e-4, 0.05, {}),
            [('LinearLR', 0, None), ('PolyLR', 1000, 1e-6)],
        ),
        (
            'mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py',
            (6e-5, 0.01, dict(pos_block=0.0, norm=0.0, head=1.0)),
            [('LinearLR', 0, None), ('PolyLR', 1500, 0.0)],
        ),
    ],
)
def test_optimizer_and_schedule(recipe, settings, schedule, tmp_path):
    cfg = swapped(tmp_path, recipe, 'vit-tiny')
    optimizer, paramwise = cfg.optim_wrapper.optimizer, cfg.optim_wrapper.paramwise_cfg
    rules = {key: rule.get('decay_mult', 1.0) for key, rule in paramwise.custom_keys.items()}
    assert (optimizer.type, paramwise.layer_decay_rate) == ('AdamW', 0.8)
    assert (optimizer.lr, optimizer.weight_decay, rules) == settings
    found = [(part.type, part.begin, part.get('eta_min')) for part in cfg.param_scheduler]
    assert [pytest.approx(part) if part[2] else part for part in schedule] == found
    assert cfg.model.data_preprocessor.mean == [123.675, 116.28, 103.53]  # not Caffe's


@pytest.mark.parametrize('backbone', ['vit-tiny', 'hiera-tiny', 'swin-1g'])
@pytest.mark.parametrize(
    'recipe',
    [
        'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
        'mmdet::dyhead/atss_r50_fpn_dyhead_1x_coco.py',  # two necks
        'mmseg::deeplabv3plus/deeplabv3plus_r50-d8_4xb4-80k_ade20k-512x512.py',  # a second map
        'mmseg::mae/mae-base_upernet_8xb2-amp-160k_ade20k-512x512.py',  # pyramids after a ViT
        'mmseg::vit/vit_deit-s16_mln_upernet_8xb2-160k_ade20k-512x512.py',
        'mmseg::setr/setr_vit-l_naive_8xb1-80k_cityscapes-768x768.py',
        'mmseg::ocrnet/ocrnet_hr18_4xb4-80k_ade20k-512x512.py',  # a list of heads
    ],
)
def test_channels_fit_together(recipe, backbone, tmp_path):
    cfg = swapped(tmp_path, recipe, backbone)
    init_default_scope(cfg.default_scope)
    with torch.device('meta'):
        model = revert_sync_batchnorm(MODELS.build(cfg.model)).eval()
        model(torch.rand(1, 3, 128, 128), None, mode='tensor')


def test_weights_and_arguments_go_to_the_backbone(tmp_path):
    text = SWAP.replace(')\n', ", 'mae.pth', window_size=0)\n")
    cfg = swapped(tmp_path, 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py', 'vit-small', text)
    assert cfg.model.backbone.init_cfg == dict(type='Pretrained', checkpoint='mae.pth')
    assert (cfg.model.backbone.window_size, cfg.model.neck.in_channels) == (0, 384)


def test_single_settings_can_be_changed(tmp_path):
    """The rest of a head stays, its new channels included."""
    text = SWAP + 'model.update(decode_head=dict(num_classes=3))\n'
    recipe = 'mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py'
    head = swapped(tmp_path, recipe, 'hiera-tiny', text).model.decode_head
    assert (head.type, head.num_classes) == ('SegformerHead', 3)
    assert head.in_channels == [46, 92, 184, 368]


def test_integers_of_a_recipe_become_small():
    """Everywhere and nothing else; what stands for "no object" stays the last weight."""
    recipe = 'mmlite::det/mask2former_vit-tiny-sfp_8xb2-lsj-50e_coco.py'
    base = ConfigDict(model=dict(type='Other', data_preprocessor=dict(pad_size_divisor=8)))
    full = load_config(recipe).model.panoptic_head
    model = shrink_model(recipe, base, [(80, 3), (256, 64), (5, 7)])
    head = model['panoptic_head']
    assert (head['num_things_classes'], head['in_channels']) == (3, [64] * 4)
    assert head['loss_cls']['class_weight'] == [1.0, 1.0, 1.0, 0.1]
    assert full.loss_mask == head['loss_mask'] and full.loss_mask.loss_weight == 5.0
    assert (model['_delete_'], model['data_preprocessor']) == (True, dict(pad_size_divisor=8))


@pytest.mark.parametrize(
    ('recipe', 'backbone', 'message'),
    [
        ('mmdet::yolof/yolof_r50-c5_8xb8-1x_coco.py', 'vit-tiny', 'DilatedEncoder has 2048'),
        ('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py', 'vit-huge', "name 'vit-huge' is unknown"),
        ('mmdet::_base_/default_runtime.py', 'vit-tiny', 'requires a recipe with model.backbone'),
    ],
)
def test_what_does_not_fit_is_one_sentence(recipe, backbone, message, tmp_path):
    with pytest.raises(UserError, match=message):
        swapped(tmp_path, recipe, backbone)
