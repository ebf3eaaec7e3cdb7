"""Swin for classification, masked pre-training and dense prediction."""

import math

import torch
import torch.nn.functional as F
from timm.layers import PatchEmbed, calculate_drop_path_rates
from torch import nn

from mmlite.errors import ArgumentError
from mmlite.registry import MODELS

from ..layers import BLOCK_TAPS, resample_bias_table
from ..layers.inits import init_swin
from ..layers.shifted_window import SwinBlock
from .staged import STRIDE, StagedBackbone
from .vit import parse_arch


@MODELS.register_module()
class Swin(StagedBackbone):
    """Swin (arXiv 2103.14030): attention in shifted windows, whose tokens merge between stages.

    Blocks are counted through all stages: ``blocks.0`` to ``blocks.11`` of Swin-1G. The tap
    ``blocks.I.merged`` of the last block of a stage has its tokens after the merging (B, N / 4,
    2 C). Maps are zero-padded to whole windows; where one window holds a map, nothing is shifted.

    Args:
        arch (str | dict): ``'1g'`` (MAE-Lite), ``'tiny'``, or a dict of ``embed_dims``,
            ``num_layers`` by stage, ``num_heads`` of the first stage and optionally ``mlp_ratio``
            (4). Channels and heads double from stage to stage.
        img_size (int): Image size in pixels that taps are described for. Defaults to 224.
        window_size (int): Side of a window in tokens. Defaults to 7.
        mask_token (bool): Have a learned token for hidden patches (SimMIM). Defaults to False.
        drop_path_rate (float): Stochastic depth of the last block, growing linearly from 0.
        out_type, out_indices, final_norm, stage_norm: As in :class:`~.hiera.Hiera`, but the norm
            comes before the pooling.
        in_channels, with_cp, frozen_stages, init_cfg: As in :class:`~.vit.ViT`.
    """

    arch_zoo = {
        name: dict(embed_dims=dim, num_layers=(2, 2, 6, 2), num_heads=3, mlp_ratio=4)
        for name, dim in (('1g', 48), ('tiny', 96))
    }
    embedding_names = ('patch_embed', 'mask_token')
    optional_keys = (r'norm\..*', r'stage_norms\..*', r'mask_token')
    tap_kinds = (*BLOCK_TAPS, 'merged')

    def __init__(
        self, arch='1g', img_size=224, in_channels=3, window_size=7, mask_token=False,
        out_type='featmap', out_indices=None, final_norm=None, stage_norm=False,
        drop_path_rate=0.0, with_cp=False, frozen_stages=-1, init_cfg=None,
    ):  # fmt: skip
        super().__init__(with_cp, frozen_stages, init_cfg)
        self.arch = parse_arch(arch, self.arch_zoo, ('embed_dims', 'num_layers', 'num_heads'))
        self.img_size = img_size
        self.window_size = window_size
        self.embed_dims = self.arch['embed_dims']
        self.patch_embed = PatchEmbed(
            None, STRIDE, in_channels, self.embed_dims, norm_layer=nn.LayerNorm,
            strict_img_size=False, dynamic_img_pad=True,
        )  # fmt: skip
        token = nn.Parameter(torch.zeros(1, 1, self.embed_dims)) if mask_token else None
        self.register_parameter('mask_token', token)
        self.blocks = nn.ModuleList(self._make_blocks(drop_path_rate))
        self.add_outputs(out_type, out_indices, final_norm, stage_norm, eps=1e-5)
        self.reset_parameters()
        self.freeze()

    def _make_blocks(self, drop_path_rate):
        depths = self.arch['num_layers']
        rates = iter(calculate_drop_path_rates(drop_path_rate, sum(depths)))
        for stage, depth in enumerate(depths):
            for index in range(depth):
                yield SwinBlock(
                    self.stage_dims[stage],
                    self.arch['num_heads'] * 2**stage,
                    self.window_size,
                    shift=self.window_size // 2 * (index % 2),
                    stage=stage,
                    merges=index == depth - 1 and stage < len(depths) - 1,
                    mlp_ratio=self.arch.get('mlp_ratio', 4),
                    drop_path=next(rates),
                )

    def reset_parameters(self):
        """Initialize linear layers, tables and mask token truncated normal 0.02, biases zero."""
        init_swin(self)

    def patchify(self, images):
        """Normalized patches (B, h * w, C) of images (B, 3, H, W), zero-padded, and (h, w)."""
        return self.patch_embed(images), tuple(-(-n // STRIDE) for n in images.shape[-2:])

    def add_positions(self, patches, grid):
        """Patches (B, N, C) as they are: positions are in the attention."""
        return patches

    def embed(self, images, mask=None):
        """Embed normalized images (B, 3, H, W) as tokens (B, h * w, C) of 4 x 4 pixels.

        Patches where ``mask``, bool (B, h * w), row-major, is True become mask tokens.
        """
        patches, _ = self.patchify(images)
        if mask is None:
            return patches
        if self.mask_token is None:
            raise ArgumentError('hidden patches require mask_token=True of mmlite.Swin')
        return torch.where(mask[..., None], self.mask_token.to(patches.dtype), patches)

    def encode(self, tokens, taps=(), context=None, until_last_tap=False):
        """As in :class:`~.base.Backbone`; ``context`` is (h, w) of the patches, square if None."""
        context = context or (math.isqrt(tokens.shape[1]),) * 2
        return super().encode(tokens, taps, context, until_last_tap)

    def token_map(self, tokens, stage, image_size):
        return tokens.unflatten(1, tuple(-(-n // self.stride(stage)) for n in image_size))

    def pool(self, tokens):
        return self.norm(tokens).mean(dim=1)

    def no_weight_decay(self):
        return {n for n, _ in self.named_parameters() if 'relative_position_bias_table' in n}

    def describe(self):
        arch = self.arch | dict(num_layers=list(self.arch['num_layers']))
        return dict(type='mmlite.Swin', **arch, window_size=self.window_size)

    def fit_to_size(self, name, given, current):
        if name.endswith('relative_position_bias_table') and given.shape[1:] == current.shape[1:]:
            sides = [(math.isqrt(len(table)) + 1) // 2 for table in (given, current)]
            padded = F.pad(given, (0, 0, 0, 3))  # rows of a class token
            return resample_bias_table(padded, (sides[0],) * 2, (sides[1],) * 2)[:-3]
        return None
