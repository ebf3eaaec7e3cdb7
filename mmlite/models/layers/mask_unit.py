"""Hiera's block: attention inside mask units or over all tokens, with pooled queries."""

from timm.layers import DropPath, Mlp
from torch import nn

from .attention import attend_or_tap


class MaskUnitAttention(nn.Module):
    """Attention of unrolled tokens, optionally inside mask units and with 2x2-pooled queries.

    In the order of :func:`~.windows.unroll`, the four tokens pooled together lie N / 4 apart.
    """

    def __init__(self, dim, dim_out, num_heads, pool=False, local=False):
        super().__init__()
        self.dim_out = dim_out
        self.num_heads = num_heads
        self.scale = (dim_out // num_heads) ** -0.5
        self.pool = pool
        self.local = local
        self.qkv = nn.Linear(dim, 3 * dim_out)
        self.proj = nn.Linear(dim_out, dim_out)

    def forward(self, x, units, want=(), only_taps=False):
        """Attend; arguments as in :meth:`MaskUnitBlock.forward`.

        Returns tokens (B, N or N / 4, dim_out) and the taps ``q``, ``k``, ``v`` and ``attn_logits``
        with leading axes (B, heads) or, if local, (B * units, heads).
        """
        B = x.shape[0]
        groups = units if self.local else 1
        qkv = self.qkv(x).view(B, -1, groups, 3, self.num_heads, self.dim_out // self.num_heads)
        q, k, v = qkv.permute(3, 0, 2, 4, 1, 5).flatten(1, 2).unbind(0)
        if self.pool:
            q = q.unflatten(2, (4, -1)).amax(dim=2)
        tapped = {name: t for name, t in (('q', q), ('k', k), ('v', v)) if name in want}
        y, logits = attend_or_tap(q * self.scale, k, v, None, want, only_taps)
        tapped |= logits
        if only_taps:
            return None, tapped
        y = y.unflatten(0, (B, groups)).permute(0, 3, 1, 2, 4)
        return self.proj(y.reshape(B, -1, self.dim_out)), tapped


class MaskUnitBlock(nn.Module):
    """Hiera block; where the width changes, the shortcut projects the *normalized* input."""

    def __init__(
        self, dim, dim_out, num_heads, pool=False, local=False, mlp_ratio=4.0, drop_path=0.0
    ):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = MaskUnitAttention(dim, dim_out, num_heads, pool, local)
        self.proj = nn.Linear(dim, dim_out) if dim != dim_out else None
        self.drop_path1 = DropPath(drop_path) if drop_path else nn.Identity()
        self.norm2 = nn.LayerNorm(dim_out, eps=1e-6)
        self.mlp = Mlp(dim_out, int(dim_out * mlp_ratio))
        self.drop_path2 = DropPath(drop_path) if drop_path else nn.Identity()

    def forward(self, x, units, want=(), only_taps=False):
        """Run the block on unrolled tokens (B, N, dim) of ``units`` mask units.

        Returns tokens (B, N or N / 4, dim_out) and taps; ``want`` and ``only_taps`` as in
        :meth:`.block.Block.forward`.
        """
        y = self.norm1(x)
        tapped = {'norm1': y} if 'norm1' in want else {}
        if only_taps:
            return None, tapped | self.attn(y, units, want, only_taps=True)[1]
        if self.proj is not None:
            x = self.proj(y)
        if self.attn.pool:
            x = x.unflatten(1, (4, -1)).amax(dim=1)
        y, more = self.attn(y, units, want)
        x = x + self.drop_path1(y)
        x = x + self.drop_path2(self.mlp(self.norm2(x)))
        tapped |= more
        if '' in want:
            tapped[''] = x
        return x, tapped
