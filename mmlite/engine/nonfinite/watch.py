"""Check of losses and gradients before every update of the weights."""

from collections import Counter
from functools import partial, update_wrapper

import torch
from mmengine.dist import all_reduce
from mmengine.optim import OptimWrapperDict
from torch.nn.utils import get_total_norm


def optim_wrappers(optim_wrapper):
    """list[OptimWrapper]: Members of an ``OptimWrapperDict``, else the wrapper alone."""
    if isinstance(optim_wrapper, OptimWrapperDict):
        return list(optim_wrapper.optim_wrappers.values())
    return [optim_wrapper]


class FiniteWatch:
    """Call ``fail`` before an update whose loss or gradients are not finite.

    Gradients are checked after accumulation and exchange between processes, and before clipping,
    which would spread one NaN to all. A ``GradScaler`` checks gradients itself and skips the
    update; such updates are counted. All processes come to the same decision.

    Args:
        model (BaseModel): Without wrapper.
        optim_wrapper (OptimWrapper | OptimWrapperDict): Its optimizers.
        fail (callable): Called with the names of parameters whose gradients are not finite, and the
            number of updates skipped in a row (0 without a scaler). It must raise.
        max_skipped (int): Number of updates skipped in a row at which training fails.

    Attributes:
        losses (list[dict[str, Tensor]]): Loss terms of each iteration of the update, for which the
            caller appends an empty dict.
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
            if scaler is None or not scaler.is_enabled():
                self._replace(wrapper, 'step', partial(self._step, wrapper))
            else:
                self._replace(wrapper, 'step', partial(self._scaled_step, wrapper))
                check = partial(self._before_scaled_step, wrapper)
                self._undo.append(wrapper.optimizer.register_step_pre_hook(check).remove)

    def remove(self):
        """Restore model and optimizers."""
        while self._undo:
            self._undo.pop()()

    def bad_loss(self):
        """Whether a loss of this process is not finite; waits for the device."""
        return any_nonfinite_here(self._loss_tensors())

    def _replace(self, owner, name, function):
        method, replaced = getattr(owner, name), vars(owner).get(name)
        # schedulers look for a mark that they have left on the method
        setattr(owner, name, update_wrapper(partial(function, method), method))
        restore = (
            partial(setattr, owner, name, replaced) if replaced else partial(delattr, owner, name)
        )
        self._undo.append(restore)

    def _listen(self, parse_losses, losses):
        total, logged = parse_losses(losses)
        self.losses[-1].update({name: value.detach() for name, value in logged.items()})
        return total, logged

    def _loss_tensors(self):
        return [v for terms in self.losses for k, v in terms.items() if 'loss' in k]

    def _step(self, wrapper, step, **kwargs):
        if any_nonfinite([*self._loss_tensors(), *self._gradients(wrapper).values()]):
            self._fail(self._broken(wrapper), 0)
        return step(**kwargs)

    def _scaled_step(self, wrapper, step, **kwargs):
        self._skipped[wrapper] += 1
        if self._skipped[wrapper] >= self._max_skipped and (names := self._broken(wrapper)):
            self._fail(names, self._skipped[wrapper])
        step(**kwargs)

    def _before_scaled_step(self, wrapper, optimizer, args, kwargs):
        # called if gradients are finite; a fused optimizer is called anyway, with a flag
        if not bool(getattr(optimizer, 'found_inf', False)):
            self._skipped[wrapper] = 0
            if any_nonfinite(self._loss_tensors()):
                self._fail([], 0)

    def _gradients(self, wrapper):
        groups = wrapper.optimizer.param_groups
        params = [p for group in groups for p in group['params'] if p.grad is not None]
        return {
            self._names[p]: p.grad.coalesce().values() if p.grad.is_sparse else p.grad
            for p in params
        }

    def _broken(self, wrapper):
        grads = self._gradients(wrapper).items()
        return [name for name, grad in grads if any_nonfinite_here([grad])]


@torch.no_grad()
def any_nonfinite(tensors):
    """Whether any element of these tensors is NaN or infinite, in any process.

    Waits for the device once, unless the norm of the tensors is not finite: it may overflow, so
    each element is then checked.
    """
    flag = (~get_total_norm(tensors).isfinite()).int()
    all_reduce(flag, 'max')
    if flag:
        flag.fill_(any_nonfinite_here(tensors))
        all_reduce(flag, 'max')
    return bool(flag)


def any_nonfinite_here(tensors):
    """As :func:`any_nonfinite`, in this process."""
    return not all(bool(tensor.isfinite().all()) for tensor in tensors)
