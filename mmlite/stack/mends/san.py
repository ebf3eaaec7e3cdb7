"""SAN from random weights.

The recognition head of mmseg 1.2 can only be initialized by a checkpoint: without one,
``AttributeError: 'super' object has no attribute 'init_weights'``.
"""

MODULES = ('mmseg.models.decode_heads.san_head',)


def mend(module):
    """Leave the layers as torch initializes them where there is no checkpoint."""
    stock = module.RecWithAttnbias.init_weights

    def init_weights(self, rec_state_dict):
        if rec_state_dict is not None:
            stock(self, rec_state_dict)

    module.RecWithAttnbias.init_weights = init_weights
