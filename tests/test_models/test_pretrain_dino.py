"""DINO: the loss against its formula, the teacher, and what the recipe depends on."""

import math
from copy import deepcopy
from pathlib import Path

import pytest
import tiny_methods as methods
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from task_recipes import optim_wrapper, scheduled
from torch import nn
from torch.nn import functional as F

from mmlite.errors import ArgumentError
from mmlite.models.pretrain import DINOLoss, DINOProjector, dino

RECIPE = Path(__file__).parents[2] / (
    'configs/pretrain/dino/dino_vit-tiny_8xb128-amp-coslr-400e_in1k.py'
)


def slow_loss(student, teacher, center, student_temperature=0.1, teacher_temperature=0.04):
    """Algorithm 1 of the paper for lists of logits (B, K), pair by pair and image by image."""
    total, pairs = 0.0, 0
    for i, t in enumerate(teacher):
        for j, s in enumerate(student):
            if i == j:
                continue
            pairs += 1
            for image in range(len(t)):
                p = ((t[image] - center) / teacher_temperature).softmax(0)
                log_q = (s[image] / student_temperature).log_softmax(0)
                total -= float((p * log_q).sum()) / len(t)
    return total / pairs


def test_loss_of_a_model():
    """Views of two sizes, in their order, through student and teacher."""
    MessageHub._instance_dict.clear()  # the momentum follows the progress of a run
    model = methods.build('dino', backbone=dict(methods.VIT, out_type='cls_token'))
    views, _ = methods.batch('dino')
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter) * parameter.requires_grad)
        center = model.head.center.normal_(std=0.1).clone()
        before = deepcopy(model)
        got = model.loss(views)['loss']
        assert model.training and not model.momentum_encoder.training
        before.momentum_encoder.update(before, 0.996)
        encoder = before.momentum_encoder
        student = [before.neck(before.backbone(v)[0]) for v in views]
        teacher = [encoder.neck(encoder.backbone(v)[0]) for v in views[:2]]
        want = slow_loss(student, teacher, center)
    torch.testing.assert_close(got, torch.tensor(want), rtol=1e-4, atol=1e-5)
    mean = torch.cat(teacher).mean(0)
    torch.testing.assert_close(model.head.center, 0.9 * center + 0.1 * mean, rtol=1e-4, atol=1e-6)


def test_center_is_averaged_over_all_processes(monkeypatch):
    head = DINOLoss(out_channels=6)
    head.center.fill_(1.0)
    teacher, others = torch.randn(2, 3, 6), torch.randn(6)
    reduced = []

    def all_reduce(tensor, op):
        reduced.append((tensor.clone(), op))
        tensor.add_(others).div_(2)

    monkeypatch.setattr(dino, 'all_reduce', all_reduce)
    head(torch.randn(4, 3, 6), teacher)
    mean = teacher.mean(dim=(0, 1))
    torch.testing.assert_close(head.center, 0.9 + 0.1 * (mean + others) / 2)
    assert len(reduced) == 1 and reduced[0][1] == 'mean'
    torch.testing.assert_close(reduced[0][0], mean)
    head.eval()(torch.randn(4, 3, 6), teacher)
    assert len(reduced) == 1


@pytest.mark.parametrize(
    ('iteration', 'temperature'), [(0, 0.04), (15, 0.055), (30, 0.07), (399, 0.07)]
)
def test_temperature_of_the_teacher_rises(iteration, temperature):
    torch.manual_seed(0)
    student, teacher = torch.randn(4, 3, 6), torch.randn(2, 3, 6)
    methods.at(iteration)
    head = DINOLoss(6, teacher_temperature=[(0.0, 0.04), (30 / 400, 0.07)])
    want = DINOLoss(6, teacher_temperature=temperature)(student, teacher)
    torch.testing.assert_close(head(student, teacher), want)


def test_loss_stays_in_single_precision_under_amp():
    torch.manual_seed(0)
    student, teacher = torch.rand(4, 3, 6) * 2 - 1, torch.rand(2, 3, 6) * 2 - 1
    want = DINOLoss(6)(student, teacher)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        got = DINOLoss(6)(student, teacher)
    torch.testing.assert_close(got, want, rtol=0, atol=0)


def test_projector_is_a_perceptron_with_a_weight_normalised_last_layer():
    torch.manual_seed(0)
    projector = DINOProjector(10, 30, hidden_channels=20, bottleneck_channels=8)
    reference = nn.Sequential(
        nn.Linear(10, 20), nn.GELU(), nn.Linear(20, 20), nn.GELU(), nn.Linear(20, 8)
    )
    reference.load_state_dict(projector.mlp.state_dict())
    last = nn.Linear(8, 30, bias=False)
    last.load_state_dict(projector.last_layer.state_dict())
    last = nn.utils.parametrizations.weight_norm(last)
    last.parametrizations.weight.original0.data.fill_(1.0)  # g
    x = torch.randn(5, 10)
    torch.testing.assert_close(projector(x), last(F.normalize(reference(x), dim=1)))
    assert projector(100 * x).abs().max() <= 1 + 1e-6
    assert not projector.mlp[0].bias.any() and projector.mlp[0].weight.std() < 0.025


def test_prototypes_of_neck_and_head_must_agree():
    head = dict(methods.METHODS['dino']['head'], out_channels=8)
    with pytest.raises(ArgumentError, match='neck.out_channels is 40 but head.out_channels 8'):
        methods.build('dino', head=head)


# ---- the recipe ----------------------------------------------------------------------------------


def test_weight_decay_of_the_recipe_rises_by_iteration_where_there_is_any():
    cfg, model = Config.fromfile(RECIPE), methods.build('dino')
    optimizer = optim_wrapper(cfg, model).optimizer
    exempt = [all(p.ndim == 1 for p in group['params']) for group in optimizer.param_groups]
    assert set(exempt) == {True, False}
    for step, groups in enumerate(scheduled(cfg, optimizer, 2)):
        rising = 0.4 + (0.04 - 0.4) * (1 + math.cos(math.pi * step / 800)) / 2
        want = [0.0 if free else rising for free in exempt]
        assert [g['weight_decay'] for g in groups] == pytest.approx(want, rel=1e-6)
