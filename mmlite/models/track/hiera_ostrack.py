"""One-stream tracker on Hiera, an extension of this suite."""

import torch

from mmlite.errors import ArgumentError
from mmlite.registry import MODELS

from ..layers import join_units
from .one_stream import OneStreamTracker


@MODELS.register_module()
class HieraOSTrack(OneStreamTracker):
    """One-stream tracking on Hiera: mask units of template and search region in one sequence.

    Only the blocks with global attention relate the two. The search region's map has stride 16.

    Args:
        backbone (dict): Config of a :class:`~mmlite.models.Hiera` with ``q_pool=2`` and
            ``out_type='raw'``, whose positions are resampled to both sizes.
        **kwargs: As in :class:`~.one_stream.OneStreamTracker`; sizes are multiples of 32 pixels.
    """

    size_unit = 32  # side of a mask unit

    def __init__(self, backbone, head, **kwargs):
        super().__init__(backbone, head, **kwargs)
        if self.backbone.q_pool != 2 or self.backbone.out_type != 'raw':
            raise ArgumentError("HieraOSTrack requires a backbone with q_pool=2 and out_type='raw'")

    def embed_template(self, images):
        return self.backbone.embed(images)

    embed_search = embed_template

    def relate(self, template, search):
        side = self.search_size // self.size_unit
        in_template, in_search = (self.template_size // self.size_unit) ** 2, side**2
        # Unrolled tokens count units fastest, so whole units are put side by side.
        parts = (template.unflatten(1, (-1, in_template)), search.unflatten(1, (-1, in_search)))
        tokens, _ = self.backbone.encode(torch.cat(parts, dim=2).flatten(1, 2))
        tokens = tokens.unflatten(1, (-1, in_template + in_search))[:, :, in_template:]
        tokens = self.backbone.norm(tokens.flatten(1, 2))
        maps = self.backbone.unit_maps(tokens, len(self.backbone.stage_ends) - 1)
        return join_units(maps, (side, side)).permute(0, 3, 1, 2).contiguous()
