"""Deformable convolution (Dai et al., ICCV 2017)."""

from .modulated_deform_conv import modulated_deform_conv2d


def deform_conv2d(
    input, offset, weight, stride=1, padding=0, dilation=1, groups=1, deform_groups=1, bias=False,
    im2col_step=32,
):  # fmt: skip
    """Convolution whose kernel points are moved by ``offset``.

    Shapes and errors are those of :func:`.modulated_deform_conv2d`. There is no ``bias``; a batch
    must be a multiple of ``im2col_step`` or smaller, which is of no other consequence.
    """
    assert bias is False, 'Only support bias is False.'
    batch = len(input)
    assert batch % max(min(im2col_step, batch), 1) == 0, (
        'batch size must be divisible by im2col_step'
    )
    return modulated_deform_conv2d(
        input, offset, None, weight, None, stride, padding, dilation, groups, deform_groups
    )
