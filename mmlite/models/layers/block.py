"""The pre-norm transformer block of the plain ViT."""

from timm.layers import DropPath, LayerScale, Mlp
from torch import nn

from .windows import from_windows, to_windows


class Block(nn.Module):
    """``x + attn(norm1(x))`` then ``x + mlp(norm2(x))``, with optional LayerScale.

    ``window_size`` is the side of the attention windows in tokens; 0 attends globally.
    """

    def __init__(
        self, attn, dim, mlp_ratio=4.0, window_size=0, drop_path=0.0, layer_scale=None, eps=1e-6
    ):
        super().__init__()
        self.window_size = window_size
        self.norm1 = nn.LayerNorm(dim, eps=eps)
        self.attn = attn
        self.ls1 = nn.Identity() if layer_scale is None else LayerScale(dim, layer_scale)
        self.drop_path1 = DropPath(drop_path) if drop_path else nn.Identity()
        self.norm2 = nn.LayerNorm(dim, eps=eps)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))
        self.ls2 = nn.Identity() if layer_scale is None else LayerScale(dim, layer_scale)
        self.drop_path2 = DropPath(drop_path) if drop_path else nn.Identity()

    def forward(self, x, grid=None, want=(), only_taps=False, prune=None):
        """Run the block on tokens (B, N, C) of a patch grid (H, W).

        Returns tokens (B, N, C), None for ``only_taps``, which stops after the attention's taps,
        and the taps of the kinds ``want`` (:func:`~.taps.group_taps`), of windowed attention
        (B * windows, heads, w^2, ...). ``prune(tokens, q, k)`` reduces the attention's output
        (B, N, C) to (B, N', C), by its unscaled queries and keys (B, heads, N, D).
        """
        x, tapped = self.mix(x, grid, want if prune is None else {*want, 'q', 'k'}, only_taps)
        if only_taps:
            return None, tapped
        if prune is not None:
            x = prune(x, tapped['q'], tapped['k'])
            tapped = {kind: tensor for kind, tensor in tapped.items() if kind in want}
        x = self.feed(x)
        if '' in want:
            tapped[''] = x
        return x, tapped

    def mix(self, x, grid=None, want=(), only_taps=False):
        """Attention half of the block; arguments and result as in :meth:`forward`."""
        y = self.norm1(x)
        tapped = {'norm1': y} if 'norm1' in want else {}
        y, more = self.attend(y, grid, want, only_taps)
        tapped |= more
        return (None if only_taps else x + self.drop_path1(self.ls1(y))), tapped

    def attend(self, y, grid, want, only_taps):
        """Attention of normalized tokens (B, N, C), in windows if there are any."""
        if not self.window_size:
            return self.attn(y, grid, want, only_taps)
        windows = to_windows(y, grid, self.window_size)
        y, tapped = self.attn(windows, (self.window_size, self.window_size), want, only_taps)
        return None if only_taps else from_windows(y, grid, self.window_size), tapped

    def feed(self, x):
        """MLP half of the block."""
        return x + self.drop_path2(self.ls2(self.mlp(self.norm2(x))))
