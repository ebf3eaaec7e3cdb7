"""Candidate elimination: drop search tokens that get little attention from the template."""

import math

import torch
from torch import nn

from mmlite.errors import ArgumentError
from mmlite.registry import MODELS

from ..layers import take

TEMPLATE_TOKENS = ('center', 'center_2x2', 'all')


@MODELS.register_module()
class CandidateElimination(nn.Module):
    """Candidate elimination of OSTrack (Ye et al., ECCV 2022, section 3.3), without parameters.

    Between attention and MLP of the chosen blocks, search tokens are ranked by the template's
    attention to them (softmax over all keys, mean over heads and ranking template tokens), and the
    best ``ceil(ratio * number)`` are kept.

    Args:
        blocks (Sequence[int]): Blocks, from 0. Defaults to (3, 6, 9).
        keep_ratio (float): Share of the search tokens that each of these blocks keeps, in (0, 1].
            Defaults to 0.7.
        template (str): Ranking template tokens: ``'center'``, the one above and left of the center;
            ``'center_2x2'``, the four around it; or ``'all'``. Defaults to ``'center'``.

    Attributes:
        ratio (float): Current share, initially ``keep_ratio``; set during training by
            :class:`~mmlite.engine.hooks.EliminationScheduleHook`.
    """

    def __init__(self, blocks=(3, 6, 9), keep_ratio=0.7, template='center'):
        super().__init__()
        if not 0 < keep_ratio <= 1:
            raise ArgumentError(f'keep_ratio {keep_ratio} must be > 0 and <= 1')
        if template not in TEMPLATE_TOKENS:
            raise ArgumentError(f"template '{template}' is unknown: choose from {TEMPLATE_TOKENS}")
        self.blocks = tuple(blocks)
        self.keep_ratio = self.ratio = keep_ratio
        self.template = template

    def queries(self, side):
        """Indices of the ranking tokens in a template of ``side`` x ``side`` tokens."""
        if self.template == 'all':
            return slice(None)
        near = (side - 1) // 2
        rows = (near,) if self.template == 'center' else (near, side // 2)
        return [row * side + column for row in rows for column in rows]

    def counts(self, num_search):
        """Remaining search tokens of ``num_search`` by block that drops some: dict[int, int]."""
        counts, remaining = {}, num_search
        for block in sorted(self.blocks):
            keep = math.ceil(self.ratio * remaining)
            if keep < remaining:
                counts[block] = remaining = keep
        return counts


class Survivors:
    """Search tokens that remain during one pass of ``template_side^2`` and ``num_search`` tokens.

    They are ranked and counted as ``elimination`` says.
    """

    def __init__(self, elimination, template_side, num_search):
        self.num_template, self.num_search = template_side**2, num_search
        self.queries = elimination.queries(template_side)
        self.ratio = elimination.ratio
        self.ids = None  # cells of the remaining tokens, int64 (B, K); None for all

    def prune(self, tokens, q, k):
        """Drop search tokens of (B, T + K, C); see ``prune`` of :class:`~..layers.block.Block`.

        The remaining ones are in descending order of their rank.
        """
        T = self.num_template
        template, search = tokens[:, :T], tokens[:, T:]
        keep = math.ceil(self.ratio * search.shape[1])
        if keep >= search.shape[1]:
            return tokens
        order = template_attention(q[:, :, :T][:, :, self.queries], k)[:, T:].topk(keep).indices
        self.ids = order if self.ids is None else self.ids.gather(1, order)
        return torch.cat([template, take(search, order)], dim=1)

    def restore(self, search):
        """Put tokens (B, K, C) back to their cells: (B, N, C), zeros at dropped ones."""
        if self.ids is None:
            return search
        full = search.new_zeros(len(search), self.num_search, search.shape[2])
        return full.scatter(1, self.ids[..., None].expand_as(search), search)


def template_attention(q, k):
    """Attention of unscaled queries (B, heads, Q, D) to keys (B, heads, N, D), averaged: (B, N)."""
    logits = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
    return logits.float().softmax(dim=-1).mean(dim=(1, 2))
