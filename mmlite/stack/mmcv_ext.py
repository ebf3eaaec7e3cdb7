"""Stand-in for ``mmcv._ext``, the compiled half of ``mmcv.ops``, on torchvision's kernels.

It gives NMS, soft-NMS and RoIAlign on CPU and GPU with mmcv's call signatures. Any other operator
exists, because ``mmcv.ops`` asks for every name at import, and raises :class:`OperatorError` when
it is called; RoIPool too, since torchvision rounds the box to integer pixels, and mmcv does not.
"""

import functools
import importlib

import torch
import torchvision

from mmlite.errors import OperatorError
from mmlite.stack.versions import BUILD_FULL_MMCV

NOT_PROVIDED = {}  # operators asked for in this process that only a compiled mmcv has
NAIVE, LINEAR, GAUSSIAN = range(3)  # the codes of mmcv.ops.soft_nms


def get_compiler_version():
    """Compiler of mmcv, for mmengine's environment report."""
    return f'none, kernels of torchvision {torchvision.__version__}'


def get_compiling_cuda_version():
    """CUDA version of the kernels in use, ``'not available'`` for a CPU build of torch."""
    return torch.version.cuda or 'not available'


def _widened(*tensors):
    """The tensors in their common floating type, at least float32, which every kernel takes."""
    dtype = functools.reduce(torch.promote_types, (t.dtype for t in tensors), torch.float32)
    return [t.to(dtype) for t in tensors]


def nms(boxes, scores, iou_threshold, offset):
    """Greedy non-maximum suppression: int64 indices of the kept boxes (N, 4), by falling score.

    The width of a box (x1, y1, x2, y2 in pixels) is ``x2 - x1 + offset``; 1 is the convention of
    pixel indices. A box is dropped if its IoU with a kept one is greater than the threshold.
    """
    boxes, scores = _widened(boxes, scores)
    if offset:
        boxes = boxes + boxes.new_tensor([0, 0, offset, offset])
    return torchvision.ops.nms(boxes, scores, iou_threshold)


def softnms(boxes, scores, dets, iou_threshold, sigma, min_score, method, offset):
    """Soft-NMS (Bodla et al., ICCV 2017): overlap lowers a score instead of dropping the box.

    The first of equal scores is taken first, and the first box is always kept. Two boxes of no area
    overlap by 0 (mmcv's own kernel gives them a score of NaN).

    Arguments are those of :func:`nms`; ``iou_threshold`` is the IoU from which the methods 0 naive
    (weight 0) and 1 linear (1 - IoU) lower a score, ``sigma`` the width of 2 gaussian (exp(-IoU^2 /
    sigma)); the lowest score kept is ``min_score``. The first K rows of ``dets`` (N, 5) are set to
    the kept boxes and lowered scores. Returns their int64 indices (K,) in the order in which they
    were taken.
    """
    areas = (boxes[:, 2:] - boxes[:, :2] + offset).prod(dim=1)
    scores = scores.clone()
    left = torch.arange(len(boxes), device=boxes.device)
    kept = []
    while len(left):
        taken = left[scores[left].argmax()]
        dets[len(kept), :4] = boxes[taken]
        dets[len(kept), 4] = scores[taken]
        kept.append(taken)
        left = left[left != taken]

        top_left = torch.maximum(boxes[left, :2], boxes[taken, :2])
        bottom_right = torch.minimum(boxes[left, 2:], boxes[taken, 2:])
        inter = (bottom_right - top_left + offset).clamp(min=0).prod(dim=1)
        iou = (inter / (areas[left] + areas[taken] - inter)).nan_to_num(0)
        if method == GAUSSIAN:
            scores[left] *= torch.exp(-(iou**2) / sigma)
        else:
            lowered = 1 - iou if method == LINEAR else torch.zeros_like(iou)
            scores[left] *= torch.where(iou >= iou_threshold, lowered, 1.0)
        left = left[scores[left] >= min_score]
    return torch.stack(kept) if kept else left


def roi_align(
    input, rois, output_size, spatial_scale=1.0, sampling_ratio=0, pool_mode='avg', aligned=True
):
    """RoIAlign with average pooling (He et al., ICCV 2017), in place of ``mmcv.ops.roi_align``.

    Of ``input`` (B, C, H, W) and ``rois`` (K, 5), index into the batch and corners in image pixels,
    it gives (K, C, *output_size). ``spatial_scale`` is in feature pixels per image pixel;
    ``sampling_ratio`` counts samples per bin and axis, 0 for as many as the bin has pixels; if
    ``aligned``, the centre of the first pixel is at 0.5.
    """
    if pool_mode != 'avg':
        raise _not_provided(f'roi_align with pool_mode={pool_mode!r}')
    options = (output_size, spatial_scale, sampling_ratio, aligned)
    return torchvision.ops.roi_align(*_widened(input, rois), *options).to(input.dtype)


def _not_provided(operator):
    return OperatorError(
        f'The mmcv operator {operator} needs a compiled mmcv, and mmcv-lite is installed; with a '
        f'C++ compiler (and nvcc for the GPU) it is built by: {BUILD_FULL_MMCV}'
    )


def __getattr__(name):
    """An operator that raises when it is called."""
    if name.startswith('__'):  # Python's own look-ups, such as __path__
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')

    def operator(*args, **kwargs):
        raise _not_provided(name)

    operator.__name__ = operator.__qualname__ = name
    return NOT_PROVIDED.setdefault(name, operator)


if __name__ == 'mmcv._ext':
    for module in map(importlib.import_module, ('mmcv.ops.roi_align', 'mmcv.ops')):
        module.roi_align = roi_align  # also what mmcv.ops.RoIAlign calls
