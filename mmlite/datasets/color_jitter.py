"""Color jitter."""

import cv2
import mmcv
import numpy as np
from mmpretrain.datasets import ColorJitter as BaseColorJitter

from mmlite.registry import TRANSFORMS


@TRANSFORMS.register_module()
class ColorJitter(BaseColorJitter):
    """mmpretrain's ``ColorJitter`` on OpenCV, with hues that turn both ways.

    With NumPy 2, mmcv raises an ``OverflowError`` where a hue turns backwards. OpenCV takes less
    than half the time of Pillow, mmpretrain's default.

    Required and modified key: ``img``, uint8 (H, W, 3) in BGR order.

    Args:
        brightness, contrast, saturation (float | tuple[float, float]): Factors are uniform in
            ``[max(0, 1 - x), 1 + x]`` or the given range. Default to 0, no change.
        hue (float | tuple[float, float]): Share of a full turn, uniform in ``[-x, x]`` or the given
            range, within ±0.5. Defaults to 0.
    """

    def __init__(self, brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0):
        super().__init__(brightness, contrast, saturation, hue, backend='cv2')

    def transform(self, results):
        order, *factors = self._rand_params()
        for index in order:
            if factors[index] is not None:
                results['img'] = _CHANGES[index](results['img'], factors[index], backend='cv2')
        return results


def turn_hue(image, turn, backend='cv2'):
    """Turn the hues of a BGR image, uint8 (H, W, 3), by a share of the full circle."""
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV_FULL)
    hsv[..., 0] += np.uint8(int(turn * 255) % 256)  # wraps around
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR_FULL)


# by their index in what _rand_params returns
_CHANGES = mmcv.adjust_brightness, mmcv.adjust_contrast, mmcv.adjust_color, turn_hue
