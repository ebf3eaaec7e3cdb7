"""Trackers with less computation per frame and the same results."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from mmlite.errors import ArgumentError

from .elimination import rank
from .fused_head import FusedHead, take_rows
from .one_stream import SETTINGS, OneStreamTracker
from .ostrack import OSTrack


@torch.no_grad()
def fuse_for_tracking(model, dtype=torch.float32, sparse=True):
    """Copy a tracker into one that only tracks, faster, with equal results up to rounding.

    Batch norm is folded; size and offset are computed at the chosen cell only; an
    :class:`~.ostrack.OSTrack` computes no attention of dropped tokens, nor of the template in the
    last block, and no convolution of empty cells.

    Args:
        model (OneStreamTracker): With batch norm in its head. It is not changed.
        dtype (torch.dtype): Of linear layers and convolutions. With ``torch.bfloat16``, tokens,
            norms, attention and last convolutions of OSTrack stay float32. Defaults to
            ``torch.float32``.
        sparse (bool): Replace a convolution by sums over tokens, which exporters do not support.
            Defaults to True.
    """
    if not isinstance(model, OneStreamTracker):
        raise ArgumentError(f'{type(model).__name__} cannot be fused: it is not a OneStreamTracker')
    kind = FusedOSTrack if isinstance(model, OSTrack) else FusedTracker
    return kind(model, dtype, sparse).eval().requires_grad_(False)


class FusedTracker(nn.Module):
    """Result of :func:`fuse_for_tracking` for any tracker."""

    reduced = nn.Module  # parts of the encoder that are converted to ``dtype``

    def __init__(self, model, dtype, sparse):
        super().__init__()
        for name in SETTINGS:
            setattr(self, name, getattr(model, name))
        self.dtype = dtype
        self.head = FusedHead(model.head, model.window, dtype, sparse)
        self.model = copy.deepcopy(model)
        del self.model.head
        self.data_preprocessor = copy.deepcopy(model.data_preprocessor)
        for module in self.model.modules():
            if isinstance(module, self.reduced):
                module.to(dtype)

    def forward(self, template, search):
        return self.locate(self.embed_template(template), search)

    def embed_template(self, images):
        return self.model.embed_template(images.to(self.dtype))

    def locate(self, template, search):
        return self.head(*self.relate(template, self.model.embed_search(search.to(self.dtype))))

    def relate(self, template, search):
        """Arguments of :meth:`.fused_head.FusedHead.forward`."""
        return self.model.relate(template, search).flatten(2).transpose(1, 2), None


class FusedOSTrack(FusedTracker):
    """The same of an OSTrack, where tokens are ranked before they attend."""

    reduced = nn.Linear, nn.Conv2d

    def __init__(self, model, dtype, sparse):
        super().__init__(model, dtype, sparse)
        self.keep = model.elimination.counts(model.search_side**2) if model.elimination else {}

    def relate(self, template, search):
        ids, T = None, self.model.template_side**2  # a plain number is a constant to a tracer
        x = torch.cat([template, search], dim=1)
        blocks = self.model.backbone.blocks
        for index, block in enumerate(blocks):
            q, k, v = block.attn.qkv(block.norm1(x).to(self.dtype)).float().chunk(3, dim=-1)
            heads = block.attn.num_heads
            k, v = _split(k, heads), _split(v, heads)
            begin = T if block is blocks[-1] else 0  # of the queries
            if index in self.keep:
                attention = rank(_split(q, heads), k, self.model.template_side)
                order = attention.topk(self.keep[index], sorted=False).indices
                ids = order if ids is None else ids.gather(1, order)
                template_rows = torch.arange(begin, T, device=x.device).expand(len(x), -1)
                rows = torch.cat([template_rows, T + order], dim=1)
                x, q = take_rows(x, rows), take_rows(q, rows)
            elif begin:
                x, q = x[:, begin:], q[:, begin:]
            y = F.scaled_dot_product_attention(_split(q, heads), k, v)
            x = x + block.ls1(block.attn.proj(y.transpose(1, 2).flatten(2).to(self.dtype)))
            x = x + block.ls2(block.mlp(block.norm2(x).to(self.dtype)))
        places = None
        if ids is not None:
            B, K = ids.shape
            places = ids.new_full((B, self.model.search_side**2 + 1), K)
            places.scatter_(1, ids, torch.arange(K, device=ids.device).expand(B, -1))
        return self.model.backbone.norm(x), places


def _split(tokens, heads):
    """(B, N, C) to (B, heads, N, D)."""
    return tokens.unflatten(2, (heads, -1)).transpose(1, 2)
