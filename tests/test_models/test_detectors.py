"""The Mask R-CNN recipes: golden pyramid, the paper's cost, and training on odd batches."""

from pathlib import Path

import golden
import pytest
import task_recipes
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from mmlite.analysis.complexity import detector_complexity
from mmlite.errors import ArgumentError
from mmlite.models import SimpleFeaturePyramid
from mmlite.registry import MODELS

CONFIGS = Path(__file__).parents[2] / 'configs'
RECIPES = {
    'vit': 'mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px',
    'hiera': 'mask-rcnn_hiera-tiny-fpn_8xb8-amp-lsj-100e_coco-640px',
    'swin': 'mask-rcnn_swin-1g-fpn_8xb8-amp-lsj-100e_coco-640px',
}


def build(path):
    cfg = Config.fromfile(path)
    init_default_scope(cfg.default_scope)
    torch.manual_seed(0)
    return MODELS.build(cfg.model), cfg


def recipe(name):
    return build(CONFIGS / 'det' / f'{RECIPES[name]}.py')


def shapes(name):
    return build(CONFIGS / 'shapes' / 'det' / f'{RECIPES[name]}_shapes.py')


@pytest.mark.parametrize(('size', 'tolerance'), [(320, (1e-4, 1e-5)), (640, (1e-3, 1e-4))])
def test_simple_feature_pyramid_golden(size, tolerance):
    """The official weights in our pyramid, on the official last map."""
    name = f'vitdet_tiny_{size}'
    weights = golden.weights(name)
    pyramid = SimpleFeaturePyramid(192)
    # both list a level's parameters in the order of computation
    theirs = [k for k in weights if k.startswith('simfp_')]
    state = dict(zip(pyramid.state_dict(), (weights[k] for k in theirs), strict=True))
    pyramid.load_state_dict(state)

    cfg = Config.fromfile(CONFIGS / 'det' / f'{RECIPES["vit"]}.py').model.backbone
    backbone = MODELS.build(dict(cfg, img_size=size)).eval()
    backbone.load_state_dict({k[4:]: v for k, v in weights.items() if k.startswith('net.')})
    with torch.no_grad():
        levels = pyramid(backbone(golden.images(size, batch=1)))
    want = golden.tensors(name)
    assert len(levels) == 5
    for level, key in zip(levels, ('p2', 'p3', 'p4', 'p5', 'p6'), strict=True):
        step = max(1, level.shape[-1] // 12)
        got = level[:, ::16, ::step, ::step]
        torch.testing.assert_close(got, want[key], rtol=tolerance[0], atol=tolerance[1])


@pytest.mark.parametrize(
    ('first', 'count', 'built'), [(0, 6, 4), (1, 5, 3), (1, 3, 3), (2, 1, 1), (3, 3, 1), (0, 2, 2)]
)
def test_levels_of_the_pyramid_are_those_of_the_whole(first, count, built):
    """The same numbers from stride 4 * 2^first on; a level that nobody reads has no weights."""
    torch.manual_seed(0)
    whole = SimpleFeaturePyramid(16, 8, num_outs=6)
    part = SimpleFeaturePyramid(16, 8, num_outs=count, start_level=first)
    assert len(part.levels) == built
    for mine, other in zip(part.levels, whole.levels[first:], strict=False):
        mine.load_state_dict(other.state_dict())
    maps = [torch.rand(1, 16, 8, 16)]
    want = whole(maps)[first : first + count]
    assert [level.shape[-1] for level in want] == [64, 32, 16, 8, 4, 2][first : first + count]
    torch.testing.assert_close(part(maps), want, rtol=0, atol=0)


@pytest.mark.parametrize('options', [dict(num_outs=0), dict(start_level=4), dict(start_level=-1)])
def test_levels_that_do_not_exist_are_refused(options):
    with pytest.raises(ArgumentError, match=f'{next(iter(options))} .* must be'):
        SimpleFeaturePyramid(16, **options)


@pytest.mark.parametrize(
    ('name', 'params', 'gmac', 'backbone'),
    [('vit', 27_652_512, 204.29, (5_540_864, 14.09)),
     ('hiera', 28_312_030, 205.12, (6_325_230, 15.28)),
     ('swin', 28_909_786, 199.63, (6_915_306, 9.76))],
)  # fmt: skip
def test_cost_of_table_8(name, params, gmac, backbone):
    """28M parameters and 204G / 205G: MACs at 640 pixels, 1000 regions, mask head not run."""
    parts = detector_complexity(recipe(name)[0].to('meta'), (640, 640))
    assert sum(p for p, _ in parts.values()) == params
    total = sum(macs for part, (_, macs) in parts.items() if part != 'mask_head')
    assert round(total / 1e9, 2) == gmac
    assert (parts['backbone'][0], round(parts['backbone'][1] / 1e9, 2)) == backbone
    assert parts['rpn_head'][0] == 1_184_015
    assert parts['box_head'][0] == 15_618_449
    assert parts['mask_head'][0] == 2_644_304


def test_masks_are_undecided_at_first():
    """detectron2's N(0, 0.001^2) in the last convolution; mmdet's has 0.16 at this width."""
    head = recipe('vit')[0].roi_head.mask_head
    head.init_weights()
    assert head.conv_logits.weight.std().item() == pytest.approx(0.001, rel=0.05)
    assert not head.conv_logits.bias.any()
    assert head.upsample.weight.std().item() > 0.01


def sample(size, boxes, num_classes):
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks

    boxes = torch.tensor(boxes, dtype=torch.float).view(-1, 4)
    masks = torch.zeros(len(boxes), size, size, dtype=torch.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.int().tolist(), strict=True):
        mask[y1:y2, x1:x2] = 1
    instances = InstanceData(
        bboxes=boxes,
        labels=torch.arange(len(boxes)) % num_classes,
        masks=BitmapMasks(masks.numpy(), size, size),
    )
    meta = dict(img_shape=(size, size), ori_shape=(size, size), scale_factor=(1, 1), img_id=0)
    data = DetDataSample(metainfo=meta)
    data.gt_instances = instances
    data.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0).long())
    return data


def step(model, size, boxes, num_classes=4):
    """Losses of one batch of noise."""
    torch.manual_seed(0)
    data = dict(
        inputs=[torch.randint(0, 256, (3, size, size), dtype=torch.uint8) for _ in boxes],
        data_samples=[sample(size, b, num_classes) for b in boxes],
    )
    return task_recipes.step(model, data)


@pytest.mark.parametrize('name', RECIPES)
def test_every_parameter_learns_with_and_without_objects(name):
    """Without a gradient for each of them, distributed training would wait for ever."""
    model, cfg = shapes(name)
    model.init_weights()
    for boxes in ([[[20, 20, 120, 100]], [[5, 60, 90, 170]]], [[], []]):
        losses = step(model, cfg.image_size, boxes)
        assert all(abs(value) < 1e3 for value in losses.values())
        assert task_recipes.without_gradient(model) == []
    assert losses['loss_bbox'] == 0 and losses['loss_mask'] == 0


def test_a_detector_overfits_one_image():
    """The loss falls until better proposals make the regions harder."""
    model, cfg = shapes('vit')
    model.init_weights()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
    history = []
    for _ in range(16):
        history.append(step(model, cfg.image_size, [[[30, 30, 130, 110]]])['loss'])
        optimizer.step()
    assert sum(history[-4:]) / 4 < 0.5 * history[0]
