"""Focal losses against their formula."""

import math

import pytest
import torch
from mmcv.ops import SigmoidFocalLoss, SoftmaxFocalLoss, sigmoid_focal_loss, softmax_focal_loss

LOGITS = [[0.0, 2.0, -1.0], [3.0, -2.0, 0.5], [1.0, 1.0, 1.0], [-4.0, 0.0, 4.0]]
TARGETS = [1, 0, 3, 2]  # 3 is background
WEIGHT = [0.5, 2.0, 3.0]


def sigmoid_table(gamma, alpha, weight):
    """(N, C), a number at a time."""
    rows = []
    for logits, target in zip(LOGITS, TARGETS, strict=True):
        factor = weight[target] if weight and target < 3 else 1.0
        probabilities = [1 / (1 + math.exp(-logit)) for logit in logits]
        rows.append([
            factor * (-alpha * (1 - p) ** gamma * math.log(p) if c == target
                      else -(1 - alpha) * p**gamma * math.log(1 - p))
            for c, p in enumerate(probabilities)
        ])  # fmt: skip
    return rows


def softmax_row(gamma, alpha, weight):
    """(N,), a number at a time; a negative target in place of the background."""
    row = []
    for logits, target in zip(LOGITS, TARGETS, strict=True):
        p = math.exp(logits[target % 3]) / sum(map(math.exp, logits))
        factor = weight[target % 3] if weight else 1.0
        row.append(0.0 if target == 3 else -factor * alpha * (1 - p) ** gamma * math.log(p))
    return row


@pytest.mark.parametrize('weight', [None, WEIGHT])
@pytest.mark.parametrize('gamma, alpha', [(2.0, 0.25), (1.5, 0.9), (0.0, 0.5)])
@pytest.mark.parametrize('kind', ['sigmoid', 'softmax'])
def test_losses(device, kind, gamma, alpha, weight):
    logits = torch.tensor(LOGITS, dtype=torch.float64, device=device)
    targets = torch.tensor(TARGETS, device=device)
    table = {'sigmoid': sigmoid_table, 'softmax': softmax_row}[kind](gamma, alpha, weight)
    expected = torch.tensor(table, dtype=torch.float64, device=device)
    if kind == 'softmax':
        targets[targets == 3] = -1
    given = None if weight is None else torch.tensor(weight, dtype=torch.float64, device=device)
    function = {'sigmoid': sigmoid_focal_loss, 'softmax': softmax_focal_loss}[kind]
    layer = {'sigmoid': SigmoidFocalLoss, 'softmax': SoftmaxFocalLoss}[kind]
    torch.testing.assert_close(function(logits, targets, gamma, alpha, given, 'none'), expected)
    for reduction, scale in (('mean', 1 / len(LOGITS)), ('sum', 1.0)):
        loss = layer(gamma, alpha, given, reduction)(logits, targets)
        assert loss.item() == pytest.approx(scale * expected.sum().item())


@pytest.mark.parametrize('gamma', [0.0, 0.5, 2.0])
@pytest.mark.parametrize('function', [sigmoid_focal_loss, softmax_focal_loss])
def test_confident_logits_are_finite(device, function, gamma):
    logits = torch.tensor([[200.0, -200.0], [-200.0, 200.0]], device=device, requires_grad=True)
    loss = function(logits, torch.zeros(2, dtype=torch.long, device=device), gamma, 0.25)
    loss.backward()
    assert loss.item() > 10 and logits.grad.isfinite().all()
    assert logits.grad[1, 0] < -0.1 and logits.grad[0, 0] == 0


def test_sampled_boxes_may_be_none(device):
    logits = torch.zeros(0, 3, device=device, requires_grad=True)
    sigmoid_focal_loss(logits, torch.zeros(0, dtype=torch.long), 2.0, 0.25, None, 'sum').backward()
    assert logits.grad.shape == (0, 3)
