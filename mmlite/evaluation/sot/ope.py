"""One-pass evaluation of single-object tracking: functions on arrays of boxes.

Boxes are float (N, 4): x, y, w, h in pixels with continuous coordinates. Toolkits that count
discrete pixels (right border x + w - 1) get the same overlaps and centre errors from such boxes.
"""

from dataclasses import dataclass

import numpy as np

from mmlite.datasets.sot.annotations import has_area
from mmlite.errors import DataError

from .protocols import CENTRES


@dataclass
class Curves:
    """Shares of frames, 0 to 1, at the thresholds of a protocol."""

    success: np.ndarray  # (T,) IoU above protocol.overlaps
    precision: np.ndarray  # (P,) centre error up to protocol.pixels
    norm_precision: np.ndarray  # (Q,) normalised centre error up to protocol.shares
    overlap: float  # mean IoU, frames without annotation as 0


@dataclass
class SequenceScore:
    """Curves of one sequence."""

    name: str
    curves: Curves
    frames: int
    counted: int  # frames that the protocol counts
    repaired: int = 0  # predictions without area, see Protocol.repair
    fps: float | None = None


def iou(boxes, others):
    """Intersection over union (...) of boxes (..., 4): 0 without area, NaN where one holds NaN."""
    with np.errstate(invalid='ignore', divide='ignore'):
        low1, high1 = boxes[..., :2], boxes[..., :2] + boxes[..., 2:]
        low2, high2 = others[..., :2], others[..., :2] + others[..., 2:]
        # sides from corners, also those of the boxes, so that rounding is the same everywhere
        both = np.clip(np.minimum(high1, high2) - np.maximum(low1, low2), 0, None).prod(-1)
        union = (high1 - low1).prod(-1) + (high2 - low2).prod(-1) - both
        return np.where(both == 0, 0.0, np.minimum(both / union, 1.0))


def centre_errors(predicted, truth):
    """Distances (N,) between the centres of boxes (N, 4): in pixels, and as shares of the true box.

    The latter divide each component by the true width or height (Mueller et al., ECCV 2018) and are
    infinite or NaN where that is 0 or NaN.
    """
    with np.errstate(invalid='ignore', divide='ignore'):
        difference = (predicted[:, :2] + predicted[:, 2:] / 2) - (truth[:, :2] + truth[:, 2:] / 2)
        shares = difference / truth[:, 2:]
    return np.hypot(*difference.T), np.hypot(*shares.T)


def repair(predicted, truth):
    """Replace predictions (N, 4) without area by the one before, as pytracking does.

    The first is kept, and those where ``truth`` (N, 4) is NaN.
    """
    bad = ~has_area(predicted) & ~np.isnan(truth).any(1)
    bad[:1] = False
    source = np.maximum.accumulate(np.where(bad, 0, np.arange(len(predicted))))
    return predicted[source]


def bound(boxes, shape):
    """Limit boxes (N, 4) to an image of ``shape`` (H, W, ...) as GOT-10k's toolkit does.

    A corner left of or above the image moves onto its border *without* making the box smaller;
    right and below, the box is cut. This is how the published AO were computed.
    """
    size = np.array(shape[1::-1], float)
    low = np.clip(boxes[:, :2], 0, size)
    return np.hstack([low, np.clip(boxes[:, 2:], 0, size - low)])


def success_curve(overlaps, protocol):
    """Share of frames whose IoU (N,), -1 for certain misses, exceeds each threshold (T,)."""
    exceeds = np.greater if protocol.strict else np.greater_equal
    return exceeds(overlaps[:, None], protocol.overlaps).sum(0) / max(len(overlaps), 1)


def precision_curve(errors, thresholds):
    """Share of frames whose error (N,), infinite for misses, is up to ``thresholds`` (T,)."""
    return np.less_equal(errors[:, None], thresholds).sum(0) / max(len(errors), 1)


def score_sequence(sequence, track, protocol):
    """Compare a track with the annotation of its sequence; DataError if a box is missing."""
    if not sequence.annotated:
        raise DataError(f'sequence {sequence.name}: only its first frame is annotated')
    predicted, truth = np.array(track.boxes, float), np.asarray(sequence.boxes, float)
    if predicted.shape != truth.shape:
        counts = f'{len(predicted)} predicted boxes for {len(truth)} annotated frames'
        raise DataError(f'sequence {sequence.name}: {counts}')
    if protocol.by_cover and sequence.cover is not None:
        hidden = sequence.cover == 0
    else:
        hidden = ~sequence.visible
    valid = ~hidden & has_area(truth)
    if protocol.corner_inside:
        valid &= (truth[:, :2] > 0).all(1)
    predicted[0] = truth[0]
    broken = ~has_area(predicted[1:])
    counted = np.ones(len(truth), bool)
    if protocol.skip_first:
        counted[0] = False
    if protocol.skip_hidden:
        counted &= ~hidden
    if protocol.repair:
        predicted = repair(predicted, truth)
    if protocol.bounded:
        shape = sequence.frames.read(0).shape
        predicted, truth = bound(predicted, shape), bound(truth, shape)
    if protocol.whole_pixels:
        predicted, truth = np.rint(predicted), np.rint(truth)
    return SequenceScore(
        sequence.name,
        _curves(predicted, truth, hidden, valid, counted, protocol),
        frames=len(truth),
        counted=int(counted.sum()),
        repaired=int(broken.sum()) if protocol.repair else 0,
        fps=frames_per_second(track.seconds),
    )


def mean_curves(scores, protocol):
    """Average the curves of scores, or all frames if the protocol pools; NaN without any frame."""
    counted = np.array([score.counted for score in scores], float)
    weights = counted if protocol.pooled else (counted > 0).astype(float)
    curves = {key: [getattr(s.curves, key) for s in scores] for key in Curves.__annotations__}
    with np.errstate(invalid='ignore'):
        return Curves(**{key: weights @ each / weights.sum() for key, each in curves.items()})


def measure(curves, protocol):
    """Reduce curves, of one sequence or the mean, to percent with the keys ``protocol.columns``."""
    rate = dict(zip(protocol.overlaps, curves.success, strict=True))
    if protocol.area:
        thresholds = (protocol.overlaps, protocol.pixels, protocol.shares)
        values = (curves.success, curves.precision, curves.norm_precision)
        auc, precision, norm_precision = map(_area, thresholds, values)
    else:
        auc = curves.success.mean()
        precision = curves.precision[protocol.pixels.index(20)]
        norm_precision = curves.norm_precision[protocol.shares.index(0.2)]
    numbers = dict(
        AUC=auc, P=precision, P_norm=norm_precision, OP50=rate[0.5], OP75=rate[0.75],
        AO=curves.overlap, SR50=rate[0.5], SR75=rate[0.75],
    )  # fmt: skip
    return {key: 100 * float(numbers[key]) for key in protocol.columns}


def frames_per_second(seconds):
    """Frames over the time (N,) they took, NaN and 0 excluded; None without any time."""
    if seconds is None:
        return None
    measured = seconds[np.isfinite(seconds) & (seconds > 0)]
    return float(len(measured) / measured.sum()) if len(measured) else None


def _curves(predicted, truth, hidden, valid, counted, protocol):
    overlaps = np.where(valid, np.nan_to_num(iou(predicted, truth)), -1.0)
    errors = dict(zip(CENTRES, centre_errors(predicted, truth), strict=True))
    for key, error in errors.items():
        error[~valid] = -np.inf if key in protocol.unannotated_hits else np.inf
        error[hidden] = -np.inf if key in protocol.hidden_hits else np.inf
    return Curves(
        success_curve(overlaps[counted], protocol),
        precision_curve(errors['precision'][counted], protocol.pixels),
        precision_curve(errors['norm_precision'][counted], protocol.shares),
        float(np.clip(overlaps[counted], 0, None).sum() / max(counted.sum(), 1)),
    )


def _area(thresholds, curve):
    """Area under a curve by trapezoids, over the range of its thresholds."""
    steps = np.diff(thresholds)
    return steps @ (curve[1:] + curve[:-1]) / 2 / steps.sum()
