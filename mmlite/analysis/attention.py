"""How far and how evenly the heads of a transformer attend (MAE-Lite, eqs. 2 to 4)."""

import numpy as np
import torch

from mmlite.errors import ArgumentError

PAPER_STEP = 14  # between neighbouring patches in the paper's figures, though 16 pixels apart


def patch_attention(logits, num_prefix=0):
    """Softmax of logits without the leading ``num_prefix`` tokens: float32 (B, heads, Q, K)."""
    return logits[..., num_prefix:, num_prefix:].float().softmax(dim=-1)


def head_stats(logits, queries, keys, num_prefix=0):
    """Distance and entropy of the heads, averaged over queries and images: float64 (2, heads).

    The distance from a query to the keys, weighted by its attention, is in the unit of the places
    (Q, 2) and (K, 2); the entropy, ``-sum_k P log(P + 1e-6)``, in nats.
    """
    attention = patch_attention(logits, num_prefix)
    steps = torch.cdist(queries, keys, compute_mode='donot_use_mm_for_euclid_dist')
    distance = torch.einsum('bhqk,qk->bhq', attention, steps.to(attention))
    entropy = -(attention * (attention + 1e-6).log()).sum(dim=-1)
    return torch.stack([value.double().mean(dim=(0, 2)) for value in (distance, entropy)])


def units(patch_size):
    """What a pixel is in each unit of distance: ``'patches'``, ``'paper'`` and ``'pixels'``."""
    return {'patches': 1 / patch_size, 'paper': PAPER_STEP / patch_size, 'pixels': 1.0}


def uniform_values(places):
    """Distance and entropy where all keys get the same attention; ``places`` (Q, 2) and (K, 2)."""
    queries, keys = (place.double() for place in places)
    return torch.cdist(queries, keys).mean().item(), float(np.log(len(keys)))


@torch.no_grad()
def measure_attention(models, batches):
    """Distance in pixels and entropy in nats of the heads, over RGB uint8 batches (B, 3, H, W).

    Batches have equal weight, as in the paper. Returns, for each model, float64 (2, heads) by
    block, from 0, without blocks that attend inside windows or mask units.
    """
    measures = [{} for _ in models]
    for pixels in batches:
        for model, measure in zip(models, measures, strict=True):
            places = model.places(pixels.shape[-2:])

            def reduce(block, logits, places=places, prefix=model.num_prefix):
                return head_stats(logits, *places[block], prefix).cpu()

            for block, stats in model.attention_logits(pixels, reduce).items():
                measure.setdefault(block, []).append(stats)
    return [
        {block: torch.stack(stats).mean(dim=0).numpy() for block, stats in measure.items()}
        for measure in measures
    ]


@torch.no_grad()
def attention_maps(model, pixels, query, head=None):
    """Attention from one place (x, y) of an RGB uint8 image (1, 3, H, W), in pixels, by block.

    It is that of the token nearest to ``query``, in every block that attends globally, of one
    ``head`` (from 0) or of the mean over heads. Returns probabilities on the grid of keys, float32
    (h, w), and the query's token in pixels (left, top, side).
    """
    H, W = pixels.shape[-2:]
    if not (0 <= query[0] < W and 0 <= query[1] < H):
        raise ArgumentError(
            f'the query ({query[0]:g}, {query[1]:g}) lies outside the image of {W}x{H} pixels'
        )
    places = model.places((H, W))
    wanted = torch.tensor([query], dtype=torch.float32, device=model.device)
    nearest = [torch.cdist(wanted, queries).argmin().item() for queries, _ in places]

    def look(block, logits):
        attention = patch_attention(logits, model.num_prefix)[0, :, nearest[block]]
        chosen = attention.mean(dim=0) if head is None else attention[head]
        return on_grid(chosen, places[block][1]).cpu().numpy()

    maps = model.attention_logits(pixels, look)
    cells = {}
    for block in maps:
        queries = places[block][0].cpu().numpy()
        side = (H * W / len(queries)) ** 0.5  # equal squares fill the image
        cells[block] = np.array([*(queries[nearest[block]] - side / 2), side])
    return maps, cells


def on_grid(values, places):
    """Map (h, w), top row first, of tokens (N,) with centres (x, y), (N, 2), that fill a grid."""
    columns = places[:, 0].unique(return_inverse=True)[1]
    levels, rows = places[:, 1].unique(return_inverse=True)
    canvas = values.new_zeros(len(levels), len(values) // len(levels))
    canvas[rows, columns] = values
    return canvas
