"""Weights by name, from a server on this machine that has files of the official layouts."""

import errno
import io
import multiprocessing
import os
import shutil
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import golden
import pytest
import timm
import torch
from mmengine.config import Config
from official_files import FILES, mae_lite, mmseg_names, prefixed, vitdet_names
from run_tool import run_tool

from mmlite import stack
from mmlite.apis import ClsInferencer, DetInferencer, SegInferencer, SOTInferencer, init_model
from mmlite.engine.config_file import load_config
from mmlite.engine.initializations import METHODS, set_init
from mmlite.errors import CheckpointError, OutputError, UserError
from mmlite.experiments import read_inits
from mmlite.models import ViT
from mmlite.registry import MODELS
from mmlite.utils.paths import suite_path
from mmlite.weights import SOURCES, converters, download, published
from mmlite.weights.published import find, resolve, table

TINY = dict(embed_dims=192, num_layers=12)
NAME = 'mae-lite/vit-tiny_mae_400e'
GET = 'model_converters/weights'


class Server(ThreadingHTTPServer):
    """Files by path; ``requests`` are the ``Range`` of each, '' without one."""

    def __init__(self):
        super().__init__(('127.0.0.1', 0), Handler)
        self.files, self.requests = {}, []
        self.mark, self.pause, self.cut = '"one"', 0.0, None

    def put(self, name, contents):
        """Serve ``contents`` as the file of a name of published weights."""
        path = '/' + find(name).address.split('/', 3)[3]
        buffer = io.BytesIO()
        torch.save(contents, buffer)
        self.files[path] = buffer.getvalue() if isinstance(contents, dict) else contents
        return self.files[path]


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        server, data = self.server, self.server.files.get(self.path)
        asked = self.headers.get('Range', '')
        server.requests.append(asked)
        if data is None:
            return self.send_error(404)
        resumed = asked and self.headers.get('If-Range') == server.mark
        start = int(asked.removeprefix('bytes=').rstrip('-')) if resumed else 0
        self.send_response(206 if resumed else 200)
        self.send_header('ETag', server.mark)
        self.send_header('Content-Length', str(len(data) - start))
        self.end_headers()
        for begin in range(start, len(data[: server.cut]), 1 << 20):
            self.wfile.write(data[: server.cut][begin : begin + (1 << 20)])
            time.sleep(server.pause)


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv('MMLITE_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    with Server() as server:
        monkeypatch.setenv('MMLITE_MIRROR', f'http://127.0.0.1:{server.server_port}')
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def files(folder):
    """Names of what is left in a cache besides locks."""
    return {path.name for path in folder.rglob('*') if path.is_file() and path.suffix != '.lock'}


def start(name):
    """A process that resolves a name; a fork, as imports take seconds."""
    process = multiprocessing.get_context('fork').Process(target=resolve, args=(name,))
    process.start()
    return process


# ---- the table -----------------------------------------------------------------------------------


@pytest.mark.parametrize('row', table().values(), ids=table())
def test_rows_are_complete(row):
    assert row.address.startswith('https://') and row.layout in SOURCES and row.licence
    assert not row.config or suite_path('configs', row.config).is_file()
    assert not row.init or row.init in METHODS


def test_every_row_is_resolved(server, monkeypatch):
    """By its address; the conversion is that of the other tests."""
    asked = []

    def fake(contents, source):
        asked.append(source)
        return dict(state_dict=contents, meta={})

    monkeypatch.setattr(published, 'convert', fake)
    for name in table():
        server.put(name, {name: torch.ones(1)})
    for name, row in table().items():
        assert name in stack.load(resolve(name))['state_dict'], name
        assert stack.load(row.path)['meta']['license'] == row.licence
    assert asked == [row.layout for row in table().values()]
    assert len(server.requests) == len({row.address for row in table().values()}) == len(table())


def mae_of_width(dim, heads):
    vit = ViT(dict(embed_dims=dim, num_layers=1, num_heads=heads), out_type='raw')
    return dict(model=vit.state_dict() | {'decoder_embed.weight': torch.ones(8, dim)})


ENCODERS = {
    'mae-lite/vit-tiny_mae_400e': FILES['mae_lite_mae'][0],
    'mae-lite/vit-tiny_d2-mae_400e': FILES['mae_lite_d2'][0],
    'mae-lite/vit-tiny_mocov3_400e': FILES['mae_lite_moco'][0],
    'mae-lite/hiera-tiny_mae_400e': FILES['mae_lite_hiera'][0],
    'mae-lite/swin-1g_simmim_400e': FILES['swin'][0],
    'mae-lite/swin-1g_simmim-d2_400e': FILES['swin_d2'][0],
    'mae-lite/swin-small_simmim_800e': FILES['swin'][0],
    'mae/vit-base_1600e': lambda: mae_of_width(768, 12),
    'mae/vit-large_1600e': lambda: mae_of_width(1024, 16),
    'hiera/hiera-tiny_mae': FILES['hiera_mae'][0],
    'hiera/hiera-base_mae': FILES['hiera_mae'][0],
    'hiera/hiera-tiny_ft-in1k': FILES['hiera'][0],
}


@pytest.mark.parametrize('name', ENCODERS)
def test_encoders_initialize_a_backbone_by_name(server, name):
    """Every converted weight of the file is in the backbone, none is left out."""
    contents = ENCODERS[name]()
    server.put(name, contents)
    init_cfg = dict(type='Pretrained', checkpoint=name)
    converted = converters.convert(contents, find(name).layout)
    cfg = converted['report']['backbone_cfg'] | dict(out_type='raw', init_cfg=init_cfg)
    backbone = MODELS.build(cfg)
    backbone.init_weights()
    given = {
        key.removeprefix('backbone.'): value
        for key, value in converted['state_dict'].items()
        if key.startswith('backbone.') and 'fc_norm' not in key
    }
    state = backbone.state_dict()
    torch.testing.assert_close({k: state[k] for k in given}, given, rtol=0, atol=0)
    assert state.keys() - given.keys() <= {'norm.weight', 'norm.bias'}


def test_names_that_are_unknown_or_no_names():
    with pytest.raises(UserError, match='_d2mae_400e. is neither .* near names: .*_d2-mae_400e'):
        find('mae-lite/vit-tiny_d2mae_400e')
    with pytest.raises(UserError, match='near names: timm/deit_tiny_patch16_224'):
        find('timm/deit_tiny_patch16_225')
    assert find('timm/deit_tiny_patch16_224.fb_in1k').licence == 'apache-2.0'
    with pytest.raises(UserError, match='is neither a file nor a name of published weights'):
        stack.load('mae/none')


# ---- downloads -----------------------------------------------------------------------------------


def test_first_use_downloads_and_later_uses_are_offline(server, capsys):
    name = 'mae/vit-base_1600e'
    data = server.put(name, mae_lite('vit_tiny'))
    with pytest.raises(CheckpointError, match='not a mae checkpoint'):
        resolve(name)
    assert files(table()[name].path.parent) == set()
    data = server.put(NAME, mae_lite('mae_vit_tiny'))
    assert run_tool(GET, 'get', NAME) == 0
    row = capsys.readouterr().out.splitlines()[-1]
    assert row == f'{NAME},{find(NAME).address},mae-lite,{find(NAME).licence},,' + ','.join(
        [find(NAME).config, 'mae', find(NAME).record['sha256']]
    )
    assert find(NAME).record['bytes'] == len(data)
    server.files.clear()
    count = len(server.requests)
    path = resolve(NAME)
    read = stack.load(NAME)
    assert len(server.requests) == count and files(path.parent) == {path.name, path.stem + '.json'}
    want = converters.convert(mae_lite('mae_vit_tiny'), 'mae-lite')
    torch.testing.assert_close(read['state_dict'], want['state_dict'], rtol=0, atol=0)
    assert read['meta']['published'] == NAME


def test_a_killed_download_resumes(server):
    data = server.put(NAME, mae_lite('mae_vit_tiny'))
    server.pause = 0.3
    path = find(NAME).path
    part = path.with_suffix('.download.part')
    process = start(NAME)
    while not (part.is_file() and part.stat().st_size >= 2 << 20):
        assert process.is_alive()
        time.sleep(0.02)
    process.kill()
    process.join()
    done, server.pause = part.stat().st_size, 0
    resolve(NAME)
    assert server.requests == ['', f'bytes={done}-'] and 0 < done < len(data)
    assert len(files(path.parent)) == 2
    assert stack.load(path)['meta']['bytes'] == len(data)


def test_a_file_that_changed_meanwhile_is_downloaded_anew(server):
    data = server.put(NAME, mae_lite('mae_vit_tiny'))
    server.cut = 3 << 20
    with pytest.raises(CheckpointError, match=f'ended after {3 << 20:,} of {len(data):,} bytes'):
        resolve(NAME)
    server.cut, server.mark = None, '"two"'
    server.put(NAME, mae_lite('vit_tiny'))
    resolve(NAME)
    assert server.requests == ['', f'bytes={3 << 20}-']
    head = stack.load(NAME)['state_dict']['head.fc.weight']
    torch.testing.assert_close(head, golden.weights('vit_tiny')['head.weight'], rtol=0, atol=0)


def test_two_processes_download_once(server):
    server.put(NAME, mae_lite('mae_vit_tiny'))
    server.pause = 0.02
    processes = [start(NAME) for _ in range(2)]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert server.requests == [''] and find(NAME).path.is_file()


def test_a_changed_file_is_refused_until_it_is_forced(server, tmp_path):
    server.put(NAME, mae_lite('mae_vit_tiny'))
    path = resolve(NAME)
    first = stack.load(path)['meta']['sha256']
    path.unlink()
    server.put(NAME, mae_lite('vit_tiny'))
    with pytest.raises(CheckpointError, match=f'changed: its SHA-256 is .*, not {first}; .*force'):
        resolve(NAME)
    assert files(path.parent) == {path.with_suffix('.json').name}
    mapped = stack.load(resolve(NAME, force=True))
    resolve(NAME, force=True)  # while its earlier content is mapped
    assert mapped['meta']['sha256'] != first
    assert mapped['state_dict']['head.fc.weight'].isfinite().all()


def test_failures_are_one_sentence_and_leave_nothing(server, monkeypatch, capsys):
    folder = find(NAME).path.parent
    assert run_tool(GET, 'get', NAME) == 1
    assert 'cannot be downloaded: HTTP error 404' in capsys.readouterr().err
    server.put(NAME, b'<!DOCTYPE html><p>Quota exceeded')
    with pytest.raises(CheckpointError, match='is a web page, not a file'):
        resolve(NAME)
    server.put(NAME, mae_lite('mae_vit_tiny'))

    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(download, 'Progress', full)
        with pytest.raises(OutputError, match='cannot write .*: No space left on device'):
            resolve(NAME)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, 'disk_usage', lambda _: shutil._ntuple_diskusage(9, 9, 0))
        with pytest.raises(OutputError, match='no space left .* bytes needed, 0 free'):
            resolve(NAME)
    monkeypatch.setenv('MMLITE_MIRROR', 'http://127.0.0.1:9')
    with pytest.raises(CheckpointError, match='cannot be downloaded: .*refused'):
        resolve(NAME)
    monkeypatch.delenv('MMLITE_MIRROR')
    monkeypatch.setitem(sys.modules, 'gdown', None)
    with pytest.raises(UserError, match=r"requires gdown: pip install 'mmlite\[drive\]'"):
        resolve(NAME)
    assert files(folder) == set()


def test_a_file_given_by_hand_and_a_licence_said_once(tmp_path, server, capsys):
    contents, source, _ = FILES['hiera']
    torch.save(contents(), tmp_path / 'by_hand.pth')
    name = 'hiera/hiera-tiny_ft-in1k'
    assert run_tool(GET, 'get', name, '--file', tmp_path / 'by_hand.pth') == 0
    said = f'{name} are not for commercial use: CC-BY-NC 4.0'
    output = capsys.readouterr()
    assert (output.out + output.err).count(said) == 1
    stack.load(name)
    output = capsys.readouterr()
    assert said not in output.out + output.err
    assert (tmp_path / 'by_hand.pth').is_file() and not server.requests
    assert run_tool(GET, 'show', name) == 0
    assert str(find(name).path) in capsys.readouterr().out
    assert run_tool(GET, 'list', 'hiera', 'ft-in1k') == 0
    assert capsys.readouterr().out.count('CC-BY-NC 4.0') == 5


def test_gdown_gets_the_number_of_the_file(monkeypatch, tmp_path):
    """And an error of its own is one of ours."""
    asked = []

    class Gdown:
        def download(self, id, output, resume, quiet):
            asked.append(id)
            if len(asked) > 1:
                raise RuntimeError('too many\nusers')
            torch.save(mae_lite('mae_vit_tiny'), output)
            return output

    monkeypatch.setenv('MMLITE_CACHE', str(tmp_path))
    monkeypatch.setitem(sys.modules, 'gdown', Gdown())
    assert resolve(NAME).is_file()
    with pytest.raises(CheckpointError, match='cannot be downloaded: too many users'):
        resolve(NAME, force=True)
    assert asked == ['1ZQYlvCPLZrJDqn2lp4GCIVL246WPqgEf'] * 2


TIMM = {  # name -> form of the backbone
    'timm/deit_tiny_patch16_224.fb_in1k': dict(arch=dict(TINY, num_heads=3)),
    'timm/vit_tiny_patch16_224.augreg_in21k': dict(arch=dict(TINY, num_heads=3)),  # mean 0.5
    'timm/vit_tiny_patch16_dinov3_qkvb.eupe_lvd1689m': METHODS['eupe'].backbone,
}


@pytest.mark.parametrize('name', TIMM)
def test_timm(monkeypatch, tmp_path, name):
    model = timm.create_model(name.partition('/')[2], num_classes=0).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    monkeypatch.setenv('MMLITE_CACHE', str(tmp_path))
    create = timm.create_model

    def with_weights(name, pretrained=False, **kwargs):
        return model if pretrained else create(name, **kwargs)

    monkeypatch.setattr(timm, 'create_model', with_weights)
    assert stack.load(resolve(name))['meta']['backbone']['num_heads'] == 3
    init_cfg = dict(type='Pretrained', checkpoint=name)
    vit = ViT(**TIMM[name], out_type='raw', pretrain_img_size=model.patch_embed.img_size[0],
              init_cfg=init_cfg).eval()  # fmt: skip
    vit.init_weights()
    x = torch.rand(1, *model.pretrained_cfg['input_size'])

    def normalized(mean, std):
        return (x - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)

    ours = normalized([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    theirs = normalized(model.pretrained_cfg['mean'], model.pretrained_cfg['std'])
    with torch.no_grad():
        torch.testing.assert_close(vit(ours)[0], model.forward_features(theirs), rtol=0, atol=2e-4)


# ---- where names are taken -----------------------------------------------------------------------


def test_names_are_checkpoints(server, tmp_path, monkeypatch):
    server.put(NAME, mae_lite('mae_vit_tiny'))
    init_cfg = dict(type='Pretrained', checkpoint=NAME)
    vit = ViT(init_cfg=init_cfg)
    vit.init_weights()
    given = golden.weights('mae_vit_tiny')['blocks.3.attn.qkv.weight']
    torch.testing.assert_close(vit.blocks[3].attn.qkv.weight, given, rtol=0, atol=0)
    (judged,) = read_inits([NAME])
    assert (judged.name, judged.path) == ('vit-tiny_mae_400e', find(NAME).path)
    (planned,) = read_inits(['other=mae-lite/vit-tiny_d-mae_400e'], dry_run=True)
    assert planned.name == 'other' and len(server.requests) == 1
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'mae-lite').mkdir()
    torch.save(dict(own=torch.ones(1)), tmp_path / NAME)
    assert stack.load(NAME).keys() == {'own'}


def test_init_by_name_has_the_form_of_its_method():
    name = 'mae-lite/vit-tiny_beit_400e'
    cfg = Config(dict(model=dict(backbone=dict(type='mmlite.ViT'))))
    set_init(cfg, name)
    assert cfg.model.backbone.init_cfg.checkpoint == name
    assert cfg.model.backbone.layer_scale_init_value == 0.1


def test_config_of_a_name():
    cfg = load_config('mae-lite/mask-rcnn_vit-tiny_d2-mae', {'train_dataloader.batch_size': 3})
    assert cfg.load_from == 'mae-lite/mask-rcnn_vit-tiny_d2-mae'
    assert cfg.train_dataloader.batch_size == 3 and cfg.model.type == 'MaskRCNN'
    with pytest.raises(UserError, match='is an initialization, not a model: .* --init mae-lite/'):
        load_config(NAME)


# ---- whole models --------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize(
    ('name', 'infer'),
    [
        ('mae-lite/mask-rcnn_vit-tiny_d2-mae', DetInferencer),
        ('mae-lite/mask-rcnn_vit-tiny_supervised', DetInferencer),
        ('mae-lite/mask-rcnn_vit-tiny_mocov3', DetInferencer),
        ('mae-lite/semfpn_vit-tiny_d2-mae', SegInferencer),
        ('mae-lite/semfpn_vit-tiny-rpe_d2-mae', SegInferencer),
        ('mae-lite/semfpn_vit-tiny-rpe_supervised', SegInferencer),
    ],
)
def test_dense_models_come_with_their_config(server, name, infer):
    """Every weight arrives where the model of the config has it, under the official names."""
    model = init_model(suite_path('configs', find(name).config))
    state = {key: torch.randn_like(v) if v.ndim else v for key, v in model.state_dict().items()}
    if infer is SegInferencer:
        given = mmseg_names(state)
        assert {'backbone.layers.3.ffn.layers.0.0.weight', 'neck.identity.bias'} < given.keys()
    else:
        pyramid = {k: v for k, v in golden.weights('vitdet_tiny_640').items() if 'simfp' in k}
        given = vitdet_names(state) | prefixed('backbone.', pyramid)
        want = converters.convert(dict(model=given), 'vitdet')['state_dict']
        state |= {key: value for key, value in want.items() if key.startswith('neck.')}
    server.put(name, dict(state_dict=given))
    inferencer = infer(name)
    torch.testing.assert_close(dict(inferencer.model.state_dict()), state, rtol=0, atol=0)
    image = torch.arange(96 * 128 * 3).reshape(96, 128, 3).remainder(251).byte().numpy()
    (result,) = inferencer([image], progress=False).results
    assert result.record()['size'] == [96, 128]


@pytest.mark.parametrize(
    ('name', 'tracker'),
    [
        ('mae-lite/vit-tiny_d2-mae_400e_ft-rpe-1000e', 'mae-lite/ostrack_vit-tiny-ce_d2-mae'),
        ('mae-lite/vit-tiny_mae_400e_ft-rpe-1000e', 'mae-lite/ostrack_vit-tiny-ce_d-mae'),
        ('mae-lite/vit-tiny_supervised-rpe_1000e', 'mae-lite/ostrack_vit-tiny-ce_supervised'),
    ],
)
def test_classifiers_and_trackers_come_with_their_config(server, name, tracker):
    frame = torch.arange(96 * 128 * 3).reshape(96, 128, 3).remainder(251).byte().numpy()
    head = {'head.weight': torch.randn(1000, 192), 'head.bias': torch.zeros(1000)}
    server.put(name, mae_lite('vit_tiny_rpe', **head))
    inferencer = ClsInferencer(name)
    assert torch.equal(inferencer.model.head.fc.weight, head['head.weight'])
    assert len(inferencer.class_names) == 1000 and inferencer([frame], progress=False).results
    server.put(tracker, FILES['ostrack'][0]())
    tracker = SOTInferencer(tracker)
    given = golden.weights('ostrack_tiny')['box_head.conv2_size.0.weight']
    assert torch.equal(tracker.network.head.size[1][0].weight, given)
    tracker.init(frame, (40, 30, 20, 20))
    box, score = tracker.track(frame)
    assert box.shape == (4,) and 0 <= score <= 1
