"""MoCo v3: the loss against its formula, and what the recipe depends on."""

from copy import deepcopy

import pytest
import tiny_methods as methods
import torch
from mmengine.logging import MessageHub
from mmengine.model import revert_sync_batchnorm
from torch import nn

from mmlite.errors import ArgumentError
from mmlite.models.pretrain import MoCoV3Head, mocov3


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
