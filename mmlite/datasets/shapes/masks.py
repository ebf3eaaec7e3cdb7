"""Masks in COCO's encodings."""

import cv2
import numpy as np
from pycocotools import mask as coco_mask

_LEAST_IOU = 0.985
_TOLERANCES = (0.5, 0.25, 0.0)  # px, of the simplified outline


def encode_segmentation(mask):
    """Polygons of the parts of a bool mask (H, W); run lengths where it has holes or tiny parts.

    The IoU of polygons with the mask is at least 0.985 by pycocotools.
    """
    x, y, width, height = tight_box(mask)
    crop = mask[y : y + height, x : x + width].view(np.uint8)
    double = cv2.resize(crop, (2 * width, 2 * height), interpolation=cv2.INTER_NEAREST)
    contours, tree = cv2.findContours(double, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    has_holes = (tree.reshape(-1, 4)[:, 3] >= 0).any()
    for tolerance in () if has_holes else _TOLERANCES:
        # a quarter pixel inside the pixels' borders, so that every center is clearly on its side
        outlines = [(c.astype(np.float32) + 0.5) / 2 + np.float32([x, y]) for c in contours]
        polygons = [cv2.approxPolyDP(outline, tolerance, True) for outline in outlines]
        flat = [np.round(polygon, 2).ravel().tolist() for polygon in polygons]
        if min(map(len, flat)) >= 6:
            runs = coco_mask.merge(coco_mask.frPyObjects(flat, *mask.shape))
            drawn = coco_mask.decode(runs).view(bool)
            if (drawn & mask).sum() / (drawn | mask).sum() >= _LEAST_IOU:
                return flat
    return run_lengths(mask)


def run_lengths(mask):
    """Uncompressed COCO run-length encoding: column by column, beginning with zeros."""
    edges = np.flatnonzero(np.diff(mask.ravel(order='F'), prepend=False))
    counts = np.diff(edges, prepend=0, append=mask.size)
    return {'counts': counts.tolist(), 'size': list(mask.shape)}


def tight_box(mask):
    """COCO ``bbox`` of a mask: x, y, width, height of the smallest box around its pixels."""
    return list(cv2.boundingRect(mask.view(np.uint8)))
