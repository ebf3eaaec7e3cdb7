"""Encoder of OSTrack for tracking, with equal results."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from .fused_head import take_rows


class FusedViT(nn.Module):
    """Encoder of an :class:`~.ostrack.OSTrack` for tracking.

    Eliminating blocks rank tokens before they attend, so dropped ones have no queries; the last
    block has queries of the search region only. Tokens, layer norms and attention are always
    float32.

    Args:
        model (OSTrack): It is copied.
        dtype (torch.dtype): Of the linear layers.
    """

    def __init__(self, model, dtype=torch.float32):
        super().__init__()
        backbone = model.backbone
        self.patch_embed = copy.deepcopy(backbone.patch_embed.proj).to(dtype)
        self.blocks = nn.ModuleList(FusedBlock(block, dtype) for block in backbone.blocks)
        self.norm = copy.deepcopy(backbone.norm)
        self.register_buffer('pos_z', model.pos_embed_z.detach().clone())
        self.register_buffer('pos_x', model.pos_embed_x.detach().clone())
        # plain numbers are constants to a tracer
        self.num_template, self.num_search = model.template_side**2, model.search_side**2
        self.register_buffer('template_rows', torch.arange(self.num_template)[None])
        self.keep, self.queries = {}, None
        if model.elimination is not None:
            self.queries = model.elimination.queries(model.template_side)
            self.keep = model.elimination.counts(self.num_search)

    def embed_template(self, images):
        """Normalized templates (B, 3, T, T) to tokens (B, (T / 16)^2, C) with positions."""
        return self.patches(images) + self.pos_z

    def embed_search(self, images):
        """Normalized search regions (B, 3, S, S) to tokens (B, (S / 16)^2, C) with positions."""
        return self.patches(images) + self.pos_x

    def patches(self, images):
        images = images.to(self.patch_embed.weight.dtype)
        return self.patch_embed(images).flatten(2).transpose(1, 2).float()

    def forward(self, template, search):
        """Relate tokens of template (B, T, C) and search region (B, F^2, C).

        Returns the remaining search tokens, normalized, and their places for
        :class:`~.fused_head.FusedHead`.
        """
        ids, T = None, self.num_template
        x = torch.cat([template, search], dim=1)
        for index, block in enumerate(self.blocks):
            q, k, v = block.project(x)
            begin = T if block is self.blocks[-1] else 0
            if index in self.keep:
                order = self.rank(block, q, k).topk(self.keep[index], sorted=False).indices
                ids = order if ids is None else ids.gather(1, order)
                template_rows = self.template_rows[:, begin:].expand(len(x), -1)
                rows = torch.cat([template_rows, T + order], dim=1)
                x, q = take_rows(x, rows), take_rows(q, rows)
            elif begin:
                x, q = x[:, begin:], q[:, begin:]
            x = block(x, q, k, v)
        return self.norm(x), None if ids is None else _places(ids, self.num_search)

    def rank(self, block, q, k):
        """Attention of the ranking template tokens to the search tokens: (B, K)."""
        template = q[:, : self.num_template][:, self.queries]
        logits = block.heads(template) @ block.heads(k).transpose(-2, -1)
        return logits.softmax(dim=-1).mean(dim=(1, 2))[:, self.num_template :]


class FusedBlock(nn.Module):
    """A copied :class:`~..layers.block.Block` in two steps, with scales folded into weights."""

    def __init__(self, block, dtype):
        super().__init__()
        block = copy.deepcopy(block)
        self.num_heads = block.attn.num_heads
        self.norm1, self.norm2 = block.norm1, block.norm2
        self.qkv, self.proj = block.attn.qkv, block.attn.proj
        self.fc1, self.fc2, self.act = block.mlp.fc1, block.mlp.fc2, block.mlp.act
        dim = self.proj.in_features
        _scale(self.qkv, block.attn.scale, slice(dim))
        for layer, scale in ((self.proj, block.ls1), (self.fc2, block.ls2)):
            if not isinstance(scale, nn.Identity):
                _scale(layer, scale.gamma)
        for layer in (self.qkv, self.proj, self.fc1, self.fc2):
            layer.to(dtype)
        self.dtype = dtype

    def project(self, x):
        """Scaled queries, keys and values (B, N, C), float32, of tokens (B, N, C)."""
        return self.qkv(self.norm1(x).to(self.dtype)).float().chunk(3, dim=-1)

    def heads(self, tokens):
        """(B, N, C) to (B, heads, N, D)."""
        return tokens.unflatten(2, (self.num_heads, -1)).transpose(1, 2)

    def forward(self, x, q, k, v):
        """Attend with queries q of the tokens x, (B, N', C), to all keys and values."""
        q, k, v = map(self.heads, (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, scale=1.0)
        x = x + self.proj(y.transpose(1, 2).flatten(2).to(self.dtype))
        return x + self.fc2(self.act(self.fc1(self.norm2(x).to(self.dtype))))


def _places(ids, count):
    """Token of each of ``count`` cells, from the cells ``ids`` (B, K) of the tokens."""
    B, K = ids.shape
    places = ids.new_full((B, count + 1), K)
    return places.scatter(1, ids, torch.arange(K, device=ids.device).expand(B, -1))


def _scale(layer, scale, rows=slice(None)):
    """Multiply outputs of a linear layer."""
    layer.weight[rows] *= scale if isinstance(scale, float) else scale[:, None]
    if layer.bias is not None:
        layer.bias[rows] *= scale
