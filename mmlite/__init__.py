"""mmlite: lightweight vision transformers from pre-training to dense prediction in OpenMMLab."""

from . import stack

__version__ = '0.1.0'

stack.apply()
