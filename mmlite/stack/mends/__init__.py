"""Mends of the wheels, one a file, each made when its module has been imported."""

import sys

from ..finder import AfterImport
from . import hue, lenet, milan, multimodal, numpy_names, san, ssd, transformers_5

PARTS = (hue, lenet, milan, multimodal, numpy_names, san, ssd, transformers_5)
MENDS = {name: part.mend for part in PARTS for name in part.MODULES}
"""Module -> function that mends it."""


def install():
    """Mend what is imported already, and the rest in time."""
    sys.meta_path.insert(0, AfterImport(MENDS))
    for name in MENDS.keys() & sys.modules.keys():
        MENDS[name](sys.modules[name])
