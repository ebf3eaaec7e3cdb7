"""Export of trackers to ONNX: the numbers, the file, and what can be wrong with it."""

import sys

import onnx
import pytest
import tiny_tracker
import torch
from run_tool import run_tool

from mmlite.apis import ONNXTrackerNetwork
from mmlite.apis.sot_inferencer import load_network
from mmlite.deploy.onnx_export import compare, export_tracker
from mmlite.engine.tracking import digest
from mmlite.errors import ArgumentError, CheckpointError
from mmlite.models.track.one_stream import SETTINGS

exporter = sys.modules['mmlite.deploy.onnx_export']
CE = dict(type='mmlite.CandidateElimination', blocks=(0,), keep_ratio=0.5)
MODEL = tiny_tracker.OSTRACK | dict(elimination=CE, coords='exact')
BACKENDS = ['onnxruntime', 'openvino']


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """Config and checkpoint of a tracker that eliminates candidates."""
    folder = tmp_path_factory.mktemp('tracker')
    return tiny_tracker.write_config(folder, folder, model=MODEL)


@pytest.fixture(scope='module')
def model(files):
    return load_network(*files, 'cpu')


@pytest.fixture(scope='module')
def export(files):
    """A function of options that runs the tool; returns the exit code."""
    return lambda *options: run_tool('deploy/export_tracker', *files, '--out', *options)


@pytest.fixture(scope='module')
def exported(files, export):
    path = files[0].with_suffix('.onnx')
    assert export(path) == 0
    return path


# ---- the file --------------------------------------------------------------------------------


def test_tool_writes_and_prints_the_differences(export, tmp_path, capsys):
    path = tmp_path / 'deep' / 'tracker.onnx'
    assert export(path, '--opset', 18) == 0
    out = capsys.readouterr().out
    assert f'{path}: ' in out and 'opset 18, fp32' in out
    values = [float(line.split()[-1]) for line in out.splitlines()[2:]]
    assert len(values) == 6 and 0 < max(values) < 1e-4
    assert [file.name for file in path.parent.iterdir()] == ['tracker.onnx']
    assert onnx.load(path).opset_import[0].version == 18


def test_shapes_are_constant(exported):
    graph = onnx.shape_inference.infer_shapes(onnx.load(exported), strict_mode=True).graph
    sizes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    }
    assert sizes == dict(template=[1, 3, 32, 32], search=[1, 3, 64, 64], found=[1, 6])
    constants = {value.name: onnx.numpy_helper.to_array(value) for value in graph.initializer}
    for node in graph.node:
        if node.op_type == 'Constant':
            constants[node.output[0]] = onnx.numpy_helper.to_array(node.attribute[0].t)
    (top_k,) = (node for node in graph.node if node.op_type == 'TopK')
    assert constants[top_k.input[1]] == 8  # half of 16


@pytest.mark.parametrize('backend', BACKENDS)
def test_metadata(backend, exported, model):
    network = ONNXTrackerNetwork(exported, backend)
    assert [getattr(network, name) for name in SETTINGS] == [32, 64, 2.0, 4.0, 'exact']
    pre = network.data_preprocessor
    torch.testing.assert_close(pre.mean, model.data_preprocessor.mean)
    torch.testing.assert_close(pre.std, model.data_preprocessor.std)
    assert pre.bgr_to_rgb is True
    assert network.metadata['weights'] == digest(model.state_dict())


# ---- the numbers -----------------------------------------------------------------------------


@pytest.mark.parametrize('backend', BACKENDS)
@torch.no_grad()
def test_finds_what_the_model_finds(backend, exported, model):
    network = ONNXTrackerNetwork(exported, backend, threads=1)
    template, search = torch.randn(2, 3, 32, 32), torch.randn(2, 3, 64, 64)
    got = network.locate(network.embed_template(template), search)
    want = model.locate(model.embed_template(template), search)
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)
    swapped = network.locate(network.embed_template(template.flip(0)), search)
    assert not torch.allclose(swapped, got, atol=1e-3)  # the template counts


def test_other_trackers(tmp_path):
    model = tiny_tracker.build(tiny_tracker.HIERA).eval()
    found = export_tracker(model, tmp_path / 'hiera.onnx')
    assert 0 < max(found.values()) < 1e-4


def test_bf16(exported, model):
    found = compare(model, ONNXTrackerNetwork(exported, 'openvino', 'bf16'))
    assert 1e-6 < found['windowed score'] < 0.03


def test_int8(export, model, exported, tmp_path, capsys):
    path = tmp_path / 'int8.onnx'
    assert export(path, '--int8') == 0
    assert 'int8 linear layers' in capsys.readouterr().out
    stored = [value.data_type for value in onnx.load(path).graph.initializer]
    layers = 4 * MODEL['backbone']['arch']['num_layers']
    # weights and their zero points
    assert stored.count(onnx.TensorProto.INT8) == 2 * layers
    network = ONNXTrackerNetwork(path)
    assert 1e-6 < compare(model, network)['windowed score'] < 0.03
    assert network.metadata == ONNXTrackerNetwork(exported).metadata


# ---- mistakes --------------------------------------------------------------------------------


def test_another_graph_is_not_kept(model, tmp_path, monkeypatch):
    fuse = exporter.fuse_for_tracking

    def wrong(*args, **kwargs):
        network = fuse(*args, **kwargs)
        network.head.box[-1].bias += 0.01
        return network

    monkeypatch.setattr(exporter, 'fuse_for_tracking', wrong)
    with pytest.raises(CheckpointError, match='differs from the model: .* more than 0.0001'):
        export_tracker(model, tmp_path / 'wrong.onnx')
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    'options, message',
    [
        (['x.onnx', '--opset', 25], 'opset 25 cannot be written: give 17 to 20'),
        (['x.pt'], 'x.pt must end in .onnx'),
        ([__file__ + '/x.onnx'], 'cannot be written'),
    ],
)
def test_wrong_options(options, message, export, capsys):
    assert export(*options) == 2
    assert message in capsys.readouterr().err


def test_files_are_not_replaced_unasked(export, tmp_path, capsys):
    path = tmp_path / 'mine.onnx'
    path.write_text('mine')
    assert export(path) == 2
    assert 'exists: give another name, or --overwrite' in capsys.readouterr().err
    assert path.read_text() == 'mine'
    assert export(path, '--overwrite') == 0
    assert ONNXTrackerNetwork(path).template_size == 32


@pytest.mark.parametrize('name', ['onnx', 'onnxruntime'])
def test_missing_package(name, export, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    assert export(tmp_path / 'x.onnx', '--int8') == 2
    assert f'{name} is not installed: run pip install {name}' in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize(
    'how, message',
    [
        ('text', '{backend} [0-9.]+.* cannot read .*spoiled.onnx'),
        ('opset', '{backend} [0-9.]+.* cannot read .*spoiled.onnx'),
        ('metadata', "spoiled.onnx has no 'template_size' in its metadata"),
        ('inputs', 'is not an exported tracker: its inputs are .*first'),
    ],
)
def test_wrong_files(how, message, backend, exported, tmp_path):
    path, graph = tmp_path / 'spoiled.onnx', onnx.load(exported)
    if how == 'opset':
        graph.opset_import[0].version = 99
    elif how == 'metadata':
        del graph.metadata_props[:]
    elif how == 'inputs':
        graph.graph.input[0].name = 'first'
        for node in graph.graph.node:
            node.input[:] = ['first' if name == 'template' else name for name in node.input]
    onnx.save(graph, path)
    if how == 'text':
        path.write_text('no graph')
    with pytest.raises(CheckpointError, match=message.format(backend=backend)) as caught:
        ONNXTrackerNetwork(path, backend)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('mode', [('tensorrt', 'fp32'), ('onnxruntime', 'bf16')])
def test_wrong_arguments(mode, exported):
    with pytest.raises(ArgumentError, match=f'{" ".join(mode)} is unknown: choose from onnx'):
        ONNXTrackerNetwork(exported, *mode)
