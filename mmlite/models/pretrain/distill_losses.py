"""Losses of distilled features (B, N, C), and transforms of the teacher's."""

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce
from torch import nn

from mmlite.errors import ArgumentError
from mmlite.registry import MODELS

for loss in (nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss):
    MODELS.register_module(module=loss)


@MODELS.register_module()
class CosineLoss(nn.Module):
    """1 - cosine similarity of vectors (..., C), mean over all."""

    def forward(self, given, target):
        return 1 - F.cosine_similarity(given, target, dim=-1).mean()


@MODELS.register_module()
class CosineSmoothL1Loss(nn.Module):
    """Weighted sum of :class:`CosineLoss` and smooth L1, mean over all elements.

    Args:
        cosine, smooth_l1 (float): Weights. Default to AM-RADIO's 0.9 and 0.1 (arXiv 2312.06709);
            UNIC has 0.5 and 0.5.
        beta (float): Difference at which smooth L1 becomes linear. Defaults to 1.0.
    """

    def __init__(self, cosine=0.9, smooth_l1=0.1, beta=1.0):
        super().__init__()
        self.cosine, self.smooth_l1, self.beta = cosine, smooth_l1, beta

    def forward(self, given, target):
        angle = 1 - F.cosine_similarity(given, target, dim=-1).mean()
        return self.cosine * angle + self.smooth_l1 * F.smooth_l1_loss(
            given, target, beta=self.beta
        )


@MODELS.register_module()
class RelationalKLLoss(nn.Module):
    """KL divergence between the token-to-token similarities of an image, mean over tokens.

    Rows are softmaxes of cosine similarities over ``temperature``, the teacher's against the
    student's, whose channels may differ (the local loss of LightlyTrain's distillation v3).

    Args:
        temperature (float): Defaults to 0.07.
    """

    def __init__(self, temperature=0.07):
        super().__init__()
        if temperature <= 0:
            raise ArgumentError(f'temperature {temperature} must be > 0')
        self.temperature = temperature

    def forward(self, given, target):
        return F.kl_div(
            self._relations(given), self._relations(target), reduction='batchmean', log_target=True
        )

    def _relations(self, tokens):
        """Log-probabilities (B * N, N) of tokens (B, N, C)."""
        unit = F.normalize(tokens, dim=-1)
        return (unit @ unit.transpose(1, 2) / self.temperature).log_softmax(dim=-1).flatten(0, 1)


@MODELS.register_module()
class UnitNorm(nn.Module):
    """Divide vectors (..., C) by their L2 norm."""

    def __init__(self, channels):
        super().__init__()

    def forward(self, target):
        return F.normalize(target, dim=-1)


@MODELS.register_module()
class PlainLayerNorm(nn.LayerNorm):
    """Layer norm of vectors (..., ``channels``) without learned scale and shift."""

    def __init__(self, channels, eps=1e-6):
        super().__init__(channels, eps, elementwise_affine=False)


@MODELS.register_module()
class Standardize(nn.Module):
    """Standardize channels of vectors (..., ``channels``) by running mean and variance.

    A batch counts 1 / n of the n batches so far, so that the statistics are exact, and later
    ``momentum``, so that they move on. They cover all processes and are in checkpoints, and a
    batch is standardized after it was counted; in evaluation mode nothing is counted (UNIC).

    Args:
        channels (int): Filled in.
        momentum (float): Least share of a batch. Defaults to 0.001.
        eps (float): Added to the variance. Defaults to 1e-6.
    """

    def __init__(self, channels, momentum=0.001, eps=1e-6):
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.register_buffer('mean', torch.zeros(channels))
        self.register_buffer('var', torch.ones(channels))
        self.register_buffer('batches', torch.zeros((), dtype=torch.long))

    def forward(self, target):
        if self.training:
            self._count(target.detach().flatten(0, -2))
        return (target - self.mean) * (self.var + self.eps).rsqrt()

    @torch.no_grad()
    def _count(self, rows):
        mean = rows.mean(dim=0)
        all_reduce(mean, 'mean')
        var = (rows - mean).square().mean(dim=0)
        all_reduce(var, 'mean')
        self.batches += 1
        share = (1 / self.batches).clamp(min=self.momentum)
        apart = mean - self.mean
        self.var.copy_((1 - share) * (self.var + share * apart.square()) + share * var)
        self.mean += share * apart
