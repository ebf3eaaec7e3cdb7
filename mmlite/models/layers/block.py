"""The pre-norm transformer block of the plain ViT."""

from functools import partial

from timm.layers import DropPath, GELUTanh, LayerScale, Mlp, SwiGLU
from torch import nn

from .windows import from_windows, to_windows

MLPS = dict(gelu=Mlp, gelu_tanh=partial(Mlp, act_layer=GELUTanh), swiglu=SwiGLU)


class Block(nn.Module):
    """``x + attn(norm1(x))`` then ``x + mlp(norm2(x))``, with optional LayerScale.

    ``window_size`` is the side of the attention windows in tokens; 0 attends globally. ``mlp`` is a
    key of ``MLPS``; ``mlp_norm`` puts a norm in front of its last layer.
    """

    def __init__(
        self, attn, dim, mlp_ratio=4.0, window_size=0, drop_path=0.0, layer_scale=None, eps=1e-6,
        mlp='gelu', mlp_norm=False,
    ):  # fmt: skip
        super().__init__()
        self.window_size = window_size
        self.norm1 = nn.LayerNorm(dim, eps=eps)
        self.attn = attn
        self.ls1 = nn.Identity() if layer_scale is None else LayerScale(dim, layer_scale)
        self.drop_path1 = DropPath(drop_path) if drop_path else nn.Identity()
        self.norm2 = nn.LayerNorm(dim, eps=eps)
        inner = partial(nn.LayerNorm, eps=eps) if mlp_norm else None
        self.mlp = MLPS[mlp](dim, int(dim * mlp_ratio), norm_layer=inner)
        self.ls2 = nn.Identity() if layer_scale is None else LayerScale(dim, layer_scale)
        self.drop_path2 = DropPath(drop_path) if drop_path else nn.Identity()

    def forward(self, x, grid=None, want=(), only_taps=False, prune=None, **options):
        """Run the block on tokens (B, N, C) of a patch grid (H, W).

        Returns tokens (B, N, C), None for ``only_taps``, which stops after the attention's taps,
        and the taps of the kinds ``want`` (:func:`~.taps.group_taps`), of windowed attention
        (B * windows, heads, w^2, ...). ``prune(tokens, q, k)`` reduces the attention's output
        (B, N, C) to (B, N', C), by its unscaled queries and keys (B, heads, N, D).
        ``options`` go to the attention.
        """
        read = want if prune is None else {*want, 'q', 'k'}
        x, tapped = self.mix(x, grid, read, only_taps, **options)
        if only_taps:
            return None, tapped
        if prune is not None:
            x = prune(x, tapped['q'], tapped['k'])
            tapped = {kind: tensor for kind, tensor in tapped.items() if kind in want}
        x = self.feed(x)
        if '' in want:
            tapped[''] = x
        return x, tapped

    def mix(self, x, grid=None, want=(), only_taps=False, **options):
        """Attention half of the block; arguments and result as in :meth:`forward`."""
        y = self.norm1(x)
        tapped = {'norm1': y} if 'norm1' in want else {}
        y, more = self.attend(y, grid, want, only_taps, **options)
        tapped |= more
        return (None if only_taps else x + self.drop_path1(self.ls1(y))), tapped

    def attend(self, y, grid, want, only_taps, **options):
        """Attention of normalized tokens (B, N, C), in windows if there are any."""
        if not self.window_size:
            return self.attn(y, grid, want, only_taps, **options)
        windows = to_windows(y, grid, self.window_size)
        side = self.window_size
        y, tapped = self.attn(windows, (side, side), want, only_taps, **options)
        return None if only_taps else from_windows(y, grid, self.window_size), tapped

    def feed(self, x):
        """MLP half of the block."""
        return x + self.drop_path2(self.ls2(self.mlp(self.norm2(x))))
