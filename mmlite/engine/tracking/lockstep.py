"""Tracking of many sequences, several of them in one forward pass."""

import time
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from mmlite.errors import DataError
from mmlite.evaluation.sot.results import LOST, SKIPPED, STARTED, Track

from .online_tracker import check_frame

SKIPPED_FRAMES = 5
"""From a failure to the next start (VOT's supervised experiment)."""


def track_sequences(tracker, indices, load, batch_size=1, threads=4, on_step=None):
    """Track one target through each sequence, ``batch_size`` of them in lockstep.

    A sequence with bad data ends there, the others continue. Where a sequence has ``regions``, a
    tracker that leaves them is started anew, see :data:`.results.STARTED`.

    Args:
        tracker (OnlineTracker): Tracks.
        indices (Iterable[int]): Sequences in the order in which they are started.
        load (Callable): Returns the :class:`~mmlite.datasets.sot.sequence.Sequence` of an index.
        batch_size (int): Sequences in one forward pass. Defaults to 1.
        threads (int): Threads that read the next frames meanwhile. Defaults to 4.
        on_step (Callable, optional): Called after every step with the number of its frames.

    Yields:
        tuple[int, Sequence | None, Track | DataError]: Index, sequence (None if it cannot be
        loaded), and the boxes or the problem. ``Track.seconds`` is the wall time of the tracker's
        step, without reading frames, divided by the sequences in it. Frame 0 has the initial box,
        score 1 and the time to encode the template.
    """
    waiting = iter(indices)
    slots = []
    pool = ThreadPoolExecutor(threads)
    try:
        while True:
            while len(slots) < batch_size and (index := next(waiting, None)) is not None:
                try:
                    slots.append(_Slot(index, load(index), pool))
                except DataError as error:
                    yield index, None, error
            if not slots:
                return
            ready = [slot for slot in slots if slot.next_frame(tracker)]
            if ready:
                began = time.perf_counter()
                found = tracker.step([s.target for s in ready], [s.frame for s in ready])
                seconds = (time.perf_counter() - began) / len(ready)
                for slot, box, score in zip(ready, *found, strict=True):
                    slot.add(box, score, seconds)
            if on_step:
                on_step(sum(slot.error is None for slot in slots))
            for slot in slots.copy():
                if (outcome := slot.outcome()) is not None:
                    slots.remove(slot)
                    yield slot.index, slot.sequence, outcome
    finally:
        pool.shutdown(cancel_futures=True)


def touches(box, region):
    """Whether a box x, y, w, h shares area with the hull of corners (K, 2), in any order."""
    x, y, w, h = box
    corners = np.array([(x, y), (x + w, y), (x + w, y + h), (x, y + h)], np.float32)
    return cv2.intersectConvexConvex(corners, cv2.convexHull(region.astype(np.float32)))[0] > 0


class _Slot:
    """A running sequence: the frame that is being read, the target, and the boxes so far."""

    def __init__(self, index, sequence, pool):
        self.index, self.sequence = index, sequence
        self.target = self.frame = self.error = None
        self.rows = []  # x, y, w, h, score, seconds
        self._pool = pool
        self._coming = pool.submit(sequence.frames.read, 0)

    def next_frame(self, tracker):
        """Wait for the next frame; True if the target can be tracked into it."""
        number, frames = len(self.rows), self.sequence.frames
        try:
            self.frame = self._coming.result()
            check_frame(self.frame, self.target)
            if number + 1 < len(frames):
                self._coming = self._pool.submit(frames.read, number + 1)
            if self.target is not None:
                return True
            began = time.perf_counter()
            box = self.sequence.boxes[number]
            (self.target,) = tracker.start([self.frame], [box])
            shown = STARTED if number else box
            self.rows.append((*shown, 1.0, time.perf_counter() - began))
        except DataError as error:
            where = str(frames.where(number))
            self.error = error if where in str(error) else DataError(f'{where}: {error}')
        return False

    def add(self, box, score, seconds):
        """Add the box of the latest frame, or VOT's failure and the frames until the new start."""
        number, regions = len(self.rows), self.sequence.regions
        if regions is None or touches(box, regions[number]):
            self.rows.append((*box, score, seconds))
            return
        self.target = None
        start = min(number + SKIPPED_FRAMES, len(self.sequence))
        self.rows.append((*LOST, score, seconds))
        self.rows += [(*SKIPPED, 0.0, 0.0)] * (start - len(self.rows))
        if start < len(self.sequence):
            self._coming = self._pool.submit(self.sequence.frames.read, start)

    def outcome(self):
        """The Track or the DataError of a sequence that has ended, else None."""
        if self.error is not None or len(self.rows) < len(self.sequence):
            return self.error
        rows = np.array(self.rows, float)
        return Track(self.sequence.name, rows[:, :4], seconds=rows[:, 5], scores=rows[:, 4])
