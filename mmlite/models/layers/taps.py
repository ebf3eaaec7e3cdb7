"""Names of the tensors that can be read while a backbone encodes."""

import re

from mmlite.errors import ArgumentError

BLOCK_TAPS = ('norm1', 'q', 'k', 'v', 'attn_logits')
_PATTERN = re.compile(rf'blocks\.(\d+)(?:\.({"|".join(BLOCK_TAPS)}))?')


def group_taps(taps, depth):
    """Sort tap names by block.

    A tap is ``blocks.I`` (output of block I, counted from 0) or ``blocks.I.KIND`` with KIND among
    ``norm1`` (normalised input of the block), ``q``, ``k``, ``v`` and ``attn_logits``; or ``norm``,
    the last block's output behind the final norm.

    Args:
        taps (Iterable[str]): Tap names.
        depth (int): Number of blocks.

    Returns:
        dict[int, set[str]]: Kinds by block; ``''`` stands for the block's output, which ``norm``
        asks of the last block.

    Raises:
        ArgumentError: If a name is not of that form or its block does not exist.
    """
    grouped = {}
    for name in taps:
        if name == 'norm':
            grouped.setdefault(depth - 1, set()).add('')
            continue
        match = _PATTERN.fullmatch(name)
        if match is None or int(match[1]) >= depth:
            raise ArgumentError(
                f"unknown tap '{name}': write 'blocks.I' or 'blocks.I.KIND' with I from 0 to "
                f"{depth - 1} and KIND one of {', '.join(BLOCK_TAPS)}, or 'norm'"
            )
        grouped.setdefault(int(match[1]), set()).add(match[2] or '')
    return grouped
