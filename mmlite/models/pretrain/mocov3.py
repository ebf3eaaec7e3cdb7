"""MoCo v3: contrast two views of an image with those of all other images."""

import torch
import torch.nn.functional as F
from mmengine.dist import all_gather, get_rank, get_world_size
from mmpretrain.models.heads import MoCoV3Head as BaseMoCoV3Head
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmlite.errors import ArgumentError
from mmlite.registry import MODELS

from .momentum import ViewPretrainer, encode_views


@MODELS.register_module()
class MoCoV3Head(BaseMoCoV3Head):
    """Predictor and InfoNCE loss (MoCo v3, section 3), weighted by 2 ``temperature``.

    Equal to mmpretrain's, which copies labels from the host in every step. The ``predictor`` maps
    projected vectors of the encoder to the momentum encoder's.
    """

    def __init__(self, predictor, temperature=0.2):
        loss = dict(type='CrossEntropyLoss', loss_weight=2 * temperature)
        super().__init__(predictor, loss, temperature)

    def loss(self, base_out, momentum_out):
        """Find the other view of an image among those of all images on all GPUs.

        Both are projections (B, C), of one view by the encoder, of the other by its EMA.
        """
        query = F.normalize(self.predictor([base_out])[0], dim=1)
        keys = torch.cat(all_gather(F.normalize(momentum_out, dim=1)))
        labels = torch.arange(len(query), device=query.device) + len(query) * get_rank()
        return self.loss_module(query @ keys.T / self.temperature, labels)


@MODELS.register_module()
class MoCoV3(ViewPretrainer):
    """MoCo v3 (arXiv 2104.02057) on any backbone of the suite.

    Both views pass the backbone in one batch, but batch norms of projector and predictor one by
    one.

    Args:
        neck (dict): Projector, mmpretrain's ``NonLinearNeck`` with ``with_avg_pool=False``.
        head (dict): A :class:`MoCoV3Head`.
        backbone, base_momentum, **kwargs: As in :class:`~.momentum.ViewPretrainer`.
    """

    def loss(self, inputs, data_samples=None):
        """``loss`` of two views, normalized images (B, 3, H, W), symmetric in the views."""
        self.begin_iteration(inputs)
        self._check_batch(len(inputs[0]))
        queries = self._project(self, inputs[:2])
        with torch.no_grad():
            keys = self._project(self.momentum_encoder, inputs[:2])
        loss = self.head.loss(queries[0], keys[1]) + self.head.loss(queries[1], keys[0])
        return dict(loss=loss)

    @staticmethod
    def _project(encoder, views):
        return [encoder.neck((x,))[0] for x in encode_views(encoder.backbone, views)]

    def _check_batch(self, images):
        norms = [m for m in self.modules() if isinstance(m, _BatchNorm)]
        if not (norms and self.training):
            return
        if all(isinstance(m, nn.SyncBatchNorm) for m in norms):
            images *= get_world_size()
        if images < 2:
            raise ArgumentError(
                'batch norm of the projector requires at least two images, got 1: increase '
                'train_dataloader.batch_size'
            )
