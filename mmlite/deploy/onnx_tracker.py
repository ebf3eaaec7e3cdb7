"""Trackers exported to ONNX, run by ONNX Runtime or OpenVINO."""

import json
from pathlib import Path

import torch

from mmlite.errors import ArgumentError, CheckpointError, UserError
from mmlite.models.track import TrackDataPreprocessor
from mmlite.models.track.one_stream import SETTINGS

BACKENDS = ('onnxruntime', 'openvino')
MODES = (('onnxruntime', 'fp32'), ('openvino', 'fp32'), ('openvino', 'bf16'))
INPUTS = ('template', 'search')
METADATA = (*SETTINGS, 'mean', 'std', 'bgr_to_rgb', 'weights')
"""Names of the metadata of an exported file, each value JSON; ``weights`` is their hash."""


class ONNXTrackerNetwork:
    """A file that takes the place of a model in trackers.

    For example ``SOTInferencer(ONNXTrackerNetwork('ostrack.onnx', backend='openvino'))``.

    Args:
        path (str | Path): File of :func:`~.onnx_export.export_tracker`.
        backend (str): ``'onnxruntime'`` or ``'openvino'``. Defaults to ``'onnxruntime'``.
        precision (str): ``'fp32'``, or ``'bf16'`` for OpenVINO on a processor with such
            instructions. Quantized weights stay so. Defaults to ``'fp32'``.
        threads (int, optional): Defaults to those of torch.

    ``metadata`` is a dict of :data:`METADATA`; sizes, factors and ``coords`` are attributes, too.

    Raises:
        UserError: An argument is wrong, or the backend is not installed.
        CheckpointError: The file is missing, not an exported tracker, or unreadable by the backend.
    """

    def __init__(self, path, backend='onnxruntime', precision='fp32', threads=None):
        if (backend, precision) not in MODES:
            choices = ', '.join(map(' '.join, MODES))
            raise ArgumentError(f'{backend} {precision} is unknown: choose from {choices}')
        if not Path(path).is_file():
            raise CheckpointError(f'{path} does not exist')
        threads = threads or torch.get_num_threads()
        package = import_package(backend)
        open_file = _open_onnxruntime if backend == 'onnxruntime' else _open_openvino
        try:
            self._infer, inputs, texts = open_file(package, str(path), precision, threads)
        except UserError:
            raise
        except Exception as error:  # those of ONNX Runtime derive from Exception directly
            reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
            reader = f'{backend} {package.__version__}'
            raise CheckpointError(f'{reader} cannot read {path}: {reason}') from error
        if sorted(inputs) != sorted(INPUTS):
            found = f'its inputs are {", ".join(inputs)} instead of {", ".join(INPUTS)}'
            raise CheckpointError(f'{path} is not an exported tracker: {found}')
        missing = [name for name in METADATA if name not in texts]
        if missing:
            remedy = 'write it by tools/deploy/export_tracker.py'
            raise CheckpointError(f'{path} has no {missing[0]!r} in its metadata: {remedy}')
        self.metadata = {name: json.loads(texts[name]) for name in METADATA}
        for name in SETTINGS:
            setattr(self, name, self.metadata[name])
        pre = {name: self.metadata[name] for name in ('mean', 'std', 'bgr_to_rgb')}
        self.data_preprocessor = TrackDataPreprocessor(**pre)

    def embed_template(self, images):
        """Return normalized templates (N, 3, T, T): embedding them anew costs 1/200 of a frame."""
        return images

    def locate(self, template, search):
        """Find targets as the model does, one after the other, by their normalized templates."""
        rows = []
        for pair in zip(template.split(1), search.split(1), strict=True):
            arrays = [images.float().contiguous().numpy() for images in pair]
            rows.append(torch.from_numpy(self._infer(dict(zip(INPUTS, arrays, strict=True)))))
        return torch.cat(rows)


def _open_onnxruntime(onnxruntime, path, precision, threads):
    """A function of a dict of arrays, the names of the inputs, and the metadata as strings."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors; what concerns the user is raised
    session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    names = [value.name for value in session.get_inputs()]
    texts = session.get_modelmeta().custom_metadata_map
    return lambda inputs: session.run(None, inputs)[0], names, texts


def _open_openvino(openvino, path, precision, threads):
    """As :func:`_open_onnxruntime`."""
    core = openvino.Core()
    if precision == 'bf16' and 'BF16' not in core.get_property('CPU', 'OPTIMIZATION_CAPABILITIES'):
        raise UserError("this processor has no bf16 instructions: give precision 'fp32'")
    settings = dict(
        INFERENCE_PRECISION_HINT='bf16' if precision == 'bf16' else 'f32',
        INFERENCE_NUM_THREADS=threads,
        NUM_STREAMS=1,
        PERFORMANCE_HINT='LATENCY',
    )
    model = core.read_model(path)
    known = [name for name in METADATA if model.has_rt_info(['framework', name])]
    texts = {name: model.get_rt_info(['framework', name]).astype(str) for name in known}
    request = core.compile_model(model, 'CPU', settings).create_infer_request()
    names = [value.any_name for value in model.inputs]
    return lambda inputs: request.infer(inputs, share_inputs=True)[0], names, texts


def import_package(name):
    """Import a package that only exported models need; a UserError says how to install it."""
    try:
        return __import__(name)
    except ImportError as error:
        remedy = (
            f"run pip install {name}, or pip install '.[export]' in the directory of this suite"
        )
        raise UserError(f'{name} is not installed: {remedy}') from error
