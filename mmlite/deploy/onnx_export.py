"""Export of trackers to ONNX."""

import json
import logging
import tempfile
import warnings
from importlib.util import find_spec
from pathlib import Path

import torch

from mmlite.engine.tracking import digest
from mmlite.errors import ArgumentError, CheckpointError, UserError
from mmlite.models.track.deploy import fuse_for_tracking
from mmlite.models.track.one_stream import SETTINGS
from mmlite.utils import write_bytes

from .onnx_tracker import BACKENDS, INPUTS, ONNXTrackerNetwork, import_package

OPSETS = range(17, 21)  # with layer normalization; up to the last of torch's TorchScript exporter
COLUMNS = ('cx', 'cy', 'w', 'h', 'score', 'windowed score')


def export_tracker(model, path, opset=17, int8=False, tolerance=1e-4, overwrite=False):
    """Write a tracker as one ONNX file after comparing its outputs with the model's.

    The graph maps a normalized ``template`` (1, 3, T, T) and ``search`` region (1, 3, S, S) to
    ``found`` (1, 6), as :meth:`~mmlite.models.track.one_stream.OneStreamTracker.locate`. All shapes
    are constant. The metadata are :data:`~.onnx_tracker.METADATA`.

    Args:
        model (OneStreamTracker): On the CPU, in evaluation mode; it is not changed.
        path (str | Path): ``.onnx`` file to write.
        opset (int): Of ONNX, 17 to 20. Defaults to 17.
        int8 (bool): Quantize linear layers to 8 bits, weights by channel and activations at run
            time, for ONNX Runtime. Defaults to False.
        tolerance (float): Of differences from ``model`` before quantization. Defaults to 1e-4.
        overwrite (bool): Replace an existing file. Defaults to False.

    Returns the largest difference from ``model`` by name of the column.

    Raises:
        UserError: An argument is wrong, a package is missing, or the file exists.
        CheckpointError: The outputs differ from the model's.
    """
    path = Path(path)
    if opset not in OPSETS:
        raise ArgumentError(f'opset {opset} cannot be written: give {OPSETS[0]} to {OPSETS[-1]}')
    if path.suffix != '.onnx':
        raise ArgumentError(f'{path} must end in .onnx')
    if path.exists() and not overwrite:
        raise UserError(f'{path} exists: give another name, or --overwrite')
    import_package('onnx')
    installed = [name for name in BACKENDS if find_spec(name)]
    backend = 'onnxruntime' if int8 or not installed else installed[0]
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / 'tracker.onnx'
        _write_graph(model, file, opset)
        differences = compare(model, ONNXTrackerNetwork(file, backend))
        name = max(differences, key=differences.get)
        if not differences[name] <= tolerance:
            excess = f'{name} by {differences[name]:.2g}, more than {tolerance:g}'
            raise CheckpointError(
                f'the exported graph differs from the model: {excess}; nothing was written'
            )
        if int8:
            file = _quantize(file)
            differences = compare(model, ONNXTrackerNetwork(file, backend))
        write_bytes(path, file.read_bytes())
    return differences


@torch.no_grad()
def compare(model, network, pairs=4):
    """Largest difference between two networks for random images, by name of the column."""
    generator = torch.Generator().manual_seed(0)
    template, search = (
        torch.randn(pairs, 3, size, size, generator=generator)
        for size in (model.template_size, model.search_size)
    )
    expected, found = (
        each.locate(each.embed_template(template), search).float() for each in (model, network)
    )
    return dict(zip(COLUMNS, (found - expected).abs().amax(dim=0).tolist(), strict=True))


def _write_graph(model, file, opset):
    """Write the graph with its metadata."""
    import onnx

    images = tuple(torch.zeros(1, 3, n, n) for n in (model.template_size, model.search_size))
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter('ignore')  # of deprecation, and of shapes, which are constant here
        torch.onnx.export(
            fuse_for_tracking(model, sparse=False), images, str(file), input_names=list(INPUTS),
            output_names=['found'], opset_version=opset,
            dynamo=False,  # the other exporter needs onnxscript
        )  # fmt: skip
    pre = model.data_preprocessor
    metadata = {name: getattr(model, name) for name in SETTINGS}
    metadata |= {name: getattr(pre, name).flatten().tolist() for name in ('mean', 'std')}
    metadata |= dict(bgr_to_rgb=pre.bgr_to_rgb, weights=digest(model.state_dict()))
    graph = onnx.load(str(file))
    onnx.helper.set_model_props(graph, {k: json.dumps(v) for k, v in metadata.items()})
    onnx.checker.check_model(graph)
    onnx.save(graph, str(file))


def _quantize(file):
    """Write ``file`` with linear layers in 8 bits beside it; returns the new path."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantized = file.with_name('int8.onnx')
    logging.disable(logging.WARNING)  # it recommends to fold constants, which the exporter did
    try:
        quantize_dynamic(
            str(file), str(quantized), op_types_to_quantize=['MatMul'], per_channel=True,
            weight_type=QuantType.QInt8,
        )  # fmt: skip
    finally:
        logging.disable(logging.NOTSET)
    return quantized
