"""Learning-rate schedules that mmengine lacks."""

from mmengine.optim import CosineAnnealingLR

from mmlite.registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class CosineToRateLR(CosineAnnealingLR):
    """Cosine to one final rate, whatever the learning rate is, that layer-wise decay scales, too.

    mmengine's ``eta_min`` is the final rate of every layer, and its ``eta_min_ratio`` changes the
    final rate with the learning rate.

    Args:
        optimizer (Optimizer | OptimWrapper): Owner of the parameter groups.
        *args, **kwargs: As in mmengine's ``CosineAnnealingLR``.
        eta_min (float): Final learning rate of the group that learns at the highest rate. Others
            end at the same share of theirs. Defaults to 0.
    """

    def __init__(self, optimizer, *args, eta_min=0.0, **kwargs):
        highest = max(group.get('initial_lr', group['lr']) for group in optimizer.param_groups)
        super().__init__(optimizer, *args, eta_min_ratio=eta_min / highest, **kwargs)
