"""Recording and display of a video that is tracked."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mmlite.errors import OutputError, UserError
from mmlite.evaluation.sot.ope import frames_per_second, iou
from mmlite.evaluation.sot.results import Track, write_track
from mmlite.utils import encode_jpeg, write_bytes
from mmlite.visualization import TILE, EvenSubsampler, draw_targets, track_sheet


@dataclass
class TrackedVideo:
    """Results of :class:`~mmlite.apis.SOTInferencer` for a video.

    Frames that could not be used have the boxes before them, score 0 and 0 seconds.
    """

    tracks: list[Track]  # of each target
    unreadable: list[str]  # a sentence for each frame that could not be used
    mean_iou: float | None  # over tracked frames after the first with an annotated box
    fps: float | None  # of the tracker alone
    files: list[Path]  # written


class Recording:
    """Boxes, scores and times of a :class:`~.frame_sources.FrameSource`.

    Those of the first target are compared with ``truth`` (F, 4), if any. Unless ``directory`` is
    None, it gets the annotated video and a contact sheet, too.
    """

    def __init__(self, source, directory, truth, show):
        self.name, self.truth, self.show = source.name, truth, show
        self.directory = None if directory is None else Path(directory)
        self._video_fps = source.fps or 30.0
        self._rows = []  # of boxes (N, 4), scores (N,), seconds
        self._overlaps, self._unreadable, self._files = [], [], []
        self._writer, self._tiles = None, EvenSubsampler()
        if self.directory is not None:
            try:
                self.directory.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OutputError(f'cannot write {directory}: {error.strerror}') from error

    def add(self, frame, boxes, scores, seconds):
        """Record boxes (N, 4) and scores (N,) of a frame; False if the user pressed q or Esc."""
        truth = self._compare(boxes[0])
        caption, rgb = f'frame {len(self._rows)}', frame[..., ::-1]
        self._rows.append((boxes, scores, seconds))
        if self.directory is None and not self.show:
            return True
        notes = [f'{score:.2f}' for score in scores]
        recent = max(1, len(self._rows) - 30)  # the shown speed is that of 30 frames
        drawn = draw_targets(rgb, boxes, notes, truth, self._summary(caption, recent))
        drawn = np.ascontiguousarray(drawn[..., ::-1])  # OpenCV wants BGR
        if self.directory is not None:
            self._write(drawn)
            self._tiles.offer(
                lambda: draw_targets(rgb, boxes, truth=truth, caption=caption, sides=TILE)
            )
        if not self.show:
            return True
        cv2.imshow(self.name, drawn)
        return cv2.waitKey(1) & 0xFF not in (ord('q'), 27)  # Esc

    def skip(self, reason):
        """Record a frame that could not be used: the boxes before it, with score 0 and no time."""
        boxes, scores, _ = self._rows[-1]
        self._rows.append((boxes, np.zeros_like(scores), 0.0))
        self._unreadable.append(str(reason))

    def close(self):
        """Finish the files and the window; returns the :class:`TrackedVideo`."""
        if self.show:
            cv2.destroyAllWindows()
        if self._writer is not None:
            self._writer.release()
        boxes, scores, seconds = map(np.array, zip(*self._rows, strict=True))
        several = boxes.shape[1] > 1
        tracks = [
            Track(f'{self.name}_{k + 1}' if several else self.name, boxes[:, k], seconds, column)
            for k, column in enumerate(scores.T)
        ]
        if self.directory is not None:
            for track in tracks:
                write_track(self.directory, track)
                self._files.append(self.directory / f'{track.name}.txt')
            title = f'{self.name}\n' + self._summary(f'{len(seconds)} frames')
            sheet = track_sheet(title, self._tiles.items(), len(tracks), self.truth is not None)
            self._files.append(self.directory / f'{self.name}.jpg')
            write_bytes(self._files[-1], encode_jpeg(sheet, 95))
        return TrackedVideo(tracks, self._unreadable, self._mean_iou(), self._fps(), self._files)

    def _mean_iou(self):
        return sum(self._overlaps) / len(self._overlaps) if self._overlaps else None

    def _fps(self, first=1):
        """Frames per second of the tracker, from a frame on; None without any."""
        return frames_per_second(np.array([seconds for *_, seconds in self._rows[first:]]))

    def _compare(self, box):
        """The annotated box (4,) of the coming frame or None, after comparing ``box`` with it."""
        number = len(self._rows)
        if self.truth is None or number >= len(self.truth):
            return None
        truth = self.truth[number]
        if number and np.isfinite(truth).all() and (truth[2:] > 0).all():
            self._overlaps.append(float(iou(box, truth)))
        return truth

    def _summary(self, words, first=1):
        speed, overlap = self._fps(first), self._mean_iou()
        words += f', {speed:.0f} fps' if speed else ''
        return words + (f', mean IoU {overlap:.3f}' if overlap is not None else '')

    def _write(self, image):
        height, width = (length - length % 2 for length in image.shape[:2])
        if self._writer is None:
            path = self.directory / f'{self.name}.mp4'
            code = cv2.VideoWriter_fourcc(*'mp4v')
            self._writer = cv2.VideoWriter(str(path), code, self._video_fps, (width, height))
            if not self._writer.isOpened():
                raise OutputError(f'cannot write {path}: OpenCV has no encoder for it')
            self._files.append(path)
        self._writer.write(np.ascontiguousarray(image[:height, :width]))


def open_window(title):
    """Open a window; UserError without a screen, for want of which Qt would end the program."""
    named = os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY')
    if sys.platform.startswith('linux') and not named:
        raise UserError(
            'no window can be opened here: neither DISPLAY nor WAYLAND_DISPLAY is set; leave out '
            'show and look at the files'
        )
    try:
        cv2.namedWindow(title, cv2.WINDOW_AUTOSIZE)
    except cv2.error as error:
        raise UserError(f'no window can be opened here: leave out show ({error.err})') from error
