"""Candidate elimination: drop search tokens that the template does not look at."""

import math

import torch
from torch import nn

from mmlite.errors import ArgumentError
from mmlite.registry import MODELS

from ..layers import take

TEMPLATE_TOKENS = ('center', 'center_2x2', 'all')


@MODELS.register_module()
class CandidateElimination(nn.Module):
    """Candidate elimination of OSTrack (Ye et al., ECCV 2022, section 3.3); it has no parameters.

    Inside the chosen blocks, between attention and MLP, the search tokens are ranked by the
    attention that template tokens pay them (softmax over all keys, mean over the heads and those
    template tokens), and the best ``ceil(ratio * number)`` stay. Only the rows of these template
    tokens are computed, so the block's attention stays in the fused kernel.

    Args:
        blocks (Sequence[int]): Blocks, from 0. Defaults to (3, 6, 9).
        keep_ratio (float): Share of the search tokens that each of these blocks keeps. Defaults to
            0.7.
        template (str): Template tokens that rank: ``'center'``, the one up and left of the centre;
            ``'center_2x2'``, the four around it; or ``'all'``. Defaults to ``'center'``.

    Attributes:
        ratio (float): The share in use; ``keep_ratio`` at first, and what
            :class:`~mmlite.engine.hooks.EliminationScheduleHook` sets during training.

    Raises:
        ArgumentError: If the ratio is not in (0, 1] or ``template`` is unknown.
    """

    def __init__(self, blocks=(3, 6, 9), keep_ratio=0.7, template='center'):
        super().__init__()
        if not 0 < keep_ratio <= 1:
            raise ArgumentError(f'keep_ratio {keep_ratio} must be above 0 and at most 1')
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
        """Search tokens that are left behind the blocks that eliminate.

        Args:
            num_search (int): Search tokens at first.

        Returns:
            dict[int, int]: By block, those that drop nothing left out.
        """
        counts, left = {}, num_search
        for block in sorted(self.blocks):
            keep = math.ceil(self.ratio * left)
            if keep < left:
                counts[block] = left = keep
        return counts

    def start(self, template_side, num_search):
        """Begin to eliminate for one pass through the blocks.

        Args:
            template_side (int): Side of the template in tokens.
            num_search (int): Search tokens N, which follow the template's.

        Returns:
            Survivors: What drops tokens and brings the rest back to their places.
        """
        return Survivors(template_side**2, self.queries(template_side), num_search, self.ratio)


class Survivors:
    """Which search tokens are left during one pass.

    Args:
        num_template (int): Template tokens T at the start of the sequence.
        queries (list[int] | slice): Which of them rank.
        num_search (int): Search tokens N at first.
        ratio (float): Share that each elimination keeps.
    """

    def __init__(self, num_template, queries, num_search, ratio):
        self.num_template = num_template
        self.queries = queries
        self.num_search = num_search
        self.ratio = ratio
        self.ids = None  # original places of what is left, int64 (B, K); None for all of them

    def prune(self, tokens, q, k):
        """Drop search tokens; arguments and result as ``prune`` of :class:`~..layers.block.Block`.

        Tokens are (B, T + K, C). Those left are in descending order of their rank.
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
        """Bring tokens (B, K, C) back to their places: (B, N, C), zeros where they were dropped."""
        if self.ids is None:
            return search
        full = search.new_zeros(len(search), self.num_search, search.shape[2])
        return full.scatter(1, self.ids[..., None].expand_as(search), search)


def template_attention(q, k):
    """Attention that some queries pay to all keys, averaged over them and the heads.

    Args:
        q (Tensor): Unscaled queries (B, heads, Q, D).
        k (Tensor): Keys (B, heads, N, D).

    Returns:
        Tensor: (B, N) float32.
    """
    logits = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
    return logits.float().softmax(dim=-1).mean(dim=(1, 2))
