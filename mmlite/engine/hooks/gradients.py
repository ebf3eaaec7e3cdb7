"""Hooks between the backward pass and the step of the optimizer."""

import torch
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict

from mmlite.errors import UserError
from mmlite.registry import HOOKS
from mmlite.utils.names import near_names

from .fit import unwrap_model


class GradientHook(Hook):
    """Base of hooks that change gradients right before the step of the optimizer.

    A subclass defines ``change(optimizer)``. The optimizer calls it once an update: after gradients
    are accumulated, exchanged between processes and, with mixed precision, unscaled and found
    finite. (A fused optimizer unscales inside its step, by its ``grad_scale``.)

    Raises:
        UserError: At the beginning of training, if the run has several optimizers.
    """

    def before_train(self, runner):
        if isinstance(runner.optim_wrapper, OptimWrapperDict):
            raise UserError(
                f'{type(self).__name__} needs a run with one optimizer, and this one has '
                f'{", ".join(runner.optim_wrapper.keys())}'
            )
        optimizer = runner.optim_wrapper.optimizer
        self._handle = optimizer.register_step_pre_hook(
            lambda optimizer, *_: self.change(optimizer)
        )

    def after_train(self, runner):
        self._handle.remove()


class ClipHook(GradientHook):
    """Base of hooks that clip gradients without waiting for the device.

    A subclass defines ``norms(norms)``: from the L2 norms (N,) of N gradients, the norms (N,) that
    are clipped to ``max_norm`` (> 0, else UserError).
    """

    def __init__(self, max_norm):
        if max_norm <= 0:
            raise UserError(f'{type(self).__name__}: max_norm must be > 0 (got {max_norm})')
        self.max_norm = max_norm

    @torch.no_grad()
    def change(self, optimizer):
        params = [p for group in optimizer.param_groups for p in group['params']]
        grads = [p.grad for p in params if p.grad is not None]
        if not grads:  # all layers of this step are frozen
            return
        norms = self.norms(torch.stack([n.float() for n in torch._foreach_norm(grads)]))
        scale = getattr(optimizer, 'grad_scale', None)
        limit = self.max_norm * (1.0 if scale is None else scale)
        torch._foreach_mul_(grads, list((limit / (norms + 1e-6)).clamp(max=1.0).unbind()))


@HOOKS.register_module()
class ClipNormHook(ClipHook):
    """Clip the L2 norm of all gradients as one vector to ``max_norm``.

    In contrast to ``optim_wrapper.clip_grad``, the host does not wait for the device in every step.
    """

    def norms(self, norms):
        return norms.norm().expand_as(norms)


@HOOKS.register_module()
class ClipEachTensorHook(ClipHook):
    """Clip the L2 norm of every tensor's gradient to ``max_norm``, by default 3.0 as in DINO."""

    def __init__(self, max_norm=3.0):
        super().__init__(max_norm)

    def norms(self, norms):
        return norms


@HOOKS.register_module()
class FreezeLayersHook(GradientHook):
    """Freeze layers for the first epochs (DINO: the last layer for one epoch).

    Their gradients are removed, so that neither momentum nor weight decay moves them. They still
    take part in the backward pass, as ``DistributedDataParallel`` requires.

    Args:
        names (Sequence[str]): Modules or parameters of the model, e.g. ``['neck.last_layer']``.
        epochs (float): Passes over the training data. Defaults to 1.

    Raises:
        UserError: At the beginning of training, if a name has no trainable parameter.
    """

    def __init__(self, names, epochs=1):
        self.names = tuple(names)
        self.epochs = epochs

    def before_train(self, runner):
        self._runner = runner
        self._until = self.epochs * len(runner.train_dataloader)
        named = unwrap_model(runner.model).named_parameters()
        trainable = {name: parameter for name, parameter in named if parameter.requires_grad}
        self._frozen = []
        for name in self.names:
            found = [p for path, p in trainable.items() if f'{path}.'.startswith(f'{name}.')]
            if not found:
                modules = {path.rpartition('.')[0] for path in trainable}
                near = near_names(name, modules) or sorted(modules)
                raise UserError(
                    f'FreezeLayersHook: the model has no trainable parameter under {name!r}; did '
                    f'you mean {near[0]!r}?'
                )
            self._frozen += found
        super().before_train(runner)

    def change(self, optimizer):
        """Remove the gradients until the epochs are over."""
        if self._runner.iter < self._until:
            for parameter in self._frozen:
                parameter.grad = None
