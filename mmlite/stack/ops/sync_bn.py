"""Synchronized batch normalization (MegDet, Peng et al., CVPR 2018)."""

from types import SimpleNamespace

import torch
import torch.distributed as dist

from .common import widened

DIST = SimpleNamespace(  # of mmcv.ops.sync_bn, whose layer asks for the group when it is built
    group=dist.group,
    get_world_size=lambda group: dist.get_world_size(group) if dist.is_initialized() else 1,
)


class Total(torch.autograd.Function):
    """Sum of a tensor over the processes of a group, and of its gradient."""

    @staticmethod
    def forward(ctx, tensor, group):
        ctx.group, tensor = group, tensor.clone()
        dist.all_reduce(tensor, group=group)
        return tensor

    @staticmethod
    def backward(ctx, grad):
        return Total.forward(ctx, grad, ctx.group), None


def sync_batch_norm(
    input, running_mean, running_var, weight, bias, momentum, eps, group, group_size, stats_mode
):
    """Normalize ``input`` (B, C, ...) by the statistics of ``group_size`` processes.

    ``stats_mode`` 'default' weighs each process by 1, 'N' by its batch, which may be empty. Running
    statistics are updated in place unless all batches are empty; the one of the variance is
    unbiased for equal batches. Gradients of ``weight`` and ``bias`` are those of this process.
    """
    (wide,) = widened(input)
    wide = wide.reshape(*input.shape[:2], input.shape[2:].numel())
    values = len(wide) * wide.shape[2]
    share = len(wide) if stats_mode == 'N' else 1

    def total(statistic):
        return Total.apply(statistic, group) if group_size > 1 else statistic

    filled = wide.new_full((1,), len(wide) > 0)  # with the sums, so that one message does
    summed = total(torch.cat([wide.sum((0, 2)) / max(values, 1), filled]) * share)
    filled = summed[-1].detach()
    shares = filled.clamp(min=1) if stats_mode == 'N' else group_size
    mean = summed[:-1] / shares
    centred = wide - mean[:, None]
    var = total(centred.square().sum((0, 2)) / max(values, 1) * share) / shares
    output = centred * (var + eps).rsqrt()[:, None]
    if weight is not None:
        output = output * weight[:, None] + bias[:, None]

    if running_mean is not None:
        count = values * group_size
        momentum = (momentum * filled.clamp(max=1)).to(running_mean.dtype)
        unbiased = var * (count / max(count - 1, 1))
        for running, batch in ((running_mean, mean), (running_var, unbiased)):
            running.lerp_(batch.detach().to(running.dtype), momentum)
    return output.view(input.shape).to(input.dtype)
