"""mmpretrain beside transformers 5.

The multimodal models of mmpretrain 1.2 are written for transformers 4. Where 5 is installed, their
``TypeError: NoneType takes no arguments`` ends every import of mmpretrain and mmdet.
"""

from importlib import metadata

MODULES = ('mmpretrain.utils.dependency',)


def mend(module):
    """Leave the multimodal models out."""
    if module.WITH_MULTIMODAL:
        version = metadata.version('transformers')
        module.WITH_MULTIMODAL = int(version.partition('.')[0]) < 5
