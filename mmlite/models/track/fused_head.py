"""Center head for tracking: the same box with a quarter of the MACs."""

import copy

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mmlite.errors import ArgumentError

from .center_head import as_share


class FusedHead(nn.Module):
    """Find the best cell of a :class:`~.center_head.CenterHead` and read the box there.

    Batch norm is folded into the convolutions. Size and offset, one branch of grouped convolutions,
    are computed for the chosen cell only, from the 9 x 9 cells around it. ``dtype`` is that of all
    convolutions but the last of each branch, which is float32.
    """

    def __init__(self, head, window, dtype=torch.float32, sparse=True):
        super().__init__()
        self.side = window.shape[0]
        score, size, offset = (_folded(branch) for branch in (head.ctr, head.size, head.offset))
        both = [
            _side_by_side(*pair, groups=2 if index else 1)
            for index, pair in enumerate(zip(size, offset, strict=True))
        ]
        self.score, self.box = nn.ModuleList(score), nn.ModuleList(both)
        for conv in (*score[:-1], *both[:-1]):
            conv.to(dtype)
        taps = score[0].weight.permute(2, 3, 0, 1).flatten(0, 2)
        self.register_buffer('taps', taps.clone() if sparse else None)  # (9 * out, C)
        self.register_buffer('window', window.flatten().clone())
        reach = len(both) - 1
        self.register_buffer('nearest', _cells_around(self.side, 1))
        self.register_buffer('around', _cells_around(self.side, reach))
        inside = _cells_around(self.side, reach - 1) < self.side**2
        self.register_buffer('inside', inside.to(dtype))

    def forward(self, tokens, places=None):
        """Boxes (B, 6) of search tokens (B, K, C), as :meth:`.one_stream.OneStreamTracker.locate`.

        ``places``, int64 (B, F^2 + 1), holds the token of each cell, K for empty cells and in the
        last entry, by default all tokens in order.
        """
        tokens = F.pad(tokens.to(self.inside.dtype), (0, 0, 0, 1))  # the last token is empty
        scores = as_share(self.score_map(tokens, places).flatten(1))
        ranked = scores * self.window
        cell = ranked.argmax(dim=1)
        size, offset = self.box_at(cell, tokens, places).chunk(2, dim=1)
        corner = torch.stack([cell % self.side, cell // self.side], dim=1)
        best = take_rows(torch.stack([scores, ranked], dim=2), cell[:, None])[:, 0]
        return torch.cat([(corner + offset) / self.side, as_share(size), best], dim=1)

    def score_map(self, tokens, places):
        """Scores (B, 1, F, F) before the sigmoid."""
        first, *rest, last = self.score
        if places is not None and self.taps is not None:
            # what each tap of the first convolution makes of each token, summed by cell
            B, rows, _ = tokens.shape
            products = F.linear(tokens, self.taps).view(B * rows * 9, -1)
            token = places.index_select(1, self.nearest.flatten())
            token = token + rows * torch.arange(B, device=tokens.device)[:, None]
            index = 9 * token.view(-1, 9) + torch.arange(9, device=tokens.device)
            sums = F.embedding_bag(index, products, mode='sum').unflatten(0, (B, -1))
            x = _as_map(sums + first.bias, self.side)
        else:
            cells = tokens if places is None else take_rows(tokens, places)
            x = first(_as_map(cells[:, :-1], self.side))
        for conv in rest:
            x = conv(x.relu_())
        return last(x.relu_().float())

    def box_at(self, cell, tokens, places):
        """Size and offset (B, 4), before activation, in cells (B,)."""
        rows = self.around[cell]
        rows = rows if places is None else places.gather(1, rows)
        *convs, last = self.box
        x = _as_map(take_rows(tokens, rows), 2 * len(convs) + 1)
        side = 2 * len(convs) - 1
        inside = self.inside[cell].view(-1, 1, side, side)
        for conv in convs:
            x = conv(x).relu_() * inside  # cells outside the map are zero in every layer
            inside = inside[..., 1:-1, 1:-1]
        return last(x.float()).flatten(1)


def take_rows(tokens, rows):
    """Tokens (B, N, C) at ``rows``, int64 (B, K): (B, K, C), by whole rows."""
    B, N, _ = tokens.shape
    rows = rows + N * torch.arange(B, device=rows.device)[:, None]
    return tokens.flatten(0, 1).index_select(0, rows.flatten()).unflatten(0, (B, -1))


def _as_map(tokens, side):
    """Tokens (B, side^2, C) as a channels-last map (B, C, side, side)."""
    return tokens.transpose(1, 2).unflatten(2, (side, side))


def _cells_around(side, reach):
    """Cells around each cell: int64 (side^2, (2 * reach + 1)^2), side^2 outside the map."""
    steps = torch.arange(-reach, reach + 1)
    near = torch.arange(side)[:, None] + steps  # (side, 2 * reach + 1)
    y, x = near[:, None, :, None], near[None, :, None, :]
    outside = (y < 0) | (y >= side) | (x < 0) | (x >= side)
    return (y * side + x).masked_fill(outside, side**2).reshape(side**2, -1)


def _folded(branch):
    """Convolutions of a branch with batch norm folded in."""
    *layers, last = copy.deepcopy(branch).eval()
    for layer in layers:
        if not isinstance(layer[1], _BatchNorm):
            name = type(layer[1]).__name__
            raise ArgumentError(f'only batch norm can be folded, but the head has {name}')
    return [fuse_conv_bn_eval(conv, norm) for conv, norm, _ in layers] + [last]


def _side_by_side(first, second, groups):
    """Merge two convolutions into one without padding, on the same input or each on its half."""
    channels = first.in_channels * groups, 2 * first.out_channels
    both = nn.Conv2d(*channels, first.kernel_size, groups=groups)
    both.weight.copy_(torch.cat([first.weight, second.weight]))
    both.bias.copy_(torch.cat([first.bias, second.bias]))
    return both
