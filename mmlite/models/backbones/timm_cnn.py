"""Feature maps of any timm model as teachers of a distillation."""

import re

from mmengine.model import BaseModule
from timm.layers import Format

from mmlite.errors import ArgumentError
from mmlite.registry import MODELS

from .timm_form import create


@MODELS.register_module()
class TimmCNN(BaseModule):
    """Teacher of a distillation whose taps ``stages.I`` are maps of a timm model, e.g. a ConvNeXt.

    Maps are tokens (B, H * W, C), row-major, whatever the order of axes in timm. Weights are loaded
    when it is built. Images are normalized as for the student; most models of timm expect
    ImageNet's mean and deviation.

    Args:
        model_name (str): Name of a timm model that has ``features_only``.
        pretrained (bool): Load timm's weights of that name. Defaults to False.
        img_size (int): Image size in pixels, for :meth:`tap_shape`. Defaults to 224.
        timm_kwargs (dict, optional): Further arguments of ``timm.create_model``, e.g.
            ``checkpoint_path``.

    Raises:
        ArgumentError: timm does not build the model.
    """

    num_prefix_tokens = 0

    def __init__(self, model_name, pretrained=False, img_size=224, timm_kwargs=None):
        super().__init__()
        kwargs = dict(timm_kwargs or {}, pretrained=pretrained, features_only=True)
        self.timm_model = create(model_name, **kwargs)
        self.dims = self.timm_model.feature_info.channels()
        self.strides = self.timm_model.feature_info.reduction()
        self.patch_size = self.strides[-1]
        self.img_size = img_size
        self.channels_last = getattr(self.timm_model, 'output_fmt', None) == Format.NHWC

    def init_weights(self):
        """Leave the weights as timm made or loaded them."""

    def group_taps(self, taps):
        """Taps by stage; an ArgumentError names one that does not exist."""
        grouped = {}
        for tap in taps:
            match = re.fullmatch(r'stages\.(\d+)', tap)
            if match is None or int(match[1]) >= len(self.dims):
                raise ArgumentError(
                    f"unknown tap '{tap}': use 'stages.I' with I from 0 to {len(self.dims) - 1}"
                )
            grouped[int(match[1])] = {tap}
        return grouped

    def tap_shape(self, tap):
        """Channels and number of tokens of a tap of images of ``img_size``."""
        (stage,) = self.group_taps([tap])
        return self.dims[stage], (-(-self.img_size // self.strides[stage])) ** 2

    def tap_map(self, tokens, tap, image_size):
        """Tokens (B, N, C) of a tap as a map (B, h, w, C) of images of ``image_size`` (H, W)."""
        (stage,) = self.group_taps([tap])
        return tokens.unflatten(1, [-(-side // self.strides[stage]) for side in image_size])

    def embed(self, images, **embed):
        """Images (B, 3, H, W) as they are; the model sees whole ones."""
        if embed:
            raise ArgumentError('TimmCNN reads whole images: distil without a mask')
        return images

    def context(self, images, **embed):
        """Nothing: maps have their size."""

    def encode(self, images, taps=(), context=None, until_last_tap=False):
        """None, and a dict of the taps of images (B, 3, H, W), tokens (B, N, C)."""
        grouped = self.group_taps(taps)
        maps = self.timm_model(images)
        maps = maps if self.channels_last else [m.permute(0, 2, 3, 1) for m in maps]
        return None, {f'stages.{stage}': maps[stage].flatten(1, 2) for stage in grouped}
