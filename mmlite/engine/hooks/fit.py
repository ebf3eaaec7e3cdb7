"""A hook that refuses a checkpoint of another model, which mmengine would load in parts."""

from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.optim import OptimWrapperDict

from mmlite.models.weights import check_architecture, check_weights, read_weights
from mmlite.registry import HOOKS


@HOOKS.register_module()
class CheckpointFitHook(Hook):
    """Check the checkpoint that a run starts from, and the backbone that it describes.

    Args:
        whole (bool): Every parameter of the model must be in the file with its shape, as evaluation
            and resuming require. Otherwise mmengine logs what does not fit. Defaults to True.

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
        if self.whole:
            check_weights(model, read_weights(checkpoint, source), source)


def unwrap_model(model):
    """``model`` without wrappers for distribution and test-time augmentation."""
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model


def optim_wrappers(optim_wrapper):
    """list[OptimWrapper]: Members of an ``OptimWrapperDict``, else the wrapper alone."""
    several = isinstance(optim_wrapper, OptimWrapperDict)
    return list(optim_wrapper.optim_wrappers.values()) if several else [optim_wrapper]
