"""Base class of the backbones with stages."""

from torch import nn

from mmlite.errors import ArgumentError
from mmlite.utils.names import check_known

from .base import Backbone

STRIDE = 4  # of the patch embedding, pixels
OUT_TYPES = ('raw', 'avg_featmap', 'featmap')


class StagedBackbone(Backbone):
    """Base of :class:`~.hiera.Hiera` and :class:`~.swin.Swin`: maps of strides 4, 8, 16 and 32.

    Channels and heads double from stage to stage. A subclass has ``arch`` and ``img_size``, calls
    :meth:`add_outputs` in its constructor, and has

    - ``token_map(tokens, stage, image_size)``: tokens after a stage as a map (B, H, W, C) of
      images of ``image_size`` (H, W) pixels;
    - ``pool(tokens)``: vector (B, C) of the last tokens (B, N, C).
    """

    patch_size = STRIDE

    @property
    def stage_dims(self):
        """Channels by stage."""
        return [self.arch['embed_dims'] * 2**i for i in range(len(self.arch['num_layers']))]

    def add_outputs(self, out_type, out_indices, final_norm, stage_norm, eps):
        """Check the arguments of the output, see :class:`~.hiera.Hiera`, and add its norms."""
        check_known('out_type', out_type, OUT_TYPES)
        depths = self.arch['num_layers']
        self.out_type = out_type
        self.stage_ends = [sum(depths[: i + 1]) - 1 for i in range(len(depths))]
        default_indices = range(len(depths)) if out_type == 'featmap' else -1
        self.out_indices = self.resolve_indices(
            default_indices if out_indices is None else out_indices, len(depths)
        )
        if out_type != 'featmap' and self.out_indices != (len(depths) - 1,):
            raise ArgumentError(f"out_type '{out_type}' gives the last stage only: out_indices=-1")
        final_norm = out_type != 'featmap' if final_norm is None else final_norm
        self.norm = nn.LayerNorm(self.stage_dims[-1], eps=eps) if final_norm else nn.Identity()
        norms = {str(i): nn.LayerNorm(self.stage_dims[i], eps=eps) for i in self.out_indices}
        self.stage_norms = nn.ModuleDict(norms) if stage_norm else {}

    def stride(self, stage):
        """Stride in pixels of the tokens after a stage."""
        return STRIDE * 2**stage

    def tap_stage(self, tap):
        """Stage, from 0, whose map a tap has."""
        if tap == 'norm':
            return len(self.stage_ends) - 1
        _, block, *kind = tap.split('.')
        stage = next(i for i, end in enumerate(self.stage_ends) if int(block) <= end)
        return stage + (kind == ['merged'])

    def tap_shape(self, tap):
        stage = self.tap_stage(tap)
        per_head = tap.endswith(('.q', '.k', '.v', '.attn_logits'))
        channels = self.arch['num_heads'] * 2**stage if per_head else self.stage_dims[stage]
        return channels, (self.img_size // self.stride(stage)) ** 2

    def tap_map(self, tokens, tap, image_size):
        return self.token_map(tokens, self.tap_stage(tap), image_size)

    def forward(self, images):
        """Encode normalized images (B, 3, H, W): a map (B, C, H, W) for each out index, or the one
        output of another ``out_type``."""
        size = images.shape[-2:]
        grid = tuple(-(-n // STRIDE) for n in size)
        tokens = self.embed(images)
        if self.out_type != 'featmap':
            tokens, _ = self.encode(tokens, context=grid)
            return (self.norm(tokens) if self.out_type == 'raw' else self.pool(tokens),)
        taps = [f'blocks.{self.stage_ends[stage]}' for stage in self.out_indices]
        _, tapped = self.encode(tokens, taps, grid, until_last_tap=True)
        return tuple(
            self._feature_map(tapped[tap], stage, size)
            for tap, stage in zip(taps, self.out_indices, strict=True)
        )

    def _feature_map(self, tokens, stage, image_size):
        """Tokens after a stage as (B, C, H, W)."""
        if stage == len(self.stage_ends) - 1:
            tokens = self.norm(tokens)
        if self.stage_norms:
            tokens = self.stage_norms[str(stage)](tokens)
        return self.token_map(tokens, stage, image_size).permute(0, 3, 1, 2).contiguous()
