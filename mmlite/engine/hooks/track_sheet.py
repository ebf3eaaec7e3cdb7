"""Draws what a tracker made of every sequence of a test."""

from pathlib import Path

import cv2
import numpy as np
from mmengine.hooks import Hook

from mmlite.analysis.track_pictures import contact_sheet, draw_tile, spread
from mmlite.errors import UserError
from mmlite.evaluation.sot.ope import iou
from mmlite.registry import HOOKS


@HOOKS.register_module()
class TrackSheetHook(Hook):
    """Write a contact sheet of every tracked sequence: 12 of its frames, boxes and annotation.

    Args:
        out_dir (str): Folder of the pictures, ``<sequence>.jpg``.

    Raises:
        UserError: If the folder cannot be made or a picture cannot be written.
    """

    def __init__(self, out_dir):
        self.out_dir = Path(out_dir)

    def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Draw every :class:`~mmlite.evaluation.sot.results.Track` of ``outputs``."""
        for sequence, track in zip(data_batch, outputs, strict=True):
            path = self.out_dir / f'{track.name}.jpg'
            data = cv2.imencode('.jpg', draw_sequence(sequence, track))[1]
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data.tobytes())
            except OSError as error:
                raise UserError(f'picture {path} cannot be written: {error.strerror}') from error


def draw_sequence(sequence, track):
    """Contact sheet of a tracked sequence.

    Args:
        sequence (Sequence): Its frames, and its annotation where there is one.
        track (Track): The boxes.

    Returns:
        ndarray: BGR uint8 (H, W, 3).
    """
    truth = sequence.boxes if sequence.annotated else [None] * len(track)
    tiles = [
        draw_tile(sequence.frames.read(i), track.boxes[[i]], truth[i], f'frame {i}')
        for i in spread(len(track))
    ]
    subtitle = f'{len(track)} frames'
    if sequence.annotated and sequence.visible[1:].any():
        overlaps = iou(track.boxes, sequence.boxes)[1:][sequence.visible[1:]]
        subtitle += f', mean IoU {np.mean(overlaps):.3f} where the target is visible'
    return contact_sheet(track.name, subtitle, tiles, truth=sequence.annotated)
