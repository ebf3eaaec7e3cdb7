"""RoIAlign (Mask R-CNN, He et al., ICCV 2017) on torchvision's kernel."""

import torchvision

from .common import not_provided, widened


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
        raise not_provided(f'roi_align with pool_mode={pool_mode!r}')
    options = (output_size, spatial_scale, sampling_ratio, aligned)
    return torchvision.ops.roi_align(*widened(input, rois), *options).to(input.dtype)
