"""Selection of the two frames of a training pair: OSTrack's 'causal' mode (arXiv 2203.11991)."""

import numpy as np

MIN_FRAMES = 20  # of a video
MIN_VISIBLE = 5  # frames that show the target: more than two for each frame of a pair
MAX_INTERVAL = 200  # frames
WIDENING = 5  # frames


def is_usable(visible):
    """Whether a video of visibility bool (N,) is long enough, and visible enough, for training."""
    return len(visible) >= MIN_FRAMES and np.count_nonzero(visible) >= MIN_VISIBLE


def sample_causal(rng, visible, max_interval=MAX_INTERVAL):
    """Sample a template frame and a later search frame that both show the target.

    The template is uniform over the visible frames before the last frame of the video, the search
    frame uniform over the visible ones among the ``max_interval - 1`` frames that follow it. Where
    none of these is visible, both are sampled again from an interval of 5 frames more. ``visible``,
    bool (N,), must be True for two or more frames.
    """
    shown = np.flatnonzero(visible)
    if len(shown) < 2:
        raise ValueError(f'a pair needs two visible frames, got {len(shown)}')
    templates = np.searchsorted(shown, len(visible) - 1)
    while True:
        first = rng.integers(templates)
        end = np.searchsorted(shown, shown[first] + max_interval)
        if end > first + 1:
            return int(shown[first]), int(shown[rng.integers(first + 1, end)])
        max_interval += WIDENING
