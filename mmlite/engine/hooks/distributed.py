"""Losses and gradients of several processes."""

from mmengine.dist import all_reduce_dict, get_world_size
from mmengine.hooks import Hook
from torch.distributed.algorithms.ddp_comm_hooks import default_hooks
from torch.nn.parallel import DistributedDataParallel

from mmlite.errors import ArgumentError
from mmlite.registry import HOOKS

COMPRESSIONS = {
    'fp16': default_hooks.fp16_compress_hook,
    'bf16': default_hooks.bf16_compress_hook,
}


@HOOKS.register_module()
class DDPCommHook(Hook):
    """Exchange gradients in half precision, as detectron2 does for ViTDet: half the traffic.

    Args:
        compress (str): ``'fp16'`` or ``'bf16'`` (NCCL only). Defaults to ``'fp16'``.
    """

    priority = 'VERY_HIGH'

    def __init__(self, compress='fp16'):
        if compress not in COMPRESSIONS:
            raise ArgumentError(f'compress must be one of {list(COMPRESSIONS)}, got {compress!r}')
        self.compress = compress

    def before_train(self, runner):
        if isinstance(runner.model, DistributedDataParallel):
            runner.model.register_comm_hook(state=None, hook=COMPRESSIONS[self.compress])
            runner.logger.info(f'Gradients are exchanged in {self.compress}.')
        else:
            runner.logger.info('DDPCommHook has nothing to do: this is a single process.')


@HOOKS.register_module()
class ReduceLossHook(Hook):
    """Average the logged losses over all processes; mmengine logs those of the first one."""

    priority = 'HIGHEST'  # before RuntimeInfoHook (VERY_HIGH) reads the losses

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if get_world_size() > 1 and outputs:
            all_reduce_dict(outputs, 'mean')
