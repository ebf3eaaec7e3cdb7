"""mmpretrain's ``TIMMBackbone`` with maps (B, C, H, W) of any model, and errors in words."""

from mmpretrain.models import TIMMBackbone
from mmpretrain.registry import MODELS
from timm.layers import Format

from mmlite.errors import ArgumentError

from .timm_form import refusals


@MODELS.register_module(name='TIMMBackbone', force=True)
class TimmFeatures(TIMMBackbone):
    """``TIMMBackbone`` that turns channels-last maps (Swin) and names what timm refuses."""

    def __init__(self, model_name, *args, **kwargs):
        with refusals(model_name, kwargs):
            super().__init__(model_name, *args, **kwargs)
        self.model_name = model_name

    def forward(self, x):
        """Encode images (B, 3, H, W): a tuple of maps (B, C, H, W), or of other features."""
        try:
            features = super().forward(x)
        except AssertionError as error:
            height, width = x.shape[-2:]
            raise ArgumentError(
                f"timm model '{self.model_name}' refuses images of {height}x{width} pixels "
                f'({error}): set img_size of the backbone'
            ) from error
        last = getattr(self.timm_model, 'output_fmt', None) == Format.NHWC
        return tuple(map_.permute(0, 3, 1, 2) if last else map_ for map_ in features)
