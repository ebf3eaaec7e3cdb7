"""Losses of the whole batch in the logs of a distributed run."""

from mmengine.dist import all_reduce_dict, get_world_size
from mmengine.hooks import Hook

from mmlite.registry import HOOKS


@HOOKS.register_module()
class ReduceLossHook(Hook):
    """Average the logged losses over all processes; mmengine logs those of the first one."""

    priority = 'HIGHEST'  # before RuntimeInfoHook (VERY_HIGH) reads the losses

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Replace the tensors in ``outputs`` by their mean over the processes."""
        if get_world_size() > 1 and outputs:
            all_reduce_dict(outputs, 'mean')
