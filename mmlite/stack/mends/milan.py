"""MILAN on the ViT-Base of its config.

The decoder of mmpretrain 1.2 takes 1024 channels by default, and its only config, for a ViT-Base
of 768, names no other number: ``mat1 and mat2 shapes cannot be multiplied``.
"""

MODULES = ('mmpretrain.models.necks.milan_neck',)


def mend(module):
    """Make 768 the default of ``embed_dim``, the fourth argument."""
    init = module.MILANPretrainDecoder.__init__
    init.__defaults__ = (*init.__defaults__[:3], 768, *init.__defaults__[4:])
