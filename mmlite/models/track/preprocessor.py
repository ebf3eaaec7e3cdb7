"""Normalization of crops."""

import torch
from mmengine.model import BaseDataPreprocessor

from mmlite.registry import MODELS


@MODELS.register_module()
class TrackDataPreprocessor(BaseDataPreprocessor):
    """Move batches of crops, already padded with black, to the device and normalize them there.

    Args:
        mean, std (Sequence[float]): Of the channels in the order of the network's input, in 0..255.
        bgr_to_rgb (bool): Convert BGR crops to RGB. Defaults to True.
        non_blocking (bool): Copy from pinned memory in the background. Defaults to True.
    """

    def __init__(self, mean, std, bgr_to_rgb=True, non_blocking=True):
        super().__init__(non_blocking)
        self.bgr_to_rgb = bgr_to_rgb
        for name, values in (('mean', mean), ('std', std)):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)

    def forward(self, data, training=False):
        """Normalize ``data['inputs']``, a dict of uint8 crops (B, 3, H, W), on the device."""
        data = self.cast_data(data)
        inputs = {name: self.normalise(crops) for name, crops in data['inputs'].items()}
        return data | dict(inputs=inputs)

    def normalise(self, crops):
        """Convert crops (B, 3, H, W) to float32 images of the network."""
        crops = crops.flip(1) if self.bgr_to_rgb else crops
        return (crops.float() - self.mean) / self.std
