"""The message for a multimodal model without transformers.

mmpretrain 1.2 then registers a function that raises an ImportError in the place of each
model; they share the variable of a loop, and all of them name the last model, ``RAMOpenset``.
"""

from types import CellType, FunctionType

MODULES = ('mmpretrain.models.multimodal',)


def mend(module):
    """Let each function name the model that it stands for."""
    if module.WITH_MULTIMODAL:
        return
    for name, stand_in in module.MODELS.module_dict.items():
        if stand_in.__qualname__.startswith('register_multimodal_placeholder.'):
            code, names = stand_in.__code__, stand_in.__globals__
            own = FunctionType(code, names, closure=(CellType(name),))
            module.MODELS.register_module(name, force=True, module=own)
