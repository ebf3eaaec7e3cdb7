"""Hiera for classification, masked pre-training and dense prediction."""

import torch
import torch.nn.functional as F
from timm.layers import calculate_drop_path_rates
from torch import nn

from mmlite.errors import ArgumentError
from mmlite.registry import MODELS
from mmlite.utils.names import check_known

from ..layers import join_units, kept_first, reroll, resample_positions, unroll
from ..layers.inits import HIERA_INITS
from ..layers.mask_unit import MaskUnitBlock
from .staged import STRIDE, StagedBackbone
from .vit import parse_arch

UNIT_LEVELS = 3  # a mask unit is 2^3 x 2^3 tokens, i.e. 32 x 32 pixels
UNIT = STRIDE * 2**UNIT_LEVELS
POSITIONS = ('resize', 'tile', 'absolute_win')


class OverlapPatchEmbed(nn.Module):
    """7x7 convolution of stride 4 (overlapping patches); keeps the key ``patch_embed.proj``."""

    def __init__(self, in_channels, dim):
        super().__init__()
        self.proj = nn.Conv2d(in_channels, dim, kernel_size=7, stride=STRIDE, padding=3)

    def forward(self, x):
        return self.proj(x).permute(0, 2, 3, 1)


@MODELS.register_module()
class Hiera(StagedBackbone):
    """Hiera (arXiv 2306.00989): plain blocks, pooled queries, attention inside mask units.

    Tokens are in unrolled order (:func:`~mmlite.models.layers.windows.unroll`). Images are
    zero-padded to whole mask units of 32 pixels; feature maps are cropped again.

    Args:
        arch (str | dict): ``'tiny'`` (MAE-Lite), ``'base'``, or a dict of ``embed_dims``,
            ``num_layers`` by stage, ``num_heads`` of the first stage and optionally ``mlp_ratio``
            (4). Channels and heads double from stage to stage.
        img_size (int): Image size of ``pos_embed`` in pixels, a multiple of 32. Defaults to 224.
        q_pool (int): Stages at whose entry queries are pooled: 3, or 2 in masked pre-training.
        out_type (str): ``'featmap'`` maps (B, C, H, W); ``'avg_featmap'`` mean of the last
            tokens (B, C); ``'raw'`` the last tokens (B, N, C) in unrolled order.
        out_indices (int | Sequence[int], optional): Stages, from 0, whose outputs are returned.
            Defaults to all for ``'featmap'`` and to the last otherwise.
        final_norm (bool, optional): Layer norm of the last output, after the pooling. Defaults to
            False for ``'featmap'`` and True otherwise.
        stage_norm (bool): A layer norm for each map, as in detectron2's MViT. Defaults to False.
        pos_mode (str): ``'resize'`` stretches ``pos_embed`` over a larger image (bicubic);
            ``'tile'`` repeats it, aligned with the mask units; ``'absolute_win'`` adds a stretched
            table of units and a tiled one of a unit (arXiv 2311.05613), also in pre-training.
            Defaults to ``'resize'``.
        drop_path_rate (float): Stochastic depth of the last block, growing linearly from 0.
        weight_init (str): Key of :data:`~mmlite.models.layers.inits.HIERA_INITS`. Defaults to
            ``'hiera'``.
        in_channels, with_cp, frozen_stages, init_cfg: As in :class:`~.vit.ViT`.
    """

    arch_zoo = dict(
        tiny=dict(embed_dims=46, num_layers=(1, 2, 7, 2), num_heads=1, mlp_ratio=4),
        base=dict(embed_dims=96, num_layers=(2, 3, 16, 3), num_heads=1, mlp_ratio=4),
    )
    optional_keys = (r'norm\..*', r'stage_norms\..*', r'pos_embed_window')

    def __init__(
        self, arch='tiny', img_size=224, in_channels=3, q_pool=3, out_type='featmap',
        out_indices=None, final_norm=None, stage_norm=False, pos_mode='resize', drop_path_rate=0.0,
        weight_init='hiera', with_cp=False, frozen_stages=-1, init_cfg=None,
    ):  # fmt: skip
        super().__init__(with_cp, frozen_stages, init_cfg)
        self.arch = parse_arch(arch, self.arch_zoo, ('embed_dims', 'num_layers', 'num_heads'))
        check_known('pos_mode', pos_mode, POSITIONS)
        check_known('weight_init', weight_init, HIERA_INITS)
        if not isinstance(img_size, int):
            raise ArgumentError(
                f'img_size must be one integer, the side of the square pos_embed, whatever the '
                f'size of images (got {img_size!r})'
            )
        if img_size % UNIT:
            raise ArgumentError(f'img_size {img_size} is not a multiple of {UNIT}, a mask unit')
        self.img_size = img_size
        self.q_pool = q_pool
        self.pos_mode = pos_mode
        self.weight_init = weight_init
        dim = self.arch['embed_dims']
        self.patch_embed = OverlapPatchEmbed(in_channels, dim)
        side = img_size // (UNIT if pos_mode == 'absolute_win' else STRIDE)
        self.pos_embed = nn.Parameter(torch.zeros(1, side * side, dim))
        if pos_mode == 'absolute_win':
            self.pos_embed_window = nn.Parameter(torch.zeros(1, 4**UNIT_LEVELS, dim))
        self.blocks = nn.ModuleList(self._make_blocks(drop_path_rate))
        self.add_outputs(out_type, out_indices, final_norm, stage_norm, eps=1e-6)
        self.reset_parameters()
        self.freeze()

    def _make_blocks(self, drop_path_rate):
        """Blocks of all stages; the first of a stage attends as the stage before, then pools."""
        depths, dims = self.arch['num_layers'], self.stage_dims
        rates = iter(calculate_drop_path_rates(drop_path_rate, sum(depths)))
        for stage, depth in enumerate(depths):
            for index in range(depth):
                enters = stage > 0 and index == 0
                yield MaskUnitBlock(
                    dims[stage - 1] if enters else dims[stage],
                    dims[stage],
                    self.arch['num_heads'] * 2**stage,
                    pool=enters and stage <= self.q_pool,
                    local=(stage - enters) < 2,
                    mlp_ratio=self.arch.get('mlp_ratio', 4),
                    drop_path=next(rates),
                )

    def reset_parameters(self):
        HIERA_INITS[self.weight_init](self)

    def embed(self, images, mask=None, num_keep=None):
        """Embed normalized images (B, 3, H, W), zero-padded to whole units, as unrolled tokens.

        ``mask`` keeps units, bool (B, units), row-major, the same number ``num_keep`` in every
        image, which is read off the mask if None; hidden pixels are zeroed before the overlapping
        convolution. Returns (B, 64 * kept units, C) with positions, kept units in row-major order.
        """
        H, W = images.shape[-2:]
        images = F.pad(images, (0, -W % UNIT, 0, -H % UNIT))
        units = (images.shape[-2] // UNIT, images.shape[-1] // UNIT)
        if mask is not None:
            shown = mask.view(-1, 1, *units).to(images.dtype)
            images = images * F.interpolate(shown, scale_factor=UNIT, mode='nearest')
        x = self.patch_embed(images)
        tokens = unroll(x + self._positions(x.shape[1:3]), UNIT_LEVELS)
        if mask is None:
            return tokens
        num_keep = int(mask[0].sum()) if num_keep is None else num_keep
        kept = kept_first(mask)[:, :num_keep]
        tokens = tokens.unflatten(1, (-1, mask.shape[1]))
        kept = kept[:, None, :, None].expand(-1, tokens.shape[1], -1, tokens.shape[3])
        return tokens.gather(2, kept).flatten(1, 2)

    def _positions(self, grid):
        """Absolute positions of a (H, W) token grid: (1, H, W, C)."""
        return self.positions.get(self.pos_embed, tuple(grid), lambda: self._make_positions(grid))

    def _make_positions(self, grid):
        if self.pos_mode == 'tile':
            side = self.img_size // STRIDE
            pos = self.pos_embed.view(1, side, side, -1)
            repeats = [-(-n // side) for n in grid]
            return pos.repeat(1, *repeats, 1)[:, : grid[0], : grid[1]]
        pos = resample_positions(self.pos_embed, grid, num_prefix=0).view(1, *grid, -1)
        if self.pos_mode == 'absolute_win':
            side = 2**UNIT_LEVELS
            window = self.pos_embed_window.view(1, side, side, -1)
            pos = pos + window.repeat(1, grid[0] // side, grid[1] // side, 1)
        return pos

    def encode(self, tokens, taps=(), context=None, until_last_tap=False):
        units = tokens.shape[1] // 4**UNIT_LEVELS
        return super().encode(tokens, taps, units, until_last_tap)

    def tap_stage(self, tap):
        before = [end for end in self.stage_ends if tap == f'blocks.{end + 1}.norm1']
        # the norm in front of a block that widens
        return super().tap_stage(f'blocks.{before[0]}' if before else tap)

    def stride(self, stage):
        return super().stride(min(stage, self.q_pool))

    def unit_maps(self, tokens, stage):
        """Tokens after a stage as one small map per unit: (B, units, h, w, C)."""
        return reroll(tokens, UNIT_LEVELS - min(stage, self.q_pool))

    def pool(self, tokens):
        return self.norm(tokens.mean(dim=1))

    def token_map(self, tokens, stage, image_size):
        """Tokens after a stage as (B, H, W, C), cropped to the unpadded image."""
        units = tuple(-(-n // UNIT) for n in image_size)
        x = join_units(self.unit_maps(tokens, stage), units)
        H, W = (-(-n // self.stride(stage)) for n in image_size)
        return x[:, :H, :W]

    def describe(self):
        arch = self.arch | dict(num_layers=list(self.arch['num_layers']))
        return dict(type='mmlite.Hiera', **arch, img_size=self.img_size, pos_mode=self.pos_mode)

    def fit_to_size(self, name, given, current):
        if name == 'pos_embed' and given.ndim == 3 and given.shape[-1] == current.shape[-1]:
            side = round(current.shape[1] ** 0.5)
            return resample_positions(given, (side, side), num_prefix=0)
        return None
