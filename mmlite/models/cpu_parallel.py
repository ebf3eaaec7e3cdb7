"""Distributed training and evaluation without a GPU."""

from mmengine.logging import print_log
from mmengine.model import MMDistributedDataParallel, revert_sync_batchnorm
from torch.nn import SyncBatchNorm

from mmlite.registry import MODEL_WRAPPERS


@MODEL_WRAPPERS.register_module()
class CPUDistributedDataParallel(MMDistributedDataParallel):
    """mmengine's ``MMDistributedDataParallel`` without SyncBN, which requires a GPU in torch."""

    def __init__(self, module, **kwargs):
        if any(isinstance(layer, SyncBatchNorm) for layer in module.modules()):
            print_log('No GPU: statistics of SyncBN are per process.', 'current')
            module = revert_sync_batchnorm(module)
        super().__init__(module=module, **kwargs)
