"""MAE with a small reward for visible patches (arXiv 2402.03752)."""

import torch

from mmlite.errors import ArgumentError
from mmlite.models.pretrain.mae import MAE
from mmlite.registry import MODELS


@MODELS.register_module()
class DiscountedMAE(MAE):
    """:class:`~mmlite.models.pretrain.mae.MAE` that restores visible patches as well.

    The loss is ``mean over hidden patches + discount * mean over visible patches``.

    Args:
        discount (float): Weight of the visible patches; 0 is plain MAE. The paper does not print
            its value. Defaults to 0.1.
        **kwargs: As in MAE. A decoder (``neck``) and its loss (``head``) are needed, distillation
            is not supported.

    Raises:
        ArgumentError: The discount is negative, or there is no decoder, or a distillation.
    """

    def __init__(self, discount=0.1, **kwargs):
        super().__init__(**kwargs)
        if discount < 0:
            raise ArgumentError(f'discount is {discount}; it must be >= 0')
        if not self.with_neck or self.distill is not None:
            raise ArgumentError('DiscountedMAE needs neck and head, and takes no distill')
        self.discount = discount

    def _losses(self, images, visible):
        """``loss_recon`` of hidden patches, ``loss_visible`` of the others, already discounted."""
        latent = self._latent(self._encode(images, visible))
        hidden = visible.hidden.shape[1]
        targets = torch.cat([visible.hidden, visible.shown], dim=1)
        pred = self.neck(latent, visible.shown, targets)
        seen = self.head.loss(pred[:, hidden:], images, visible.shown)
        return dict(
            loss_recon=self.head.loss(pred[:, :hidden], images, visible.hidden),
            loss_visible=self.discount * seen,
        )
