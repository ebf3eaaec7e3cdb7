"""Hues that turn backwards.

``mmcv.adjust_hue`` (mmcv 2.0 to 2.1) counts on the uint8 of a negative number to wrap around. NumPy
>= 2 raises an OverflowError: mmpretrain's ColorJitter stops at the first negative hue that it
draws.
"""

import functools
import sys

MODULES = ('mmcv.image.photometric',)


class _Turn(float):
    """A share of the full circle whose product wraps around as uint8 did."""

    def __mul__(self, levels):
        return int(float(self) * levels) % 256


def mend(module):
    """Let ``adjust_hue`` take factors below 0."""
    stock = module.adjust_hue

    @functools.wraps(stock)
    def adjust_hue(img, hue_factor, backend=None):
        return stock(img, _Turn(hue_factor), backend)

    for name in (*MODULES, 'mmcv.image', 'mmcv'):
        if getattr(sys.modules.get(name), 'adjust_hue', None) is stock:
            sys.modules[name].adjust_hue = adjust_hue
