"""Candidate elimination: drop search tokens that get little attention from the template."""

import math

import torch
from torch import nn

from mmlite.errors import ArgumentError
from mmlite.registry import MODELS

from ..layers import Places, take


@MODELS.register_module()
class CandidateElimination(nn.Module):
    """Candidate elimination of OSTrack (Ye et al., ECCV 2022, section 3.3), without parameters.

    Between attention and MLP of the chosen blocks, search tokens are ranked by the attention of the
    template's central token to them (softmax over all keys, mean over heads), and the best
    ``ceil(ratio * number)`` are kept.

    Args:
        blocks (Sequence[int]): Blocks, from 0. Defaults to (3, 6, 9).
        keep_ratio (float): Share of the search tokens that each of these blocks keeps, in (0, 1].
            :class:`~mmlite.engine.hooks.EliminationScheduleHook` sets ``ratio``, the current one.
            Defaults to 0.7.
    """

    def __init__(self, blocks=(3, 6, 9), keep_ratio=0.7):
        super().__init__()
        if not 0 < keep_ratio <= 1:
            raise ArgumentError(f'keep_ratio {keep_ratio} must be > 0 and <= 1')
        self.blocks = tuple(blocks)
        self.keep_ratio = self.ratio = keep_ratio

    def counts(self, num_search):
        """Remaining search tokens of ``num_search`` by block that drops some: dict[int, int]."""
        counts, remaining = {}, num_search
        for block in sorted(set(self.blocks)):
            keep = math.ceil(self.ratio * remaining)
            if keep < remaining:
                counts[block] = remaining = keep
        return counts


class Survivors:
    """Remaining search tokens during one pass of ``side^2`` template and ``search_side^2`` tokens.

    ``places`` are those of the template's and the remaining tokens, None unless ``rotary``
    positions read them.
    """

    def __init__(self, side, search_side, rotary=True):
        self.side, self.num_search = side, search_side**2
        self.ids = None  # cells of the remaining tokens, int64 (B, K); None for all
        grids = ((side, side), (search_side, search_side))
        self.places = Places(grids) if rotary else None

    def prune(self, keep, tokens, q, k):
        """Keep the best search tokens of (B, T + K, C), in descending order of their rank."""
        template, search = tokens.tensor_split([self.side**2], dim=1)
        order = rank(q, k, self.side).topk(keep).indices
        self.ids = order if self.ids is None else self.ids.gather(1, order)
        if self.places:
            first = torch.arange(self.side**2, device=order.device).expand(len(order), -1)
            self.places.keep = torch.cat([first, self.side**2 + self.ids], dim=1)
        return torch.cat([template, take(search, order)], dim=1)

    def restore(self, search):
        """Put tokens (B, K, C) back to their cells: (B, N, C), zeros at dropped ones."""
        if self.ids is None:
            return search
        full = search.new_zeros(len(search), self.num_search, search.shape[2])
        return full.scatter(1, self.ids[..., None].expand_as(search), search)


def rank(q, k, side):
    """Attention (B, K) of the central template token, the upper left of four, to search tokens."""
    center = (side - 1) // 2 * (side + 1)
    logits = (q[:, :, center : center + 1] * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
    return logits.float().softmax(dim=-1).mean(dim=(1, 2))[:, side**2 :]
