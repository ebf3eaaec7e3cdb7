"""DINO: a student predicts what its EMA sees in other crops of the image."""

from numbers import Real

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce
from mmengine.model import BaseModule
from timm.layers import trunc_normal_
from torch import nn

from mmlite.errors import ArgumentError
from mmlite.registry import MODELS

from ..layers.inits import init_linears
from .momentum import (
    ViewPretrainer,
    check_points,
    encode_views,
    piecewise_linear,
    training_progress,
)


@MODELS.register_module()
class DINOProjector(BaseModule):
    """Projection head of DINO (arXiv 2104.14294, appendix C): MLP, L2 norm, prototypes.

    Rows of the last layer have unit length (the official ``norm_last_layer``): logits are cosines.

    Args:
        in_channels (int): Channels of the backbone's vectors. Defaults to 192.
        out_channels (int): Prototypes K. Defaults to 65536.
        hidden_channels, bottleneck_channels (int): Width of the MLP, and of its output.
            Default to 2048 and 256.
        num_layers (int): Linear layers of the MLP, GELU between them. Defaults to 3.
    """

    def __init__(
        self, in_channels=192, out_channels=65536, hidden_channels=2048, bottleneck_channels=256,
        num_layers=3, init_cfg=None,
    ):  # fmt: skip
        super().__init__(init_cfg)
        widths = [in_channels, *[hidden_channels] * (num_layers - 1), bottleneck_channels]
        layers = []
        for width, next_width in zip(widths[:-1], widths[1:], strict=True):
            layers += [nn.Linear(width, next_width), nn.GELU()]
        self.mlp = nn.Sequential(*layers[:-1])
        init_linears(self.mlp, lambda weight: trunc_normal_(weight, std=0.02))
        self.last_layer = nn.Linear(bottleneck_channels, out_channels, bias=False)

    def forward(self, x):
        """Cosines (B, K) of vectors (B, C) with the prototypes."""
        x = F.normalize(self.mlp(x), dim=-1)
        return F.linear(x, F.normalize(self.last_layer.weight, dim=-1))


@MODELS.register_module()
class DINOLoss(BaseModule):
    """Cross-entropy between the teacher's centered, sharpened output and the student's (eq. 3, 4).

    Args:
        out_channels (int): Prototypes K. Defaults to 65536.
        student_temperature (float): Defaults to 0.1.
        teacher_temperature (float | Sequence[tuple[float, float]]): Constant, or points
            (share of training, temperature) of a piecewise linear schedule; the official warm-up
            is ``[(0, 0.04), (30 / epochs, 0.07)]``. Defaults to 0.04.
        center_momentum (float): Weight of the old center in its update by the mean output of a
            batch, over all GPUs. Defaults to 0.9.
    """

    def __init__(
        self, out_channels=65536, student_temperature=0.1, teacher_temperature=0.04,
        center_momentum=0.9, init_cfg=None,
    ):  # fmt: skip
        super().__init__(init_cfg)
        if isinstance(teacher_temperature, Real):
            teacher_temperature = [(0.0, teacher_temperature)]
        check_points('teacher_temperature', teacher_temperature)
        self.student_temperature = student_temperature
        self.teacher_temperature = teacher_temperature
        self.center_momentum = center_momentum
        self.register_buffer('center', torch.zeros(out_channels))

    def forward(self, student, teacher):
        """Mean cross-entropy over pairs of a teacher's view and another view of the student.

        ``student`` holds logits of all views (V, B, K), those of ``teacher`` (G, B, K) first.
        """
        iteration, last = training_progress()
        temperature = piecewise_linear(self.teacher_temperature, iteration / last)
        with torch.autocast(student.device.type, enabled=False):
            student, teacher = student.float() / self.student_temperature, teacher.float()
            target = ((teacher - self.center) / temperature).softmax(dim=-1)
            # cross-entropy = logsumexp(z) - <p, z>, because p sums to 1: all pairs are one product
            agreement = torch.einsum('gbk,vbk->gv', target, student) / student.shape[1]
            entropy = student.logsumexp(dim=-1).mean(dim=1) - agreement
        if self.training:
            mean = teacher.mean(dim=(0, 1)).detach()
            all_reduce(mean, 'mean')
            self.center.lerp_(mean, 1 - self.center_momentum)
        same = entropy.diagonal()
        return (entropy.sum() - same.sum()) / (entropy.numel() - len(same))


@MODELS.register_module()
class DINO(ViewPretrainer):
    """Self-distillation without labels (arXiv 2104.14294) on any backbone of the suite.

    The teacher is the student's EMA in evaluation mode. Crops of one size pass the backbone in one
    batch. The recipe also has :class:`~mmlite.engine.hooks.ClipEachTensorHook` and
    :class:`~mmlite.engine.hooks.FreezeLayersHook`.

    Args:
        neck (dict): A :class:`DINOProjector`.
        head (dict): A :class:`DINOLoss` of as many channels.
        num_global_views (int): Number of the first views, seen by the teacher. Defaults to 2.
        base_momentum (float): Of the teacher. Defaults to 0.996.
        backbone, **kwargs: As in :class:`~.momentum.ViewPretrainer`.
    """

    def __init__(self, backbone, neck, head, num_global_views=2, base_momentum=0.996, **kwargs):
        super().__init__(backbone, neck, head, base_momentum, always_eval=True, **kwargs)
        channels = self.neck.last_layer.out_features, self.head.center.numel()
        if channels[0] != channels[1]:
            raise ArgumentError(
                f'neck.out_channels is {channels[0]} but head.out_channels {channels[1]}: set both '
                f'to the number of prototypes'
            )
        self.num_global_views = num_global_views

    def loss(self, inputs, data_samples=None):
        """``loss`` of a list of views, normalized images (B, 3, H, W), the global ones first."""
        self.begin_iteration(inputs, max(2, self.num_global_views))
        with torch.no_grad():
            teacher = self._project(self.momentum_encoder, inputs[: self.num_global_views])
        return dict(loss=self.head(self._project(self, inputs), teacher))

    @staticmethod
    def _project(encoder, views):
        vectors = torch.cat(encode_views(encoder.backbone, views))
        return encoder.neck(vectors).unflatten(0, (len(views), -1))
