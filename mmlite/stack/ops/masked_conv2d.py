"""Convolution within a mask (Guided Anchoring, Wang et al., CVPR 2019)."""

import torch
from torch.nn import functional as F


def masked_conv2d(features, mask, weight, bias, padding=0, stride=1):
    """Convolve where ``mask`` is positive and give 0, without the bias, elsewhere.

    ``features`` (1, C, H, W), ``mask`` (1, H', W') of the output's size. The whole map is
    convolved: a list of the chosen pixels would have to be read from the GPU. Unlike mmcv's, it has
    gradients.
    """
    output = F.conv2d(features, weight, bias, stride, padding)
    return torch.where(mask[:, None] > 0, output, 0)
