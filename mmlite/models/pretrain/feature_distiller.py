"""Distillation of features of whole images, without masks and without a decoder."""

import torch
from mmpretrain.models import BaseSelfSupervisor

from mmlite.errors import ArgumentError
from mmlite.registry import MODELS

from .distill import read_taps


@MODELS.register_module()
class FeatureDistiller(BaseSelfSupervisor):
    """Train a backbone to have the features of one or more frozen teachers.

    Student and teachers see whole images.

    Args:
        backbone (dict): A :class:`~mmlite.models.backbones.vit.ViT`,
            :class:`~mmlite.models.backbones.hiera.Hiera` or
            :class:`~mmlite.models.backbones.swin.Swin`, ``out_type='raw'``.
        distill (dict): A :class:`~.distill.Distillation`.
        mixup (bool): Mix the images of a batch with those of a permutation, ``x + r (y - x)``
            with one r of U(0, 1) a batch; teachers see the mixed images. Defaults to False.
        **kwargs: ``data_preprocessor`` and ``init_cfg`` of mmpretrain's ``BaseSelfSupervisor``.
    """

    def __init__(self, backbone, distill, mixup=False, **kwargs):
        super().__init__(backbone, **kwargs)
        self.distill = MODELS.build(distill, default_args=dict(student=self.backbone))
        self.mixup = mixup
        if mixup and self.distill.cache:
            raise ArgumentError('a cache of features requires fixed images: set mixup=False')

    def loss(self, inputs, data_samples=None):
        """One loss per distilled pair, of normalized images (B, 3, H, W)."""
        if self.mixup:
            order = torch.randperm(len(inputs), device=inputs.device)
            inputs = torch.lerp(inputs, inputs[order], torch.rand((), device=inputs.device))
        tapped = read_taps(self.backbone, inputs, self.distill.student_taps)
        return self.distill(inputs, {}, tapped, data_samples)
