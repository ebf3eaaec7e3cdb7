"""MoCo v3: the loss against its formula, and what the recipe depends on."""

from copy import deepcopy
from pathlib import Path

import pytest
import tiny_methods as methods
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.model import revert_sync_batchnorm
from mmpretrain.models.heads import MoCoV3Head as StockHead
from torch import nn

from mmlite.errors import ArgumentError
from mmlite.models.pretrain import MoCoV3Head, mocov3
from mmlite.registry import OPTIM_WRAPPER_CONSTRUCTORS, TRANSFORMS

RECIPE = Path(__file__).parents[2] / (
    'configs/pretrain/mocov3/mocov3_vit-tiny_8xb128-amp-coslr-400e_in1k.py'
)


def cosine(a, b):
    return float((a @ b) / (a.norm() * b.norm()))


def slow_loss(model, views):
    """The symmetric InfoNCE loss of section 3, image by image."""
    total, temperature = 0.0, 0.2
    for query_view, key_view in (views, views[::-1]):
        queries = model.head.predictor(model.neck(model.backbone(query_view)))[0]
        encoder = model.momentum_encoder
        keys = encoder.neck(encoder.backbone(key_view))[0]
        for i, query in enumerate(queries):
            logits = torch.tensor([cosine(query, key) / temperature for key in keys])
            total += float(logits.exp().sum().log() - logits[i]) / len(queries)
    return 2 * temperature * total


def test_loss_is_that_of_the_formula():
    model = methods.build('mocov3')
    views, _ = methods.batch('mocov3')
    with torch.no_grad():  # two different encoders
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter) * parameter.requires_grad)
        before = deepcopy(model)
        got = model.loss(views)['loss']
        before.momentum_encoder.update(before, 0.99)
        torch.testing.assert_close(got, torch.tensor(slow_loss(before, views)))


@pytest.mark.parametrize(('iteration', 'momentum'), [(0, 0.99), (5, 0.995), (10, 1.0)])
def test_momentum_rises_by_iteration(iteration, momentum):
    model = methods.build('mocov3')
    MessageHub.get_instance('a run').update_info_dict(dict(iter=iteration, max_iters=10))
    with torch.no_grad():
        model.backbone.cls_token.add_(1.0)
    old = model.momentum_encoder.backbone.cls_token.clone()
    model.loss(methods.batch('mocov3')[0])
    moved = model.momentum_encoder.backbone.cls_token - old
    torch.testing.assert_close(moved, torch.full_like(old, 1 - momentum), atol=1e-6, rtol=0)


def test_both_views_pass_the_backbone_at_once_and_the_projector_apart():
    model = methods.build('mocov3')
    seen = []
    for name in ('backbone', 'neck', 'head.predictor', 'momentum_encoder.neck'):
        module = model.get_submodule(name)
        module.register_forward_pre_hook(
            lambda _, args, name=name: (
                seen.append((name, len(args[0][0] if args[0] else 0)))
                if name != 'backbone'
                else seen.append((name, len(args[0])))
            )
        )
    model.loss(methods.batch('mocov3', images=5)[0])
    assert seen[0] == ('backbone', 10)
    for name in ('neck', 'momentum_encoder.neck', 'head.predictor'):
        assert [count for known, count in seen if known == name] == [5, 5]


def heads():
    predictor = methods.perceptron(16, 16, 2)
    torch.manual_seed(0)
    own = MoCoV3Head(predictor, temperature=0.3)
    loss = dict(type='CrossEntropyLoss', loss_weight=0.6)
    stock = StockHead(predictor, loss, temperature=0.3)
    stock.load_state_dict(own.state_dict())
    return own, stock


def test_head_is_that_of_mmpretrain():
    methods.init_default_scope('mmpretrain')
    own, stock = heads()
    base, momentum = torch.randn(2, 5, 16)
    torch.testing.assert_close(own.loss(base, momentum), stock.loss(base, momentum))


def test_negatives_come_from_all_processes(monkeypatch):
    """On the second of two processes the own keys are the second half."""
    methods.init_default_scope('mmpretrain')
    head, _ = heads()
    base, momentum, others = torch.randn(3, 5, 16)
    alone = head.loss(base, momentum)
    others = nn.functional.normalize(others, dim=1)
    monkeypatch.setattr(mocov3, 'all_gather', lambda keys: [others, keys])
    monkeypatch.setattr(mocov3, 'get_rank', lambda: 1)
    query = nn.functional.normalize(head.predictor([base])[0], dim=1)
    logits = query @ torch.cat([others, nn.functional.normalize(momentum, dim=1)]).T / 0.3
    want = 0.6 * nn.functional.cross_entropy(logits, torch.arange(5, 10))
    got = head.loss(base, momentum)
    torch.testing.assert_close(got, want)
    assert got > alone


def test_one_image_is_too_few_for_batch_norm(monkeypatch):
    model = methods.build('mocov3')
    views, _ = methods.batch('mocov3', images=1)
    with pytest.raises(ArgumentError, match='two images, got 1: increase train_dataloader.batch'):
        model.loss(views)
    monkeypatch.setattr(mocov3, 'get_world_size', lambda: 2)
    model._check_batch(1)  # synchronised over two processes
    revert_sync_batchnorm(model)  # as where there is no GPU
    with pytest.raises(ArgumentError, match='two images'):
        model._check_batch(1)
    assert model.eval().loss(views)['loss'].isfinite()


def test_wrong_arguments_name_themselves():
    for out_type in ('raw', 'featmap'):
        with pytest.raises(ArgumentError, match=f"backbone.out_type is '{out_type}': choose from"):
            methods.build('mocov3', backbone=dict(methods.VIT, out_type=out_type))
    model = methods.build('mocov3')
    views, _ = methods.batch('mocov3')
    for inputs, count in ((views[:1], 1), (views[0], 1)):
        with pytest.raises(ArgumentError, match=f'requires 2 views .* got {count}: make them with'):
            model.loss(inputs)


# ---- the recipe ----------------------------------------------------------------------------------


@pytest.fixture(scope='module')
def recipe():
    return Config.fromfile(RECIPE)


def test_optimiser_of_the_recipe(recipe):
    """Table S1's counterpart: everything is decayed by 0.1; 6e-4 for 1024 images."""
    model = methods.build('mocov3')
    wrapper = dict(recipe.optim_wrapper, type='OptimWrapper')
    built = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type=wrapper.pop('constructor'),
            paramwise_cfg=wrapper.pop('paramwise_cfg', None),
            optim_wrapper_cfg=wrapper,
        )
    )(model)
    (group,) = built.optimizer.param_groups
    assert (group['lr'], group['weight_decay'], group['betas']) == (6e-4, 0.1, (0.9, 0.999))
    assert len(group['params']) == sum(p.requires_grad for p in model.parameters())
    assert recipe.train_dataloader.batch_size * 8 == recipe.auto_scale_lr.base_batch_size == 1024
    warm_up, decay = recipe.param_scheduler
    assert warm_up.start_factor * 6e-4 == pytest.approx(1e-6)
    assert (warm_up.end, decay.begin, decay.end, decay.eta_min) == (40, 40, 400, 0)


def test_augmentations_of_the_recipe(recipe):
    multi = recipe.train_pipeline[1]
    assert (multi.type, multi.num_views) == ('MultiView', [1, 1])
    for view, blur, solarize in zip(multi.transforms, (1.0, 0.1), (0.0, 0.2), strict=True):
        steps = {step.type: step for step in view}
        assert steps['mmlite.RandomResizedCrop'].crop_ratio_range == (0.08, 1.0)
        assert steps['RandomApply'].prob == 0.8
        (jitter,) = steps['RandomApply'].transforms
        assert [jitter[k] for k in ('brightness', 'contrast', 'saturation', 'hue')] == [
            0.4, 0.4, 0.2, 0.1
        ]  # fmt: skip
        assert steps['RandomGrayscale'].prob == 0.2
        assert (steps['GaussianBlur'].prob, steps['Solarize'].prob) == (blur, solarize)
        assert steps['RandomFlip'].prob == 0.5


def test_blur_is_drawn_for_every_image(recipe):
    methods.init_default_scope('mmpretrain')
    (step,) = [s for s in recipe.train_pipeline[1].transforms[0] if s.type == 'GaussianBlur']
    blur = TRANSFORMS.build(step)
    drawn = [blur.random_magnitude() for _ in range(300)]
    assert len(set(drawn)) == 300
    assert 0.1 <= min(drawn) < 0.2 and 1.9 < max(drawn) <= 2.0
