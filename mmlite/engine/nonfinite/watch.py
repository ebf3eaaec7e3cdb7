"""Check of losses and gradients before every update of the weights."""

from collections import Counter
from functools import partial, update_wrapper

import torch
from mmengine.dist import all_reduce
from torch.nn.utils import get_total_norm

from ..hooks.fit import optim_wrappers


class FiniteWatch:
    """Call ``fail`` before an update whose loss or gradients are not finite.

    Gradients are checked after accumulation and exchange between processes, and before clipping,
    which would spread one NaN to all. ``fail`` must raise; it gets the names of parameters whose
    gradients are not finite, and how many updates in a row a ``GradScaler`` has skipped, of which
    ``max_skipped`` fail. To ``losses``, the terms of every iteration, the caller appends a dict.
    """

    def __init__(self, model, optim_wrapper, fail, max_skipped):
        self.losses = []
        self._fail, self._max_skipped = fail, max_skipped
        self._names = {parameter: name for name, parameter in model.named_parameters()}
        self._skipped = Counter()
        self._undo = []
        if hasattr(model, 'parse_losses'):
            self._replace(model, 'parse_losses', self._listen)
        for wrapper in optim_wrappers(optim_wrapper):
            scaler = getattr(wrapper, 'loss_scaler', None)
            scaled = scaler is not None and scaler.is_enabled()
            step = self._scaled_step if scaled else self._step
            self._replace(wrapper, 'step', partial(step, wrapper))
            if scaled:
                check = partial(self._before_scaled_step, wrapper)
                self._undo.append(wrapper.optimizer.register_step_pre_hook(check).remove)

    def remove(self):
        """Restore model and optimizers."""
        while self._undo:
            self._undo.pop()()

    def numbers(self):
        """list[dict[str, float]]: :attr:`losses` as numbers."""
        return [{name: float(value) for name, value in terms.items()} for terms in self.losses]

    def loss_tensors(self):
        """list[Tensor]: Losses of this process since the last update."""
        return [v for terms in self.losses for k, v in terms.items() if 'loss' in k]

    def _replace(self, owner, name, function):
        method, replaced = getattr(owner, name), vars(owner).get(name)
        # schedulers look for a mark that they have left on the method
        setattr(owner, name, update_wrapper(partial(function, method), method))
        restore = partial(setattr, owner, name, replaced)
        self._undo.append(restore if replaced else partial(delattr, owner, name))

    def _listen(self, parse_losses, losses):
        total, logged = parse_losses(losses)
        self.losses[-1].update({name: value.detach() for name, value in logged.items()})
        return total, logged

    def _step(self, wrapper, step, **kwargs):
        gradients = [grad for _, grad in self._gradients(wrapper)]
        if any_nonfinite([*self.loss_tensors(), *gradients]):
            self._fail(self._broken(wrapper), 0)
        step(**kwargs)

    def _scaled_step(self, wrapper, step, **kwargs):
        self._skipped[wrapper] += 1
        if self._skipped[wrapper] >= self._max_skipped and (names := self._broken(wrapper)):
            self._fail(names, self._skipped[wrapper])
        step(**kwargs)

    def _before_scaled_step(self, wrapper, optimizer, args, kwargs):
        # called if gradients are finite; a fused optimizer is called anyway, with a flag
        if not bool(getattr(optimizer, 'found_inf', False)):
            self._skipped[wrapper] = 0
            if any_nonfinite(self.loss_tensors()):
                self._fail([], 0)

    def _gradients(self, wrapper):
        for parameter in [p for group in wrapper.optimizer.param_groups for p in group['params']]:
            if (grad := parameter.grad) is not None:
                yield self._names[parameter], grad.coalesce().values() if grad.is_sparse else grad

    def _broken(self, wrapper):
        return [name for name, grad in self._gradients(wrapper) if not all_finite([grad])]


@torch.no_grad()
def any_nonfinite(tensors):
    """Whether any element is NaN or infinite, in any process; waits for the device once if not."""
    flag = (~get_total_norm(tensors).isfinite()).int()
    all_reduce(flag, 'max')
    if flag:  # or the norm has overflowed
        flag.fill_(not all_finite(tensors))
        all_reduce(flag, 'max')
    return bool(flag)


def all_finite(tensors):
    """Whether all elements of these tensors are finite, in this process."""
    return all(bool(tensor.isfinite().all()) for tensor in tensors)
