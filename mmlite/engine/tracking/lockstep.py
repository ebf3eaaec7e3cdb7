"""Tracking of many sequences, several of them in one forward pass."""

import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np

from mmlite.errors import DataError
from mmlite.evaluation.sot.results import Track

from .online_tracker import check_frame

READ_AHEAD = 3  # frames of a sequence that are read before they are needed


def track_sequences(tracker, indices, load, batch_size=1, threads=4, on_step=None):
    """Track one target through each sequence, ``batch_size`` of them in lockstep.

    Frames are read ahead by threads. A sequence with bad data ends there, the others continue.

    Args:
        tracker (OnlineTracker): For frames in BGR.
        indices (Iterable[int]): Sequences in the order in which they are started.
        load (Callable): Returns the :class:`~mmlite.datasets.sot.sequence.Sequence` of an index.
        batch_size (int): Sequences in one forward pass. Defaults to 1.
        threads (int): Threads that read and decode frames. Defaults to 4.
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
                _step(tracker, ready)
            if on_step:
                on_step(sum(slot.error is None for slot in slots))
            for slot in [slot for slot in slots if slot.ended]:
                slots.remove(slot)
                yield slot.index, slot.sequence, slot.error or slot.track()
    finally:
        pool.shutdown(cancel_futures=True)


def _step(tracker, slots):
    began = time.perf_counter()
    boxes, scores = tracker.step([s.target for s in slots], [s.frame for s in slots])
    seconds = (time.perf_counter() - began) / len(slots)
    for slot, box, score in zip(slots, boxes, scores, strict=True):
        slot.rows.append((*box, score, seconds))


class _Slot:
    """A running sequence: frames that are being read, the target, and the boxes so far."""

    def __init__(self, index, sequence, pool):
        self.index = index
        self.sequence = sequence
        self.target = None
        self.frame = None
        self.error = None
        self.rows = []  # x, y, w, h, score, seconds
        self._numbers = iter(range(len(sequence)))
        self._pool = pool
        self._pending = deque()
        self._latest = None
        for _ in range(READ_AHEAD):
            self._read_one_more()

    @property
    def ended(self):
        return self.error is not None or len(self.rows) == len(self.sequence)

    def next_frame(self, tracker):
        """Wait for the next frame; True if the target can be tracked into it."""
        number = len(self.rows)
        try:
            self.frame = self._pending.popleft().result()
            self._read_one_more()
            if self.target is not None:
                check_frame(self.frame, self.target)
                return True
            began = time.perf_counter()
            box = self.sequence.boxes[0]
            (self.target,) = tracker.start([self.frame], [box])
            self.rows.append((*box, 1.0, time.perf_counter() - began))
        except DataError as error:
            where = str(self.sequence.frames.where(number))
            self.error = error if where in str(error) else DataError(f'{where}: {error}')
            for future in self._pending:
                future.cancel()
        return False

    def track(self):
        rows = np.array(self.rows, float)
        return Track(self.sequence.name, rows[:, :4], seconds=rows[:, 5], scores=rows[:, 4])

    def _read_one_more(self):
        number = next(self._numbers, None)
        if number is not None:
            frames = self.sequence.frames
            self._latest = self._pool.submit(_read_after, self._latest, frames, number)
            self._pending.append(self._latest)


def _read_after(earlier, frames, number):
    """Read a frame after the one before it: a video has one decoder, which goes forward."""
    if earlier is not None:
        wait([earlier])
    return frames.read(number)
