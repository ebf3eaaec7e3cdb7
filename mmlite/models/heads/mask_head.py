"""Mask R-CNN's mask head with detectron2's initialization."""

from mmdet.models.roi_heads.mask_heads import FCNMaskHead as BaseFCNMaskHead
from torch import nn

from mmlite.registry import MODELS


@MODELS.register_module()
class FCNMaskHead(BaseFCNMaskHead):
    """mmdet's mask head, whose last convolution is sampled from N(0, 0.001^2), as in detectron2.

    mmdet's own has Kaiming's distribution. First masks are thus close to 0.5 everywhere.
    """

    def init_weights(self):
        """Initialize all layers, the last convolution at last."""
        super().init_weights()
        nn.init.normal_(self.conv_logits.weight, std=0.001)
