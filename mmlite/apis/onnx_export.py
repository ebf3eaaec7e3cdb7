"""From a tracker to an ONNX file."""

import inspect
import json
import logging
import os
import tempfile
import warnings
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from mmlite.engine.tracking import digest
from mmlite.errors import ArgumentError, CheckpointError, UserError
from mmlite.models.track.deploy import fuse_for_tracking

from .onnx_tracker import BACKENDS, INPUTS, SETTINGS, ONNXTrackerNetwork, import_package

OPSETS = range(17, 21)
"""From the first with layer normalisation to the last of torch's TorchScript exporter."""
COLUMNS = ('cx', 'cy', 'w', 'h', 'score', 'windowed score')


def export_tracker(model, path, opset=17, int8=False, tolerance=1e-4, overwrite=False):
    """Write a tracker as one ONNX file and check its numbers.

    The graph takes a normalised ``template`` (1, 3, T, T) and a normalised ``search`` region (1, 3,
    S, S) and gives ``found`` (1, 6), the row of
    :meth:`~mmlite.models.track.one_stream.OneStreamTracker.locate`. All its shapes are constant,
    also behind candidate elimination. What a tracker needs beside it, see
    :data:`~.onnx_tracker.SETTINGS`, is in the file's metadata.

    Args:
        model (OneStreamTracker): On the CPU, in evaluation mode; it is not changed.
        path (str | Path): ``.onnx`` file to write.
        opset (int): Of ONNX, 17 to 20. Defaults to 17.
        int8 (bool): Store and multiply the linear layers' weights in 8 bits, by channel, with
            scales of the activations found at run time; for ONNX Runtime. Defaults to False.
        tolerance (float): Largest difference from ``model`` that is accepted before weights are
            quantised. Defaults to 1e-4.
        overwrite (bool): Replace an existing file. Defaults to False.

    Returns:
        dict[str, float]: Largest difference from ``model`` by name of the column.

    Raises:
        ArgumentError: If the opset is out of range or the path does not end in ``.onnx``.
        UserError: If a package is missing, or the file exists or cannot be written.
        CheckpointError: If the file's numbers are others than the model's.
    """
    path = Path(path)
    if opset not in OPSETS:
        raise ArgumentError(f'opset {opset} cannot be written: give {OPSETS[0]} to {OPSETS[-1]}')
    if path.suffix != '.onnx':
        raise ArgumentError(f'{path} must end in .onnx')
    if path.exists() and not overwrite:
        raise UserError(f'{path} exists: give another name, or --overwrite')
    import_package('onnx')
    backend = 'onnxruntime' if int8 else _installed_backend()
    import_package(backend)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f'.{path.stem}.') as folder:
            file = Path(folder) / 'tracker.onnx'
            _write(model, file, opset)
            found = compare(model, ONNXTrackerNetwork(file, backend))
            _refuse_others(found, tolerance)
            if int8:
                file = _quantised(file)
                found = compare(model, ONNXTrackerNetwork(file, backend))
            os.replace(file, path)
    except OSError as error:
        raise UserError(f'cannot write {path}: {error.strerror or error}') from error
    return found


@torch.no_grad()
def compare(model, network, pairs=4):
    """Largest differences of what two networks find in generated pairs of images.

    Args:
        model, network (Network): On the CPU.
        pairs (int): Defaults to 4.

    Returns:
        dict[str, float]: By name of the column of ``locate``.
    """
    generator = torch.Generator().manual_seed(0)
    template, search = (
        torch.randn(pairs, 3, size, size, generator=generator)
        for size in (model.template_size, model.search_size)
    )
    want, got = (
        each.locate(each.embed_template(template), search).float() for each in (model, network)
    )
    return dict(zip(COLUMNS, (got - want).abs().amax(dim=0).tolist(), strict=True))


class Graph(nn.Module):
    """A tracker as one function of two images."""

    def __init__(self, model):
        super().__init__()
        self.network = fuse_for_tracking(model, sparse=False)

    def forward(self, template, search):
        return self.network.locate(self.network.embed_template(template), search)


def _write(model, file, opset):
    """Write the graph with its metadata."""
    import onnx

    images = tuple(torch.zeros(1, 3, n, n) for n in (model.template_size, model.search_size))
    # the exporter by torch.export needs onnxscript and, in old versions, writes other graphs
    known = inspect.signature(torch.onnx.export).parameters
    exporter = dict(dynamo=False) if 'dynamo' in known else {}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter('ignore')  # of deprecation, and of shapes, which are constant here
        torch.onnx.export(
            Graph(model), images, str(file), input_names=list(INPUTS), output_names=['found'],
            opset_version=opset, **exporter,
        )  # fmt: skip
    graph = onnx.load(str(file))
    onnx.helper.set_model_props(graph, {k: json.dumps(v) for k, v in describe(model).items()})
    onnx.checker.check_model(graph)
    onnx.save(graph, str(file))


def describe(model):
    """Metadata of a tracker, in plain types; its keys are :data:`~.onnx_tracker.SETTINGS`."""
    pre = model.data_preprocessor
    values = dict(
        mean=pre.mean.flatten().tolist(),
        std=pre.std.flatten().tolist(),
        bgr_to_rgb=pre.bgr_to_rgb,
        weights=digest(model.state_dict()),
    )
    return {name: values[name] if name in values else getattr(model, name) for name in SETTINGS}


def _quantised(file):
    """A file beside ``file`` with linear layers in 8 bits."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    small = file.with_name('int8.onnx')
    logging.disable(logging.WARNING)  # it recommends to fold constants, which the exporter did
    try:
        quantize_dynamic(
            str(file), str(small), op_types_to_quantize=['MatMul'], per_channel=True,
            weight_type=QuantType.QInt8,
        )  # fmt: skip
    finally:
        logging.disable(logging.NOTSET)
    return small


def _installed_backend():
    """The first of the backends that is there, else the first."""
    return next((name for name in BACKENDS if find_spec(name)), BACKENDS[0])


def _refuse_others(differences, tolerance):
    name = max(differences, key=differences.get)
    if not differences[name] <= tolerance:
        raise CheckpointError(
            f'the exported graph differs from the model: {name} by {differences[name]:.2g}, more '
            f'than {tolerance:g}; nothing was written'
        )
