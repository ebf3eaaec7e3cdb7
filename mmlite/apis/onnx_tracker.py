"""Trackers exported to ONNX, run by ONNX Runtime or OpenVINO."""

import json
from pathlib import Path
from types import SimpleNamespace

import torch

from mmlite.errors import ArgumentError, CheckpointError, UserError

BACKENDS = ('onnxruntime', 'openvino')
PRECISIONS = dict(fp32='f32', bf16='bf16')
INPUTS = ('template', 'search')
SETTINGS = (
    'template_size', 'search_size', 'template_factor', 'search_factor', 'coords', 'mean', 'std',
    'bgr_to_rgb', 'weights',
)  # fmt: skip
"""Metadata of an exported file, each value as JSON; ``weights`` is their hash."""


class ONNXTrackerNetwork:
    """A file of :func:`~.onnx_export.export_tracker` as a network that tracks.

    It takes the place of a model in :class:`~mmlite.apis.SOTInferencer` and
    :class:`~mmlite.engine.tracking.OnlineTracker`::

        tracker = SOTInferencer(ONNXTrackerNetwork('ostrack.onnx', backend='openvino'))

    Args:
        path (str | Path): The file.
        backend (str): ``'onnxruntime'`` or ``'openvino'``. Defaults to ``'onnxruntime'``.
        precision (str): ``'fp32'``, or ``'bf16'`` for OpenVINO on a processor with such
            instructions. Weights that were quantised stay so. Defaults to ``'fp32'``.
        threads (int, optional): Defaults to those of torch.

    Attributes:
        metadata (dict): What :data:`SETTINGS` lists; the sizes, factors and ``coords`` are
            attributes, too.

    Raises:
        ArgumentError: If backend or precision are unknown or do not go together.
        UserError: If the backend is not installed.
        CheckpointError: If the file is missing or no exported tracker, or the backend cannot read
            it.
    """

    def __init__(self, path, backend='onnxruntime', precision='fp32', threads=None):
        if backend not in BACKENDS:
            raise ArgumentError(f'backend {backend!r} is unknown: choose from {BACKENDS}')
        if precision not in PRECISIONS:
            raise ArgumentError(f'precision {precision!r} is unknown: choose from {(*PRECISIONS,)}')
        if not Path(path).is_file():
            raise CheckpointError(f'{path} does not exist')
        threads = threads or torch.get_num_threads()
        open_file = _open_onnxruntime if backend == 'onnxruntime' else _open_openvino
        self._infer, texts = open_file(str(path), precision, threads)
        self.metadata = _parse(texts, path)
        for name in SETTINGS[:5]:
            setattr(self, name, self.metadata[name])
        mean, std = (torch.tensor(self.metadata[name]) for name in ('mean', 'std'))
        self.data_preprocessor = SimpleNamespace(
            mean=mean, std=std, bgr_to_rgb=self.metadata['bgr_to_rgb']
        )

    def embed_template(self, images):
        """Normalised templates (N, 3, T, T), as they are: the file embeds them in every frame.

        That costs 1/200 of a frame and spares a second file.
        """
        return images

    def locate(self, template, search):
        """As :meth:`~mmlite.models.track.one_stream.OneStreamTracker.locate`, one after the other.

        Args:
            template (Tensor): (N, 3, T, T) of :meth:`embed_template`.
            search (Tensor): Normalised search regions (N, 3, S, S).
        """
        pairs = zip(template.split(1), search.split(1), strict=True)
        return torch.cat([torch.from_numpy(self._infer(*map(_as_array, pair))) for pair in pairs])


def _as_array(images):
    return images.float().contiguous().numpy()


def _open_onnxruntime(path, precision, threads):
    """The file as a function of two arrays, and its metadata as texts."""
    if precision != 'fp32':
        raise ArgumentError(f"precision {precision!r} needs backend 'openvino'")
    onnxruntime = import_package('onnxruntime')
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors; what concerns the user is raised
    try:
        session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    except Exception as error:  # each of its errors derives from Exception directly
        raise _unreadable(path, onnxruntime, error) from error
    _check_inputs([value.name for value in session.get_inputs()], path)

    def infer(template, search):
        return session.run(None, dict(zip(INPUTS, (template, search), strict=True)))[0]

    return infer, session.get_modelmeta().custom_metadata_map


def _open_openvino(path, precision, threads):
    """The file as a function of two arrays, and its metadata as texts."""
    openvino = import_package('openvino')
    core = openvino.Core()
    if precision == 'bf16' and 'BF16' not in core.get_property('CPU', 'OPTIMIZATION_CAPABILITIES'):
        raise UserError("this processor has no bf16 instructions: give precision 'fp32'")
    settings = dict(
        INFERENCE_PRECISION_HINT=PRECISIONS[precision],
        INFERENCE_NUM_THREADS=threads,
        NUM_STREAMS=1,
        PERFORMANCE_HINT='LATENCY',
    )
    try:
        model = core.read_model(path)
        names = [value.any_name for value in model.inputs]
        places = {name: ['framework', name] for name in SETTINGS}
        texts = {
            name: model.get_rt_info(place).astype(str)
            for name, place in places.items()
            if model.has_rt_info(place)
        }
        request = core.compile_model(model, 'CPU', settings).create_infer_request()
    except RuntimeError as error:
        raise _unreadable(path, openvino, error) from error
    _check_inputs(names, path)

    def infer(template, search):
        inputs = dict(zip(INPUTS, (template, search), strict=True))
        return request.infer(inputs, share_inputs=True)[0]

    return infer, texts


def import_package(name):
    """Import a package that only exported trackers need.

    Raises:
        UserError: If it is not installed.
    """
    try:
        return __import__(name)
    except ImportError as error:
        raise UserError(
            f"{name} is not installed: run pip install {name}, or pip install '.[export]' in the "
            f'folder of this suite'
        ) from error


def _unreadable(path, package, error):
    reason = next((line for line in reversed(str(error).splitlines()) if line.strip()), error)
    return CheckpointError(f'{package.__name__} {package.__version__} cannot read {path}: {reason}')


def _check_inputs(names, path):
    if sorted(names) != sorted(INPUTS):
        raise CheckpointError(
            f'{path} is no exported tracker: its inputs are {", ".join(names)} instead of '
            f'{", ".join(INPUTS)}'
        )


def _parse(texts, path):
    """Metadata from their texts."""
    lacking = [name for name in SETTINGS if name not in texts]
    if lacking:
        raise CheckpointError(
            f'{path} has no {lacking[0]!r} in its metadata: write it by tools/deploy/'
            f'export_tracker.py'
        )
    return {name: json.loads(texts[name]) for name in SETTINGS}
