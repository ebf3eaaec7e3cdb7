"""Moves weights to their new names and keeps account of every one."""

import math
import re

import torch

from mmlite.errors import CheckpointError

from .architecture import bias_table, shape_of, table_side
from .layouts import EXTRA, MOVE, REFUSE, all_rules


class Ledger:
    """Weights under their new names, what each was made of, and what was dropped and why.

    Attributes:
        state (dict[str, Tensor]): The new weights.
        origins (dict[str, tuple[str]]): Old keys by new name; empty where the file had none.
        dropped (dict[str, str]): Reason by old key.
    """

    def __init__(self):
        self.state, self.origins, self.dropped = {}, {}, {}

    def put(self, name, tensor, origins):
        """Enter a weight.

        Raises:
            CheckpointError: If there is one of that name.
        """
        if name in self.state:
            both = ' and '.join(f"'{key}'" for key in (*self.origins[name], *origins))
            raise CheckpointError(f"{both} would both become '{name}': it mixes two layouts")
        self.state[name], self.origins[name] = tensor, tuple(origins)

    def take(self, name):
        """Take a weight out again: the tensor and its old keys."""
        return self.state.pop(name), self.origins.pop(name)

    def discard(self, name, why):
        """Drop a weight that was entered."""
        _, origins = self.take(name)
        self.dropped.update(dict.fromkeys(origins, why))

    def converted(self):
        """New names by old key: dict[str, list[str]]."""
        names = {}
        for name, origins in self.origins.items():
            for key in origins:
                names.setdefault(key, []).append(name)
        return names


def place(weights, layout, keep_extra):
    """Give every weight its new name, or a reason to drop it.

    Args:
        weights (dict[str, Tensor]): By their names in the file.
        layout (Layout): Of the file.
        keep_extra (bool): Keep what only pre-training needs, by its name without prefixes.

    Returns:
        Ledger: With all of them.

    Raises:
        CheckpointError: If dropping one would change what the encoder computes.
    """
    ledger = Ledger()
    names = {key: key.removeprefix('module.') for key in weights}
    rules = all_rules(layout, names.values())
    for key, name in names.items():
        verb, text = next(
            (verb, text(match) if callable(text) else match.expand(text))
            for pattern, verb, text in rules
            if (match := re.fullmatch(pattern, name))
        )
        if verb == REFUSE:
            raise CheckpointError(f"'{key}' is {text}, which no backbone of mmlite has")
        if verb == MOVE:
            ledger.put(text, weights[key], [key])
        elif verb == EXTRA and keep_extra:
            ledger.put(re.sub(f'^(?:{layout.encoder})', '', name), weights[key], [key])
        else:
            ledger.dropped[key] = text
    if any(re.search(r'\b(attn_pool|pre_logits)\.', key) for key in ledger.dropped):
        for name in [name for name in ledger.state if name.startswith('head.fc.')]:
            ledger.discard(name, 'classifier behind layers that are not part of the backbone')
    return ledger


def complete_vit(ledger):
    """Bring the variants of a plain ViT into the form of :class:`mmlite.ViT`, all exactly.

    Fuses the biases of BEiT's projections, copies a table that all blocks share to each of them,
    and puts the row of the class token in front of ``pos_embed``.

    Args:
        ledger (Ledger): Changed in place.
    """
    state = ledger.state
    shared = 'backbone.relative_position_bias_table'
    table, origins = ledger.take(shared) if shared in state else (None, ())
    projections = [key for key in state if re.fullmatch(r'backbone\..*\.attn\.qkv\.weight', key)]
    for key in projections:
        attn = key.removesuffix('qkv.weight')
        if table is not None:
            ledger.put(f'{attn}relative_position_bias_table', table, origins)
        if f'{attn}qkv.bias' not in state:
            _fuse_biases(ledger, attn, state[key].new_zeros(len(state[key]) // 3))
    _complete_positions(ledger)


def _fuse_biases(ledger, attn, zeros):
    """Put one bias of queries, keys and values in place of those that there are."""
    origins, parts = [], []
    for name in (f'{attn}{part}_bias' for part in 'qkv'):
        bias, old = ledger.take(name) if name in ledger.state else (zeros, ())
        parts.append(bias)
        origins += old
    ledger.put(f'{attn}qkv.bias', torch.cat(parts), origins)


def _complete_positions(ledger):
    """Make ``pos_embed`` (1, 1 + h * w, C), the first row the class token's."""
    state = ledger.state
    name, token = 'backbone.pos_embed', 'backbone.dist_token'
    if name not in state:
        table = bias_table(state)
        if table is None:
            raise CheckpointError(
                'it has neither pos_embed nor tables of relative positions: rotary and other '
                'positions are not supported'
            )
        width = shape_of(state, 'backbone.patch_embed.proj.weight', 4)[0]
        ledger.put(name, torch.zeros(1, 1 + table_side(table) ** 2, width), ())
        return
    rows = shape_of(state, name, 3)[1]
    prefix = next((n for n in (1 + (token in state), 0) if _is_square(rows - n)), None)
    if prefix is None:
        raise CheckpointError(
            f"'pos_embed' has {rows} rows, which are no square grid, with or without class token"
        )
    if prefix == 1:
        return
    pos, origins = ledger.take(name)
    first = pos[:, :1] if prefix else torch.zeros_like(pos[:, :1])
    ledger.put(name, torch.cat([first, pos[:, prefix:]], dim=1), origins)
    if token in state:
        why = 'distillation token with its row of pos_embed: the features change without it'
        ledger.discard(token, why)


def _is_square(number):
    return number > 0 and math.isqrt(number) ** 2 == number
