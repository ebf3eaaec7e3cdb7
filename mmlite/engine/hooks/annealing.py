"""Mask annealing of EoMT."""

from mmengine.hooks import Hook

from mmlite.errors import ArgumentError
from mmlite.registry import HOOKS

from .fit import unwrap_model


@HOOKS.register_module()
class MaskAnnealingHook(Hook):
    """Anneal the masked attention of EoMT's query blocks from 1 to 0 (EoMT, section 3.3).

    Before each iteration it sets ``mask_share`` of the head, by :func:`mask_share`. Models without
    one are left alone. An evaluation in between masks the blocks whose share is not yet 0.

    Args:
        starts, ends (Sequence[int], optional): First and last iteration by query block (batches,
            also where gradients are accumulated). Default to equal phases: with L blocks, block l
            (from 0) anneals in phase l + 1 of L + 2.
        power (float): Exponent of the decrease. Defaults to 0.9.
    """

    def __init__(self, starts=None, ends=None, power=0.9):
        if (starts is None) != (ends is None) or any(
            a >= b for a, b in zip(starts or (), ends or (), strict=True)
        ):
            raise ArgumentError(
                f'starts {starts} and ends {ends} must be given together, each start before its end'
            )
        self.starts, self.ends, self.power = starts, ends, power

    def before_train(self, runner):
        model = unwrap_model(runner.model)
        heads = (getattr(model, name, None) for name in ('decode_head', 'panoptic_head'))
        self.head = next((head for head in heads if hasattr(head, 'mask_share')), None)
        self.shares = None  # a checkpoint may have filled the buffer
        if self.head is None:
            return
        count = self.head.num_blocks
        if self.starts and len(self.starts) != count:
            raise ArgumentError(
                f'starts has {len(self.starts)} entries, but the head {count} query blocks'
            )
        phase = runner.max_iters / (count + 2)
        starts = self.starts or [phase * (i + 1) for i in range(count)]
        ends = self.ends or [phase * (i + 2) for i in range(count)]
        self.spans = list(zip(starts, ends, strict=True))

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        """Set the shares of the iteration, counted from 0."""
        if self.head is None:
            return
        shares = [mask_share(runner.iter, *span, self.power) for span in self.spans]
        if shares != self.shares:
            self.shares = shares
            for index, share in enumerate(shares):
                self.head.mask_share[index].fill_(share)  # without a wait for the device


def mask_share(step, start, end, power=0.9):
    """float: 1 until ``start``, 0 from ``end``, ``(1 - progress) ^ power`` between."""
    progress = min(max((step - start) / (end - start), 0.0), 1.0)
    return (1 - progress) ** power
