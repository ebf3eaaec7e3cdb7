"""The plain vision transformer for all tasks."""

import re

import torch
import torch.nn.functional as F
from mmengine.utils import to_2tuple
from timm.layers import PatchEmbed, calculate_drop_path_rates
from torch import nn

from mmlite.errors import ArgumentError
from mmlite.registry import MODELS
from mmlite.utils.names import check_known

from ..layers import (
    Attention,
    BiasTableAttention,
    DecomposedAttention,
    Places,
    Rope,
    cut_patches,
    resample_bias_table,
    resample_positions,
    resample_rel_pos,
    sincos_positions,
    take,
)
from ..layers.block import MLPS, Block
from ..layers.inits import VIT_INITS
from .base import Backbone

ATTENTION = {
    None: Attention,
    'bias': BiasTableAttention,
    'shared_bias': BiasTableAttention,
    'decomposed': DecomposedAttention,
}
OUT_TYPES = ('raw', 'cls_token', 'avg_featmap', 'featmap')
POSITIONS = ('learned', 'sincos', 'none')


@MODELS.register_module()
class ViT(Backbone):
    """Plain ViT of classification, masked pre-training, ViTDet, segmentation and tracking.

    Images of any size are zero-padded to whole patches, and absolute positions are resampled.
    Parameter names are timm's; the first row of ``pos_embed`` is always the class token's. The
    order of tokens is class token, registers, patches.

    Args:
        arch (str | dict): ``'tiny'`` (192 channels), ``'small'`` (384) or ``'base'`` (768), each
            12 blocks and 12 heads (MAE-Lite, section 3), or a dict of ``embed_dims``,
            ``num_layers``, ``num_heads`` and optionally ``mlp_ratio`` (4).
        img_size (int | tuple): Image size in pixels of relative position tables. Defaults to 224.
        pretrain_img_size (int, optional): Image size of ``pos_embed``. Defaults to ``img_size``;
            ViTDet keeps 224 and resamples in every forward pass.
        patch_size (int): Side of a patch in pixels. Defaults to 16.
        in_channels (int): Image channels. Defaults to 3.
        out_type (str): ``'featmap'`` maps (B, C, H, W); ``'raw'`` tokens (B, N, C);
            ``'cls_token'`` (B, C); ``'avg_featmap'`` mean of the patch tokens (B, C).
        out_indices (int | Sequence[int]): Blocks, from 0, whose outputs are returned.
            Defaults to -1, the last.
        final_norm (bool, optional): Layer norm after the last block. Defaults to False for
            ``'featmap'`` and True otherwise. With ``'avg_featmap'`` it follows the pooling and is
            called ``fc_norm``: the ``norm`` of a pre-training checkpoint is not loaded into it.
        with_cls_token (bool): Keep a class token in the sequence. Defaults to True.
        num_registers (int): Register tokens (arXiv 2309.16588), without positions, in no map.
            Defaults to 0.
        qkv_bias (bool | str): Bias of the fused projection; ``'qv'`` has none for keys, whose third
            of ``qkv.bias`` has no effect (DINOv3). Defaults to True.
        pos_embed (str): Absolute positions: ``'learned'``; ``'sincos'``, fixed (MAE, MoCo-v3);
            or ``'none'``, fixed zeros (BEiT, SimMIM). Defaults to ``'learned'``.
        pos_antialias (bool): Resample absolute positions with antialiasing, as timm and DINOv2 do.
            Defaults to False.
        rope (dict, optional): Arguments of rotary positions of patch tokens
            (:class:`~mmlite.models.layers.Rope`), e.g. ``dict(temperature=100, rescale=2)``
            (DINOv3). Defaults to None, without.
        rel_pos (str, optional): ``'bias'``, a table per block and head (BEiT); ``'shared_bias'``,
            one table in all blocks, stored under each block's key; or ``'decomposed'``,
            query-dependent and by axis (ViTDet). Defaults to None.
        window_size (int): Side of attention windows in tokens; 0 attends globally everywhere.
        global_blocks (Sequence[int]): Blocks that attend globally despite ``window_size``.
        drop_path_rate (float): Stochastic depth of the last block, growing linearly from 0.
        layer_scale_init_value (float, optional): Initial LayerScale. Defaults to None, without.
        norm_eps (float): Epsilon of all norms. Defaults to 1e-6; DINOv3 has 1e-5.
        mlp (str): ``'gelu'``; ``'gelu_tanh'`` (SigLIP); or ``'swiglu'``, whose two input layers of
            ``mlp_ratio`` times the width each are ``fc1_g`` and ``fc1_x``. Defaults to ``'gelu'``.
        mlp_norm (bool): Norm in front of the last layer of an MLP (EVA-02). Defaults to False.
        weight_init (str): Key of :data:`~mmlite.models.layers.inits.VIT_INITS`. Defaults to
            ``'timm'``.
        with_cp, frozen_stages, init_cfg: As in :class:`~.base.Backbone`.
    """

    arch_zoo = {
        name: dict(embed_dims=dim, num_layers=12, num_heads=12, mlp_ratio=4)
        for name, dim in (('tiny', 192), ('small', 384), ('base', 768))
    }
    optional_keys = (
        r'cls_token', r'reg_token', r'(fc_)?norm\..*', r'blocks\.\d+\.attn\.rel(ative)?_pos.*',
        r'blocks\.\d+\.ls[12]\..*',
    )  # fmt: skip

    def __init__(
        self, arch='tiny', img_size=224, pretrain_img_size=None, patch_size=16, in_channels=3,
        out_type='featmap', out_indices=-1, final_norm=None, with_cls_token=True, num_registers=0,
        qkv_bias=True, pos_embed='learned', pos_antialias=False, rope=None, rel_pos=None,
        window_size=0, global_blocks=(), drop_path_rate=0.0, layer_scale_init_value=None,
        norm_eps=1e-6, mlp='gelu', mlp_norm=False, weight_init='timm', with_cp=False,
        frozen_stages=-1, init_cfg=None,
    ):  # fmt: skip
        super().__init__(with_cp, frozen_stages, init_cfg)
        self.arch = parse_arch(arch, self.arch_zoo, ('embed_dims', 'num_layers', 'num_heads'))
        check_known('out_type', out_type, OUT_TYPES)
        check_known('pos_embed', pos_embed, POSITIONS)
        check_known('rel_pos', rel_pos, ATTENTION)
        check_known('weight_init', weight_init, VIT_INITS)
        check_known('mlp', mlp, MLPS)
        self.num_prefix_tokens = int(with_cls_token) + num_registers
        if self.num_prefix_tokens and (window_size or rel_pos == 'decomposed'):
            raise ArgumentError(
                'windows and decomposed relative positions do not support a class token or '
                'registers: set with_cls_token=False and num_registers=0'
            )
        if num_registers and rel_pos:
            raise ArgumentError(
                f'tables of relative positions do not support num_registers {num_registers}: use 0'
            )
        if out_type == 'cls_token' and not with_cls_token:
            raise ArgumentError("out_type 'cls_token' requires with_cls_token=True")
        dim, depth = self.arch['embed_dims'], self.arch['num_layers']
        self.embed_dims = dim
        self.num_heads = self.arch['num_heads']
        self.patch_size = patch_size
        self.grid = tuple(side // patch_size for side in to_2tuple(img_size))
        self.pos_type = pos_embed
        self.pos_antialias = pos_antialias
        self.rope = None if rope is None else Rope(dim // self.num_heads, **rope)
        self.weight_init = weight_init
        self.out_type = out_type
        self.out_indices = self.resolve_indices(out_indices, depth)

        self.patch_embed = PatchEmbed(
            None, patch_size, in_channels, dim, flatten=False, strict_img_size=False,
            dynamic_img_pad=True,
        )  # fmt: skip
        rows = (pretrain_img_size or max(to_2tuple(img_size))) // patch_size
        positions = torch.zeros(1, 1 + rows * rows, dim)
        self.pos_embed = nn.Parameter(positions, requires_grad=pos_embed == 'learned')
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim)) if with_cls_token else None
        registers = nn.Parameter(torch.zeros(1, num_registers, dim)) if num_registers else None
        self.reg_token = registers

        blocks = []
        rates = calculate_drop_path_rates(drop_path_rate, depth)
        global_blocks = self.resolve_indices(global_blocks, depth)
        for index, rate in enumerate(rates):
            window = 0 if index in global_blocks else window_size
            grid = {'grid': (window, window) if window else self.grid} if rel_pos else {}
            attn = ATTENTION[rel_pos](dim, self.num_heads, qkv_bias, **grid)
            attn.interleaved = self.rope is not None and self.rope.interleaved
            ratio = self.arch.get('mlp_ratio', 4)
            scale = layer_scale_init_value
            blocks.append(Block(attn, dim, ratio, window, rate, scale, norm_eps, mlp, mlp_norm))
        self.blocks = nn.ModuleList(blocks)
        if rel_pos == 'shared_bias':
            shared = blocks[0].attn.relative_position_bias_table
            for block in self.blocks:
                block.attn.relative_position_bias_table = shared

        final_norm = out_type != 'featmap' if final_norm is None else final_norm
        norm = nn.LayerNorm(dim, eps=norm_eps) if final_norm else nn.Identity()
        self.norm_name = 'fc_norm' if out_type == 'avg_featmap' else 'norm'
        self.add_module(self.norm_name, norm)
        self.reset_parameters()
        self.freeze()

    def reset_parameters(self):
        """Initialize by the scheme ``weight_init`` and fill in fixed positions."""
        VIT_INITS[self.weight_init](self)
        if self.pos_type == 'none':
            nn.init.zeros_(self.pos_embed)
        elif self.pos_type == 'sincos':
            side = round((self.pos_embed.shape[1] - 1) ** 0.5)
            with torch.no_grad():
                self.pos_embed.copy_(sincos_positions(self.embed_dims, (side, side)))

    def patchify(self, images):
        """Project images (B, 3, H, W) to patches (B, h * w, C), without positions, and (h, w)."""
        patches = self.patch_embed(images)
        return patches.flatten(2).transpose(1, 2), tuple(patches.shape[-2:])

    def add_positions(self, patches, grid, keep=None):
        """Add absolute positions to patch tokens (B, N, C), prepend class token and registers.

        ``grid`` is (h, w) of the whole image; ``keep``, int64 (B, N), the cells of the tokens, by
        default all in order.
        """
        pos = self.positions.get(
            self.pos_embed, grid, lambda: self.resample_positions(self.pos_embed, grid)
        )
        tokens = patches + (pos[:, 1:] if keep is None else pos[0, 1:][keep])
        first = [] if self.cls_token is None else [self.cls_token + pos[:, :1]]
        first += [] if self.reg_token is None else [self.reg_token]
        first = [token.expand(len(tokens), -1, -1) for token in first]
        return torch.cat([*first, tokens], dim=1) if first else tokens

    def resample_positions(self, table, grid):
        """Resize a table (1, 1 + h * h, C) of absolute positions to another grid (H, W)."""
        return resample_positions(table, grid, antialias=self.pos_antialias)

    def embed(self, images, keep=None):
        """Embed normalized images (B, 3, H, W) as tokens with positions (B, P + K, C).

        Only patches ``keep``, int64 (B, K), row-major, are projected, by default all; with
        ``keep``, H and W must be multiples of the patch size. P ``num_prefix_tokens`` come first.
        """
        if keep is None:
            return self.add_positions(*self.patchify(images))
        patches, grid = cut_patches(images, self.patch_size)
        proj = self.patch_embed.proj
        patches = F.linear(take(patches, keep), proj.weight.flatten(1), proj.bias)
        return self.add_positions(patches, grid, keep)

    def tap_shape(self, tap):
        per_head = tap.endswith(('.q', '.k', '.v', '.attn_logits'))
        tokens = self.grid[0] * self.grid[1] + self.num_prefix_tokens
        return self.num_heads if per_head else self.embed_dims, tokens

    def context(self, images, keep=None):
        grid = super().context(images)
        return grid if keep is None else Places((grid,), keep)

    def block_inputs(self, context, block):
        places = context if isinstance(context, Places) else context and Places((context,))
        whole = places is not None and places.keep is None and len(places.grids) == 1
        grid = places.grids[0] if whole else None
        if self.rope is None:
            return grid, {}
        if places is None:
            raise ArgumentError(
                'rotary positions require the token grid: pass context=(H, W), or the result of '
                'context(images), to encode'
            )
        device = self.pos_embed.device
        return grid, dict(rotation=self.rope(places, block.window_size, device, self.training))

    def tap_map(self, tokens, tap, image_size):
        grid = [-(-side // self.patch_size) for side in image_size]
        return tokens[:, self.num_prefix_tokens :].unflatten(1, grid)

    def forward(self, images):
        """Encode normalized images (B, 3, H, W): an output of ``out_type`` for each out index."""
        patches, grid = self.patchify(images)
        tokens = self.add_positions(patches, grid)
        taps = [f'blocks.{index}' for index in self.out_indices]
        _, tapped = self.encode(tokens, taps, grid, until_last_tap=True)
        return tuple(self._output(tapped[tap], tap, grid) for tap in taps)

    def _output(self, tokens, tap, grid):
        """Convert block outputs to the form ``out_type``; only the last block's are normalized."""
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
        """Tokens without class token and registers."""
        return tokens[:, self.num_prefix_tokens :]

    def describe(self):
        registers = self.num_prefix_tokens - (self.cls_token is not None)
        return dict(
            type='mmlite.ViT', **self.arch, patch_size=self.patch_size, img_grid=list(self.grid),
            **(dict(num_registers=registers) if registers else {}),
        )  # fmt: skip

    def fit_to_size(self, name, given, current):
        if name == 'pos_embed' and given.ndim == 3 and given.shape[-1] == current.shape[-1]:
            side = round((current.shape[1] - 1) ** 0.5)
            return self.resample_positions(given, (side, side))
        if re.search(r'rel_pos_[hw]$', name) and given.shape[1:] == current.shape[1:]:
            return resample_rel_pos(given, current.shape[0])
        if name.endswith('relative_position_bias_table') and given.shape[1:] == current.shape[1:]:
            side = (round((given.shape[0] - 3) ** 0.5) + 1) // 2
            return resample_bias_table(given, (side, side), self.grid)
        return None


def parse_arch(arch, zoo, required):
    """Turn a name or a dict into the dict of an architecture, or raise an ArgumentError."""
    if isinstance(arch, str):
        if arch not in zoo:
            raise ArgumentError(
                f"arch '{arch}' is unknown: choose from {tuple(zoo)} or give a dict"
            )
        return dict(zoo[arch])
    missing = [key for key in required if key not in arch]
    if missing:
        raise ArgumentError(f'arch lacks {", ".join(missing)}: it requires {", ".join(required)}')
    return dict(arch)
