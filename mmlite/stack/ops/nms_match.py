"""Groups of boxes by the box that suppresses them."""

from .bbox_overlaps import overlaps


def nms_match(dets, iou_threshold):
    """Indices of each kept box and, by falling score, of the boxes that it suppresses.

    Of ``dets`` (N, 5), corners in pixels and score, a box is suppressed by the best one left if
    their IoU is the threshold or more. Returns a list of int for each kept box.
    """
    boxes, groups = dets[:, :4], []
    left = dets[:, 4].argsort(descending=True, stable=True)
    while len(left):
        matched = overlaps(boxes[left[0]], boxes[left]) >= iou_threshold
        matched[0] = True  # also a box of no area
        groups.append(left[matched].tolist())
        left = left[~matched]
    return groups
