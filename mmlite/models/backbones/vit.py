"""The plain vision transformer, one class for every task of the suite."""

import re

import torch
from mmengine.utils import to_2tuple
from timm.layers import PatchEmbed, calculate_drop_path_rates, trunc_normal_
from torch import nn

from mmlite.errors import ArgumentError
from mmlite.registry import MODELS

from ..layers import (
    Attention,
    BiasTableAttention,
    DecomposedAttention,
    resample_bias_table,
    resample_positions,
    resample_rel_pos,
)
from ..layers.block import Block
from .base import Backbone

ATTENTION = {None: Attention, 'bias': BiasTableAttention, 'decomposed': DecomposedAttention}
OUT_TYPES = ('raw', 'cls_token', 'avg_featmap', 'featmap')


@MODELS.register_module()
class ViT(Backbone):
    """Plain ViT of classification, masked pre-training, ViTDet, segmentation and tracking.

    Images of any size are taken: they are zero-padded to whole patches and the absolute positions
    are resampled to the grid. Parameter names are timm's (``blocks.0.attn.qkv``), so that one
    checkpoint serves every task. ``pos_embed`` always keeps the class token's row first.

    Args:
        arch (str | dict): ``'tiny'`` (192 channels), ``'small'`` (384) or ``'base'`` (768), each
            12 blocks and 12 heads (MAE-Lite, section 3), or a dict of ``embed_dims``,
            ``num_layers``, ``num_heads`` and optionally ``mlp_ratio`` (4).
        img_size (int | tuple): Image size in pixels that relative position tables are stored for.
            Defaults to 224.
        pretrain_img_size (int, optional): Image size that ``pos_embed`` is stored for. Defaults
            to ``img_size``; ViTDet keeps 224 and resamples in every forward pass.
        patch_size (int): Side of a patch in pixels. Defaults to 16.
        in_channels (int): Image channels. Defaults to 3.
        out_type (str): ``'featmap'`` maps (B, C, H, W); ``'raw'`` tokens (B, N, C);
            ``'cls_token'`` (B, C); ``'avg_featmap'`` mean of the patch tokens (B, C).
        out_indices (int | Sequence[int]): Blocks, from 0, whose outputs are returned.
            Defaults to -1, the last.
        final_norm (bool, optional): Layer norm behind the last block. Defaults to False for
            ``'featmap'`` and True otherwise. With ``'avg_featmap'`` it follows the pooling and is
            called ``fc_norm``: the ``norm`` of a pre-training checkpoint is not loaded into it.
        with_cls_token (bool): Keep a class token in the sequence. Defaults to True.
        qkv_bias (bool): Bias of the fused projection. Defaults to True.
        rel_pos (str, optional): ``'bias'``, a table per block and head (BEiT), or
            ``'decomposed'``, query-dependent and by axis (ViTDet). Defaults to None.
        window_size (int): Side of attention windows in tokens; 0 attends globally everywhere.
        global_blocks (Sequence[int]): Blocks that attend globally despite ``window_size``.
        drop_path_rate (float): Stochastic depth of the last block, growing linearly from 0.
        layer_scale_init_value (float, optional): Initial LayerScale; None builds none.
        with_cp, frozen_stages, init_cfg: As in :class:`~.base.Backbone`.

    Raises:
        ArgumentError: If an argument is unknown, or windows are combined with a class token.
    """

    arch_zoo = {
        name: dict(embed_dims=dim, num_layers=12, num_heads=12, mlp_ratio=4)
        for name, dim in (('tiny', 192), ('small', 384), ('base', 768))
    }
    optional_keys = (
        r'cls_token', r'(fc_)?norm\..*', r'blocks\.\d+\.attn\.rel(ative_)?pos.*',
        r'blocks\.\d+\.ls[12]\..*',
    )  # fmt: skip

    def __init__(
        self,
        arch='tiny',
        img_size=224,
        pretrain_img_size=None,
        patch_size=16,
        in_channels=3,
        out_type='featmap',
        out_indices=-1,
        final_norm=None,
        with_cls_token=True,
        qkv_bias=True,
        rel_pos=None,
        window_size=0,
        global_blocks=(),
        drop_path_rate=0.0,
        layer_scale_init_value=None,
        with_cp=False,
        frozen_stages=-1,
        init_cfg=None,
    ):
        super().__init__(with_cp, frozen_stages, init_cfg)
        self.arch = parse_arch(arch, self.arch_zoo, ('embed_dims', 'num_layers', 'num_heads'))
        if out_type not in OUT_TYPES:
            raise ArgumentError(f"out_type '{out_type}' is unknown: choose from {OUT_TYPES}")
        if rel_pos not in ATTENTION:
            raise ArgumentError(f"rel_pos '{rel_pos}' is unknown: choose from {tuple(ATTENTION)}")
        if with_cls_token and (window_size or rel_pos == 'decomposed'):
            raise ArgumentError(
                'windows and decomposed relative positions have no place for a class token: set '
                'with_cls_token=False'
            )
        if out_type == 'cls_token' and not with_cls_token:
            raise ArgumentError("out_type 'cls_token' needs with_cls_token=True")
        dim, depth = self.arch['embed_dims'], self.arch['num_layers']
        self.embed_dims = dim
        self.num_heads = self.arch['num_heads']
        self.patch_size = patch_size
        self.grid = tuple(side // patch_size for side in to_2tuple(img_size))
        self.out_type = out_type
        self.out_indices = self.resolve_indices(out_indices, depth)

        self.patch_embed = PatchEmbed(
            None, patch_size, in_channels, dim, flatten=False, strict_img_size=False,
            dynamic_img_pad=True,
        )  # fmt: skip
        rows = (pretrain_img_size or max(to_2tuple(img_size))) // patch_size
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + rows * rows, dim))
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim)) if with_cls_token else None

        blocks = []
        rates = calculate_drop_path_rates(drop_path_rate, depth)
        global_blocks = self.resolve_indices(global_blocks, depth)
        for index, rate in enumerate(rates):
            window = 0 if index in global_blocks else window_size
            grid = {'grid': (window, window) if window else self.grid} if rel_pos else {}
            attn = ATTENTION[rel_pos](dim, self.num_heads, qkv_bias, **grid)
            ratio = self.arch.get('mlp_ratio', 4)
            blocks.append(Block(attn, dim, ratio, window, rate, layer_scale_init_value))
        self.blocks = nn.ModuleList(blocks)

        final_norm = out_type != 'featmap' if final_norm is None else final_norm
        norm = nn.LayerNorm(dim, eps=1e-6) if final_norm else nn.Identity()
        self.norm_name = 'fc_norm' if out_type == 'avg_featmap' else 'norm'
        self.add_module(self.norm_name, norm)
        self.reset_parameters()
        self.freeze()

    def reset_parameters(self):
        """Truncated normal 0.02 for linear layers, tokens and positions, zero biases (timm)."""
        for module in self.blocks.modules():
            if isinstance(module, nn.Linear):
                trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        trunc_normal_(self.pos_embed, std=0.02)
        if self.cls_token is not None:
            trunc_normal_(self.cls_token, std=0.02)

    def patchify(self, images):
        """Project patches, without positions.

        Args:
            images (Tensor): Normalised images (B, 3, H, W).

        Returns:
            tuple[Tensor, tuple[int, int]]: Patch tokens (B, h * w, C), row-major, and (h, w).
        """
        patches = self.patch_embed(images)
        return patches.flatten(2).transpose(1, 2), tuple(patches.shape[-2:])

    def add_positions(self, patches, grid):
        """Add absolute positions and put the class token in front.

        Args:
            patches (Tensor): Patch tokens (B, h * w, C), e.g. with mask tokens put in.
            grid (tuple[int, int]): (h, w).

        Returns:
            Tensor: Tokens (B, h * w (+ 1), C).
        """
        pos = self.positions.get(
            self.pos_embed, grid, lambda: resample_positions(self.pos_embed, grid)
        )
        tokens = patches + pos[:, 1:]
        if self.cls_token is None:
            return tokens
        cls = (self.cls_token + pos[:, :1]).expand(len(tokens), -1, -1)
        return torch.cat([cls, tokens], dim=1)

    def embed(self, images):
        """Images (B, 3, H, W) to tokens (B, N, C) with positions, the class token first."""
        return self.add_positions(*self.patchify(images))

    def forward(self, images):
        """Encode whole images.

        Args:
            images (Tensor): Normalised images (B, 3, H, W).

        Returns:
            tuple[Tensor]: One output for each of ``out_indices``, of the form ``out_type``.
        """
        patches, grid = self.patchify(images)
        tokens = self.add_positions(patches, grid)
        taps = [f'blocks.{index}' for index in self.out_indices]
        _, tapped = self.encode(tokens, taps, grid, until_last_tap=True)
        return tuple(self._output(tapped[tap], tap, grid) for tap in taps)

    def _output(self, tokens, tap, grid):
        """Bring block outputs into the form ``out_type``; only the last block's are normalised."""
        is_last = tap == f'blocks.{len(self.blocks) - 1}'
        norm = getattr(self, self.norm_name) if is_last else nn.Identity()
        if self.out_type == 'avg_featmap':
            return norm(self._patches(tokens).mean(dim=1))
        tokens = norm(tokens)
        if self.out_type == 'cls_token':
            return tokens[:, 0]
        if self.out_type == 'featmap':
            return self._patches(tokens).transpose(1, 2).unflatten(2, grid)
        return tokens

    def _patches(self, tokens):
        """Tokens without the class token."""
        return tokens if self.cls_token is None else tokens[:, 1:]

    def describe(self):
        """What a checkpoint must record to be read rightly: plain types only."""
        return dict(
            type='mmlite.ViT', **self.arch, patch_size=self.patch_size, img_grid=list(self.grid)
        )

    def fit_to_size(self, name, given, own):
        """Resample a tensor of another image size; None where that is not what differs."""
        if name == 'pos_embed' and given.ndim == 3 and given.shape[-1] == own.shape[-1]:
            side = round((own.shape[1] - 1) ** 0.5)
            return resample_positions(given, (side, side))
        if re.search(r'rel_pos_[hw]$', name) and given.shape[1:] == own.shape[1:]:
            return resample_rel_pos(given, own.shape[0])
        if name.endswith('relative_position_bias_table') and given.shape[1:] == own.shape[1:]:
            side = (round((given.shape[0] - 3) ** 0.5) + 1) // 2
            return resample_bias_table(given, (side, side), self.grid)
        return None


def parse_arch(arch, zoo, required):
    """Turn a name or a dict into the dict of an architecture.

    Raises:
        ArgumentError: If the name is unknown or the dict lacks a required key.
    """
    if isinstance(arch, str):
        if arch not in zoo:
            raise ArgumentError(
                f"arch '{arch}' is unknown: choose from {tuple(zoo)} or give a dict"
            )
        return dict(zoo[arch])
    missing = [key for key in required if key not in arch]
    if missing:
        raise ArgumentError(f'arch lacks {", ".join(missing)}: it needs {", ".join(required)}')
    return dict(arch)
