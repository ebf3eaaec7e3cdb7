"""Names of the tensors that can be read during encoding."""

import re

from mmlite.errors import ArgumentError

BLOCK_TAPS = ('norm1', 'q', 'k', 'v', 'attn_logits')


def group_taps(taps, depth, kinds=BLOCK_TAPS):
    """Group tap names by block: kinds by index, ``''`` for the block's output.

    A tap is ``blocks.I`` (output of block I < ``depth``); ``blocks.I.KIND`` with KIND ``norm1``
    (normalized input), ``q``, ``k``, ``v`` or ``attn_logits``, or another of ``kinds``; or
    ``norm``, the final norm's output, or ``norm.I``, the final norm of block I's output.
    """
    grouped = {}
    for name in taps:
        match = re.fullmatch(r'norm(?:\.(\d+))?', name)
        if match is not None and int(match[1] or 0) < depth:
            grouped.setdefault(int(match[1] or depth - 1), set()).add('')
            continue
        match = re.fullmatch(rf'blocks\.(\d+)(?:\.({"|".join(kinds)}))?', name)
        if match is None or int(match[1]) >= depth:
            raise ArgumentError(
                f"unknown tap '{name}': use 'blocks.I' or 'blocks.I.KIND' with I from 0 to "
                f"{depth - 1} and KIND one of {', '.join(kinds)}, 'norm' or 'norm.I'"
            )
        grouped.setdefault(int(match[1]), set()).add(match[2] or '')
    return grouped
