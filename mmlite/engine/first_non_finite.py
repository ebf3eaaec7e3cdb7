"""Finds the place where the first NaN or infinity of a training step appears."""

import re
import warnings

import torch
from mmengine.structures import BaseDataElement


class ForwardWatch:
    """Context that notes the first module whose output is not finite while its inputs are.

    Children are done before their parents: it is the innermost such module.

    Args:
        model (nn.Module): Whose modules are watched.

    Attributes:
        found (str | None): Its path, ``''`` for the model itself.
    """

    def __init__(self, model):
        self.model = model
        self.found = None
        self._handles = []

    def __enter__(self):
        for path, module in self.model.named_modules():
            hook = self._hook(path)
            self._handles.append(module.register_forward_hook(hook, with_kwargs=True))
        return self

    def __exit__(self, *_):
        for handle in self._handles:
            handle.remove()

    def _hook(self, path):
        def look(module, args, kwargs, output):
            if self.found is None and any(broken(output)) and not any(broken((args, kwargs))):
                self.found = path

        return look


def broken(value, path=''):
    """Where tensors that are not finite stand.

    Args:
        value: A tensor, or containers and structures of mmengine with tensors; others are passed.
        path (str): Of ``value``.

    Yields:
        str: Path of a tensor with a NaN or an infinity.
    """
    if isinstance(value, torch.Tensor):
        if not value.isfinite().all():
            yield path or 'value'
    elif isinstance(value, (dict, BaseDataElement)):
        for key, item in value.items():
            yield from broken(item, f'{path}.{key}' if path else str(key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from broken(item, f'{path}[{index}]')


def explain(replay):
    """Run a step under ``torch.autograd.detect_anomaly`` and say where it goes wrong.

    Args:
        replay (Replay): The step.

    Returns:
        list[str]: Sentences, the first cause first.
    """
    record = replay.record
    lines = [
        f'iteration {state["iter"] + 1}: the batch is not finite: {place}'
        for state in record['iterations']
        for place in broken(state['batch'])
    ]
    weights = list(broken(record['weights']))
    lines += [f'not finite before the step: {name}' for name in weights]
    with ForwardWatch(replay.model) as watch, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        function = _backward(replay)
    if watch.found is not None:
        lines.append(f'first output that is not finite: {_module(replay.model, watch.found)}')
    elif function:
        lines.append(f'all outputs are finite; the backward pass of {function} gives a NaN')
        lines += [f'called at {place}' for place in map(_innermost, caught) if place]
    elif not lines:
        lines.append('neither a module nor the backward pass gives a NaN first')
    return lines


def _backward(replay):
    """Name of the autograd function that gave the first NaN, or None."""
    try:
        with torch.autograd.detect_anomaly():
            replay.run()
    except RuntimeError as error:
        found = re.search(r"Function '(\w+)' returned nan", str(error))
        if not found:
            raise
        return found[1]
    return None


def _module(model, path):
    module = model.get_submodule(path)
    return f'{path or "the model itself"} ({type(module).__name__})'


def _innermost(warning):
    """File, line and code of the forward call that torch's warning is about."""
    text = str(warning.message)
    frames = re.findall(r'File "(.+)", line (\d+), in .+\n\s*(.+)', text)
    if 'Error detected in' not in text or not frames:
        return None
    file, line, code = frames[-1]
    return f'{file}, line {line}: {code}'
