"""MILAN's decoder behind the backbone of its config.

The only config of mmpretrain 1.2, on a ViT-Base of 768 channels, leaves the decoder's ``embed_dim``
at its default, 1024: ``RuntimeError: mat1 and mat2 shapes cannot be multiplied``.
"""

MODULES = ('mmpretrain.models.selfsup.milan',)


def mend(module):
    """Give the decoder the channels of the backbone where the config does not."""
    stock = module.MILAN.__init__

    def __init__(self, backbone, neck=None, **kwargs):
        arch = backbone.get('arch')
        sizes = arch if isinstance(arch, dict) else module.MILANViT.arch_zoo.get(arch, {})
        if neck and 'embed_dims' in sizes:
            neck = {'embed_dim': sizes['embed_dims'], **neck}
        stock(self, backbone, neck, **kwargs)

    module.MILAN.__init__ = __init__
