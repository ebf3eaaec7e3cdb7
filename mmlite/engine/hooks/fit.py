"""Refuses a checkpoint that does not belong to the model, which mmengine would load in parts."""

import re

from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper

from mmlite.errors import CheckpointError
from mmlite.models.weights import check_architecture
from mmlite.registry import HOOKS


@HOOKS.register_module()
class CheckpointFitHook(Hook):
    """Checks the checkpoint that a run starts from, before its weights are taken.

    The description of the backbone in the checkpoint, where there is one, must agree with the
    model's: a ViT-Tiny of 3 heads has the shapes of one of 12. The tools add this hook.

    Args:
        whole (bool): Every parameter of the model must be in the file with its shape, as
            evaluation and resuming need it. Otherwise mmengine logs what does not fit, as
            fine-tuning expects. Defaults to True.

    Raises:
        CheckpointError: While loading; names the file, the parameter and both shapes.
    """

    priority = 'VERY_LOW'  # after hooks that rearrange the weights

    def __init__(self, whole=True):
        self.whole = whole

    def after_load_checkpoint(self, runner, checkpoint):
        """Check ``checkpoint`` against the model of ``runner``."""
        source = runner.cfg.get('load_from') or f'the latest checkpoint of {runner.work_dir}'
        model = bare_model(runner.model)
        backbone = getattr(model, 'backbone', None)
        recorded = (checkpoint.get('meta') or {}).get('backbone')
        if recorded and hasattr(backbone, 'describe'):
            check_architecture(backbone, recorded, source)
        if self.whole:
            check_weights(model, checkpoint.get('state_dict', checkpoint), source)


def bare_model(model):
    """``model`` without wrappers for distribution and test-time augmentation."""
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model


def check_weights(model, weights, source):
    """Check that ``weights`` hold all of ``model``.

    Args:
        model (nn.Module): Where the weights go. Its ``backbone`` may resample tensors of another
            image size by ``fit_to_size(name, given, own)``.
        weights (dict[str, Tensor]): A state dict, with or without the prefix ``module.``.
        source (str): Name of the file, for the message.

    Raises:
        CheckpointError: A parameter or buffer is missing or of another shape.
    """
    weights = {re.sub(r'^module\.', '', key): value for key, value in weights.items()}
    own = model.state_dict()
    # counters that old files lack, and that only training uses
    missing = [k for k in own if k not in weights and not k.endswith('num_batches_tracked')]
    if missing:
        raise CheckpointError(
            f'{source} does not hold this model: {len(missing)} of {len(own)} tensors are not in '
            f'it (first {missing[0]!r}); give the config that it was trained with'
        )
    for key, tensor in own.items():
        given = weights.get(key, tensor)
        if given.shape != tensor.shape and not _resampled(model, key, given, tensor):
            raise CheckpointError(
                f'{source} does not fit this model: {key!r} has shape {tuple(given.shape)}, but '
                f'the config builds {tuple(tensor.shape)}; give the config that it was trained with'
            )


def _resampled(model, key, given, own):
    backbone = getattr(model, 'backbone', None)
    if not key.startswith('backbone.') or not hasattr(backbone, 'fit_to_size'):
        return False
    fitted = backbone.fit_to_size(key[len('backbone.') :], given, own)
    return fitted is not None and fitted.shape == own.shape
