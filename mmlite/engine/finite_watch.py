"""Looks at the losses and gradients of every update before the optimiser takes them."""

import functools

import torch
from mmengine.dist import all_reduce
from mmengine.optim import OptimWrapperDict
from torch.utils._foreach_utils import _group_tensors_by_device_and_dtype

MISSING = object()


def wrappers_of(optim_wrapper):
    """list[OptimWrapper]: The members of an ``OptimWrapperDict``, else the wrapper alone."""
    if isinstance(optim_wrapper, OptimWrapperDict):
        return list(optim_wrapper.optim_wrappers.values())
    return [optim_wrapper]


class FiniteWatch:
    """Stops a step whose loss or gradients are not finite, before a weight changes.

    Gradients are looked at when they are accumulated and exchanged between the processes, and not
    yet clipped: clipping by their common norm would spread one NaN to all. With an enabled
    ``GradScaler`` it is the scaler that looks at them and skips the update; such updates are
    counted. All processes of a distributed run come to the same decision.

    Args:
        model (BaseModel): Without wrapper; its ``parse_losses`` is listened to.
        optim_wrapper (OptimWrapper | OptimWrapperDict): Its ``backward`` and ``step`` are.
        fail (callable): Called with the names of the parameters whose gradients are not finite,
            the number of updates that were skipped in a row (0 without a scaler), and whether a
            loss of this process is not finite. It must raise.
        max_skipped (int): Updates that a scaler may skip in a row, less one.

    Attributes:
        losses (dict[str, Tensor]): What ``parse_losses`` gave; or the loss that went into
            ``backward``. Set it to a new dict before each iteration.
    """

    def __init__(self, model, optim_wrapper, fail, max_skipped):
        self.losses = {}
        self.fail = fail
        self.max_skipped = max_skipped
        self.names = {id(parameter): name for name, parameter in model.named_parameters()}
        self._undo = []
        if hasattr(model, 'parse_losses'):
            self._parse_losses = self.replace(model, 'parse_losses', self._listen)
        for wrapper in wrappers_of(optim_wrapper):
            _Guard(self, wrapper)

    def replace(self, owner, name, function):
        """Put ``function`` in the place of a method until :meth:`remove`; returns the method."""
        method, before = getattr(owner, name), vars(owner).get(name, MISSING)

        def undo():
            delattr(owner, name) if before is MISSING else setattr(owner, name, before)

        @functools.wraps(method)  # schedulers look for a mark that they have left on it
        def call(*args, **kwargs):
            return function(*args, **kwargs)

        setattr(owner, name, call)
        self._undo.append(undo)
        return method

    def on_step(self, optimizer, function):
        """Call ``function`` before the optimiser's steps until :meth:`remove`."""
        self._undo.append(optimizer.register_step_pre_hook(function).remove)

    def remove(self):
        """Leave model and optimisers as they were."""
        while self._undo:
            self._undo.pop()()

    def _listen(self, losses):
        total, logged = self._parse_losses(losses)
        self.losses.update({name: value.detach() for name, value in logged.items()})
        return total, logged


class _Guard:
    """Watches one optimiser wrapper."""

    def __init__(self, watch, wrapper):
        self.watch = watch
        self.optimizer = wrapper.optimizer
        self.losses = []  # of the update, one for every backward pass
        self.skipped = 0
        self.stepped = False
        self._backward = watch.replace(wrapper, 'backward', self.backward)
        if scaler_of(wrapper) is None:
            self._step = watch.replace(wrapper, 'step', self.step)
        else:
            self._step = watch.replace(wrapper, 'step', self.scaled_step)
            watch.on_step(wrapper.optimizer, self.before_scaled_step)

    def backward(self, loss, **kwargs):
        """In place of the wrapper's: remember the loss."""
        self.losses.append(loss.detach().clone())
        self.watch.losses.setdefault('loss', loss.detach())
        return self._backward(loss, **kwargs)

    def step(self, **kwargs):
        """In place of the wrapper's, where nothing is scaled: look at losses and gradients."""
        losses = self.take_losses()
        if broken_anywhere([*losses, *self.gradients()]):
            self.watch.fail(self.broken(), 0, not_finite(losses))
        return self._step(**kwargs)

    def scaled_step(self, **kwargs):
        """In place of the wrapper's, where a scaler decides: count what it skips."""
        self.stepped = False
        # not afterwards, since clipping may spread one NaN to all
        names = self.broken() if self.skipped + 1 >= self.watch.max_skipped else []
        self._step(**kwargs)
        losses = self.take_losses()
        self.skipped = 0 if self.stepped else self.skipped + 1
        if self.skipped >= self.watch.max_skipped:
            self.watch.fail(names, self.skipped, not_finite(losses))

    def before_scaled_step(self, optimizer, args, kwargs):
        """The scaler found finite gradients; or it leaves the decision to a fused optimiser."""
        found = getattr(optimizer, 'found_inf', None)
        if found is not None and bool(found):
            return
        self.stepped = True
        losses = self.take_losses()
        if broken_anywhere(losses):
            self.watch.fail([], 0, not_finite(losses))

    def take_losses(self):
        """The losses of the update, which are then forgotten."""
        losses, self.losses = self.losses, []
        return losses

    def gradients(self):
        """Elements of every gradient."""
        return [_elements(p.grad) for p in self.parameters() if p.grad is not None]

    def parameters(self):
        """Every parameter of the optimiser."""
        return [p for group in self.optimizer.param_groups for p in group['params']]

    def broken(self):
        """Names of the parameters whose gradients are not finite; waits for the device."""
        return [
            self.watch.names.get(id(parameter), f'parameter {index} of the optimiser')
            for index, parameter in enumerate(self.parameters())
            if parameter.grad is not None and not_finite([_elements(parameter.grad)])
        ]


def scaler_of(wrapper):
    """The wrapper's ``GradScaler``, or None if it has none or has switched it off."""
    scaler = getattr(wrapper, 'loss_scaler', None)
    return scaler if scaler is not None and scaler.is_enabled() else None


@torch.no_grad()
def broken_anywhere(tensors):
    """Whether any element of these tensors is NaN or infinite, in any process.

    Waits for the device once. Each element is read once and written back as it is: torch's kernel
    for a ``GradScaler``, with a scale of 1, is faster than one that only reads.
    """
    groups = _group_tensors_by_device_and_dtype([tensors]).values()
    flags = [_flag(group) for [group], _ in groups]
    return anywhere(sum(flag.to(flags[0].device) for flag in flags))


def _flag(tensors):
    """Tensor (1,) on the device of these tensors: more than 0 if any element is not finite."""
    flag = torch.zeros(1, device=tensors[0].device)
    torch._amp_foreach_non_finite_check_and_unscale_(tensors, flag, torch.ones_like(flag))
    return flag


def anywhere(flag):
    """Whether ``flag``, a number or a tensor of one, is above 0 in any process; all must ask."""
    flag = torch.as_tensor(flag).int()
    all_reduce(flag, 'max')
    return bool(flag)


def not_finite(tensors):
    """Whether any element of these tensors is NaN or infinite."""
    return not all(bool(tensor.isfinite().all()) for tensor in tensors)


def _elements(grad):
    grad = grad._values() if grad.is_sparse else grad
    return torch.view_as_real(grad) if grad.is_complex() else grad
