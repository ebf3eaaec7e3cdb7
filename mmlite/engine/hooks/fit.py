"""A hook that refuses a checkpoint of another model, which mmengine would load in parts."""

from collections import OrderedDict

from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.optim import OptimWrapperDict

from mmlite.models.weights import check_architecture, check_weights, read_weights
from mmlite.registry import HOOKS


@HOOKS.register_module()
class CheckpointFitHook(Hook):
    """Check the checkpoint that a run starts from, and give mmengine its weights by their names.

    Args:
        whole (bool): Every parameter of the model must be in the file with its shape, as evaluation
            and resuming require. Otherwise one must, and mmengine logs what does not fit. Defaults
            to True.

    Raises:
        CheckpointError: While loading; names the file, the parameter and both shapes.
    """

    priority = 'VERY_LOW'  # after hooks that rearrange the weights

    def __init__(self, whole=True):
        self.whole = whole

    def after_load_checkpoint(self, runner, checkpoint):
        source = runner.cfg.get('load_from') or f'the latest checkpoint of {runner.work_dir}'
        model = unwrap_model(runner.model)
        check_architecture(model, checkpoint, source)
        weights = OrderedDict(read_weights(checkpoint, source))
        if self.whole or not weights.keys() & model.state_dict().keys():
            check_weights(model, weights, source)
        # mmengine finds no weights under another key, or under names with several prefixes
        weights._metadata = getattr(checkpoint.get('state_dict'), '_metadata', {})
        checkpoint['state_dict'] = weights


def unwrap_model(model):
    """``model`` without wrappers for distribution and test-time augmentation."""
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model


def optim_wrappers(optim_wrapper):
    """list[OptimWrapper]: Members of an ``OptimWrapperDict``, else the wrapper alone."""
    several = isinstance(optim_wrapper, OptimWrapperDict)
    return list(optim_wrapper.optim_wrappers.values()) if several else [optim_wrapper]
