"""OSTrack on the plain ViT."""

import math
from functools import partial

import torch
from torch import nn

from mmlite.errors import ArgumentError
from mmlite.registry import MODELS

from .elimination import Survivors
from .one_stream import OneStreamTracker


@MODELS.register_module()
class OSTrack(OneStreamTracker):
    """OSTrack (Ye et al., "Joint feature learning and relation modeling for tracking", ECCV 2022).

    Template and search region have a learned position table each, initialized by resampling the
    backbone's, which stays in checkpoints, frozen.

    Args:
        backbone (dict): Config of a :class:`~mmlite.models.ViT` without class token, registers and
            relative positions, with a final norm (``out_type='raw'``).
        elimination (dict, optional): Config of :class:`~.elimination.CandidateElimination`.
            Defaults to None, which keeps all tokens.
        **kwargs: As in :class:`~.one_stream.OneStreamTracker`.
    """

    def __init__(self, backbone, head, elimination=None, **kwargs):
        super().__init__(backbone, head, **kwargs)
        if self.backbone.num_prefix_tokens or isinstance(self.backbone.norm, nn.Identity):
            raise ArgumentError(
                'OSTrack requires a backbone with with_cls_token=False, num_registers=0 and '
                "out_type='raw'"
            )
        self.elimination = None if elimination is None else MODELS.build(elimination)
        depth = len(self.backbone.blocks)
        if self.elimination and not all(0 <= i < depth for i in self.elimination.blocks):
            raise ArgumentError(
                f'elimination.blocks {self.elimination.blocks} must be from 0 to {depth - 1}'
            )
        self.template_side = self.template_size // self.stride
        self.search_side = self.search_size // self.stride
        dim = self.backbone.embed_dims
        self.backbone.pos_embed.requires_grad_(False)
        self.pos_embed_z = nn.Parameter(torch.zeros(1, self.template_side**2, dim))
        self.pos_embed_x = nn.Parameter(torch.zeros(1, self.search_side**2, dim))
        self.spread_positions()

    def init_weights(self):
        super().init_weights()
        self.spread_positions()

    @torch.no_grad()
    def spread_positions(self):
        """Resample the backbone's position table to both grids (bicubic)."""
        for table in (self.pos_embed_z, self.pos_embed_x):
            side = math.isqrt(table.shape[1])
            positions = self.backbone.resample_positions(self.backbone.pos_embed, (side, side))
            table.copy_(positions[:, 1:])

    def embed_template(self, images):
        return self.backbone.patchify(images)[0] + self.pos_embed_z

    def embed_search(self, images):
        return self.backbone.patchify(images)[0] + self.pos_embed_x

    def relate(self, template, search):
        rotary = self.backbone.rope is not None
        left = Survivors(self.template_side, self.search_side, rotary)
        counts = self.elimination.counts(search.shape[1]) if self.elimination else {}
        prune = {block: partial(left.prune, keep) for block, keep in counts.items()}
        tokens = torch.cat([template, search], dim=1)
        tokens, _ = self.backbone.encode(tokens, context=left.places, prune=prune)
        # norm first: eliminated tokens stay exactly zero
        found = left.restore(self.backbone.norm(tokens[:, template.shape[1] :]))
        return found.transpose(1, 2).unflatten(2, (self.search_side, self.search_side))
