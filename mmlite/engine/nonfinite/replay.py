"""Replay of a training step that :class:`~.hook.FiniteHook` has kept."""

from copy import deepcopy

import torch
from mmengine.logging import MessageHub
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.runner import set_random_seed
from mmengine.structures import BaseDataElement
from torch.nn.modules.module import register_module_forward_hook

from mmlite.errors import CheckpointError, NonFiniteError
from mmlite.registry import MODELS

from ..hooks.fit import optim_wrappers
from ..loops import restore_rng
from .step import COUNTS, named_tensors, settings
from .watch import FiniteWatch


class Replay:
    """Model and optimizer of a failed step, from the config of its run and :func:`~.step.read`."""

    def __init__(self, cfg, record, device):
        self.record = record
        torch.set_num_threads(record['threads'])  # the last bits of sums depend on it
        set_random_seed(0, deterministic=bool((cfg.get('randomness') or {}).get('deterministic')))
        self.model = revert_sync_batchnorm(MODELS.build(cfg.model)).to(device)
        self.optim_wrapper = build_optim_wrapper(self.model, cfg.optim_wrapper)

    def run(self):
        """Run the step from the state before it.

        Returns the loss terms of each iteration, and the names of parameters whose gradients are
        not finite, None if the step is finite.
        """
        self._rewind()

        def fail(names, skipped):
            raise NonFiniteError(names)

        watch = FiniteWatch(self.model, self.optim_wrapper, fail, max_skipped=1)
        try:
            for batch, state in zip(self.record['batches'], self.record['iterations'], strict=True):
                MessageHub.get_current_instance().update_info('iter', state['iter'])
                watch.losses.append({})
                restore_rng(state['random'])
                self.model.train_step(deepcopy(batch), optim_wrapper=self.optim_wrapper)
            gradients = None
        except NonFiniteError as error:
            gradients = error.args[0]
        finally:
            watch.remove()
        return watch.numbers(), gradients

    def explain(self):
        """Yield sentences on what is not finite, with :func:`torch.autograd.detect_anomaly`."""
        for name in ('batches', 'weights'):
            for path in nonfinite_paths(self.record[name], name):
                yield f'not finite before the step: {path}'
        names = {module: name for name, module in self.model.named_modules()}
        outputs = []

        def look(module, inputs, output):  # a child ends before its parent
            if not outputs and any(nonfinite_paths(output)) and not any(nonfinite_paths(inputs)):
                outputs.append(names.get(module) or type(module).__name__)

        handle = register_module_forward_hook(look)
        try:
            with torch.autograd.detect_anomaly():
                self.run()
        except RuntimeError as error:
            if 'returned nan' not in str(error):
                raise
            if not outputs:
                yield f'all outputs are finite; first in the backward pass: {error}'
        finally:
            handle.remove()
        yield from (f'first output that is not finite: {name}' for name in outputs)

    def _rewind(self):
        tensors, saved = named_tensors(self.model), self.record['weights']
        try:
            with torch.no_grad():
                for name in tensors | saved:
                    if tensors[name].shape != saved[name].shape:
                        raise ValueError(f'{name} has another shape')
                    tensors[name].copy_(saved[name])
            self.optim_wrapper.load_state_dict(deepcopy(self.record['optimizer']))
        except (KeyError, RuntimeError, ValueError) as error:
            raise CheckpointError(
                'the step does not fit model and optimizer of its config: give no --cfg-options '
                f'that change them ({error})'
            ) from error
        self.optim_wrapper.zero_grad()
        for path, module in self.model.named_modules():
            present, saved = settings(module), self.record['settings'].get(path, {})
            vars(module).update({key: saved[key] for key in present if key in saved})
        wrappers = optim_wrappers(self.optim_wrapper)
        for wrapper, counts in zip(wrappers, self.record['counts'], strict=True):
            vars(wrapper).update(zip(COUNTS, counts, strict=True))
        MessageHub.get_current_instance().update_info_dict(self.record['progress'])


def nonfinite_paths(value, path=''):
    """Yield the paths of tensors with a NaN or infinity in containers and mmengine's structures."""
    if isinstance(value, torch.Tensor) and not value.isfinite().all():
        yield path or 'tensor'
    elif isinstance(value, (dict, BaseDataElement)):
        for key, item in value.items():
            yield from nonfinite_paths(item, f'{path}.{key}')
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from nonfinite_paths(item, f'{path}[{index}]')
