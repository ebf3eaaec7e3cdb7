"""Focal losses against their formula."""

import pytest
import torch
from mmcv.ops import SigmoidFocalLoss, SoftmaxFocalLoss, sigmoid_focal_loss, softmax_focal_loss
from parity import check

LOGITS = [[0.0, 2.0, -1.0], [3.0, -2.0, 0.5], [1.0, 1.0, 1.0], [-4.0, 0.0, 4.0]]
TARGETS = [1, 0, 3, 2]  # 3 is background
WEIGHT = [0.5, 2.0, 3.0]


def sigmoid_table(logits, gamma, alpha, weight):
    """(N, C), a number at a time."""
    rows = []
    for row, target in zip(logits.sigmoid(), TARGETS, strict=True):
        factor = weight[target] if weight and target < 3 else 1.0
        rows += [
            factor * (-alpha * (1 - p) ** gamma * p.log() if c == target
                      else -(1 - alpha) * p**gamma * (1 - p).log())
            for c, p in enumerate(row)
        ]  # fmt: skip
    return torch.stack(rows).view(logits.shape)


def softmax_row(logits, gamma, alpha, weight):
    """(N,), a number at a time; a negative target in place of the background."""
    row = []
    for values, target in zip(logits.exp(), TARGETS, strict=True):
        p = values[target % 3] / values.sum()
        factor = 0.0 if target == 3 else weight[target] if weight else 1.0
        row.append(-factor * alpha * (1 - p) ** gamma * p.log())
    return torch.stack(row)


@pytest.mark.parametrize('weight', [None, WEIGHT])
@pytest.mark.parametrize('gamma, alpha', [(2.0, 0.25), (1.5, 0.9), (0.0, 0.5)])
@pytest.mark.parametrize(
    'function, layer, slow, background',
    [(sigmoid_focal_loss, SigmoidFocalLoss, sigmoid_table, 3),
     (softmax_focal_loss, SoftmaxFocalLoss, softmax_row, -1)],
)  # fmt: skip
def test_losses(device, function, layer, slow, background, gamma, alpha, weight):
    logits = torch.tensor(LOGITS, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([background if t == 3 else t for t in TARGETS], device=device)
    given = None if weight is None else torch.tensor(weight, device=device)

    def operator(logits):
        there = given if given is None else given.to(logits.device)
        return function(logits, targets.to(logits.device), gamma, alpha, there, 'none')

    check(
        operator,
        lambda logits: slow(logits, gamma, alpha, weight),
        logits,
        device=device,
    )
    expected = slow(logits, gamma, alpha, weight).sum().item()
    for reduction, scale in (('mean', 1 / len(LOGITS)), ('sum', 1.0)):
        loss = layer(gamma, alpha, given, reduction)(logits.detach().to(device), targets)
        assert loss.item() == pytest.approx(scale * expected)


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
    targets = torch.zeros(0, dtype=torch.long, device=device)
    sigmoid_focal_loss(logits, targets, 2.0, 0.25, None, 'sum').backward()
    assert logits.grad.shape == (0, 3)
