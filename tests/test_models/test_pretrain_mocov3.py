"""MoCo v3: the loss against its formula, and what the recipe depends on."""

import re
from copy import deepcopy

import golden
import pytest
import tiny_methods as methods
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.model import revert_sync_batchnorm
from pretrain_recipes import ROOT
from task_recipes import optim_wrapper, scheduled
from torch import nn

from mmlite.engine.config_file import load_config
from mmlite.errors import ArgumentError
from mmlite.models.pretrain import MoCoV3Head, mocov3
from mmlite.registry import MODELS

RECIPE = ROOT.parents[1] / 'pretrain/mocov3/mocov3_vit-tiny_8xb128-amp-coslr-400e_in1k.py'


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
    MessageHub._instance_dict.clear()  # the momentum follows the progress of a run
    model = methods.build('mocov3')
    views, _ = methods.batch('mocov3')
    with torch.no_grad():  # two different encoders
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter) * parameter.requires_grad)
        before = deepcopy(model)
        got = model.loss(views)['loss']
        before.momentum_encoder.update(before, 0.99)
        torch.testing.assert_close(got, torch.tensor(slow_loss(before, views)))


def our_name(name):
    """Our name of one of the official parameters."""
    name = re.sub(r'^base_encoder\.', '', name)
    layers = re.match(r'((?:momentum_encoder\.)?head|predictor)\.(\d)\.', name)
    if layers is None:
        return re.sub(r'^((momentum_encoder\.)?)', r'\1backbone.', name)
    kind = ('fc', 'bn')[int(layers[2]) % 3]
    part = {'predictor': 'head.predictor'}.get(layers[1], layers[1].replace('head', 'neck'))
    return name.replace(layers[0], f'{part}.{kind}{int(layers[2]) // 3}.')


def test_golden():
    """Loss, gradients and the updated momentum encoder of the official code, of step 30 of 100."""
    methods.init_default_scope('mmpretrain')
    model = revert_sync_batchnorm(MODELS.build(Config.fromfile(RECIPE).model)).train()
    weights, want = golden.weights('mocov3_vit_tiny'), golden.tensors('mocov3_vit_tiny')
    # the official code averages positions, too, which differ here but never in training
    positions = weights['momentum_encoder.pos_embed']
    positions.lerp_(weights['base_encoder.pos_embed'], 1 - float(want['momentum']))
    names = {key: our_name(key) for key in weights}
    result = model.load_state_dict({names[key]: weights[key] for key in names}, strict=False)
    assert not result.unexpected_keys
    assert all(key.endswith('num_batches_tracked') for key in result.missing_keys)
    methods.at(30, last=100)
    views = [torch.from_numpy(golden.array(f'view{i}', (8, 3, 224, 224))) for i in (1, 2)]
    loss = model.loss(views)['loss']
    torch.testing.assert_close(loss.detach(), want['loss'], rtol=1e-4, atol=1e-5)
    qkv = model.momentum_encoder.backbone.blocks[0].attn.qkv.weight[::9, ::8]
    torch.testing.assert_close(qkv, want['momentum_qkv'], rtol=1e-4, atol=1e-5)
    loss.backward()
    for field in [key for key in want if key.startswith('grad:')]:
        gradient = model.get_parameter(names[field.removeprefix('grad:')]).grad
        gradient = gradient[::9, ::8] if gradient.ndim == 2 else gradient
        torch.testing.assert_close(gradient, want[field], rtol=1e-3, atol=1e-5, msg=field)


def test_negatives_come_from_all_processes(monkeypatch):
    """On the second of two processes the own keys are the second half."""
    methods.init_default_scope('mmpretrain')
    torch.manual_seed(0)
    head = MoCoV3Head(methods.perceptron(16, 16, 2), temperature=0.3)
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


def test_the_patch_projection_may_stay_fixed():
    """The option of the README: a rate of 0 for it alone, through the whole schedule."""
    options = {'optim_wrapper.paramwise_cfg.custom_keys.patch_embed.lr_mult': 0.0}
    cfg = load_config(RECIPE, options)
    methods.init_default_scope('mmpretrain')
    optimizer = optim_wrapper(cfg, methods.build('mocov3')).optimizer
    for groups in scheduled(cfg, optimizer, 1)[::40]:
        rates = {name: group['lr'] for group in groups for name in group['param_names']}
        still = {name for name, rate in rates.items() if rate == 0}
        assert still == {f'backbone.patch_embed.proj.{part}' for part in ('weight', 'bias')}
