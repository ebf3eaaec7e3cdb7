"""Checkpoints are read as data: from files, URLs and mmengine's schemes."""

import argparse
import os
import pickle
import threading
import time
import zipfile
from collections import Counter, OrderedDict, defaultdict
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.pool import ThreadPool

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader, checkpoint
from safetensors.torch import save_file

from mmlite.errors import CheckpointError
from mmlite.stack import load


def reduced(function, *args):
    """An object that an unrestricted unpickler makes by calling ``function``."""
    return type('Reduced', (), {'__reduce__': lambda self: (function, args)})()


def program(directory):
    """Make ``directory`` when an unrestricted unpickler reads it."""
    return reduced(os.mkdir, str(directory))


def save(path, legacy=False, **contents):
    torch.save(contents, path, _use_new_zipfile_serialization=not legacy)
    return path


@pytest.fixture(params=[False, True], ids=['zip', 'legacy'])
def legacy(request):
    """Both formats of torch.save."""
    return request.param


# ---- what is read --------------------------------------------------------------------------------


def test_tensors_and_plain_types(tmp_path, legacy):
    weights = OrderedDict(w=torch.arange(6.0).view(2, 3), n=torch.tensor(7))
    meta = dict(
        epoch=3, names=('a', 'b'), counts=Counter(a=2), nothing=None, rate=1e-4, raw=b'\xff'
    )
    read = load(save(tmp_path / 'a.pth', legacy, state_dict=weights, meta=meta))
    assert read['meta'] == meta
    torch.testing.assert_close(read['state_dict'], weights, rtol=0, atol=0)


def test_history_buffer(tmp_path, legacy):
    written = HistoryBuffer([1.0, 2.0, 6.0], [1, 1, 2])
    read = load(save(tmp_path / 'a.pth', legacy, loss=written, none=HistoryBuffer()))
    assert type(read['loss']) is HistoryBuffer
    assert read['loss'].mean() == written.mean() == 2.25
    assert read['loss'].statistics('max', 2) == 6.0 and read['loss'].current() == 6.0
    read['loss'].update(4.0)
    assert read['loss'].data[0].tolist() == [1, 2, 6, 4]
    assert read['none'].data[0].shape == (0,)


def test_numpy(tmp_path):
    values = [
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array([1, 256], '>i4'),
        np.zeros((0, 4), np.float16),
        np.array([True, False]),
        np.array(['a', 'bcd']),
        np.float32(0.1),
        np.str_('ab'),
    ]
    for value, read in zip(values, load(save(tmp_path / 'a.pth', v=values))['v'], strict=True):
        assert type(read) is type(value) and read.dtype == value.dtype.newbyteorder('=')
        np.testing.assert_array_equal(read, value)


@pytest.mark.parametrize('module', ['numpy.core.multiarray', 'numpy._core.multiarray'])
def test_names_of_either_numpy(tmp_path, module):
    """A file of NumPy 1 loads under NumPy 2 and the other way round."""
    path = save(tmp_path / 'a.pth', True, array=np.arange(3), scalar=np.float64(2.5))
    data = path.read_bytes()
    for own in (b'numpy._core.multiarray', b'numpy.core.multiarray'):
        data = data.replace(b'c' + own + b'\n', b'c' + module.encode() + b'\n')
    path.write_bytes(data)
    read = load(path)
    assert read['array'].tolist() == [0, 1, 2] and read['scalar'] == 2.5


def test_containers_of_other_code_bases(tmp_path):
    written = dict(
        args=argparse.Namespace(lr=0.1, model='mae_vit_base_patch16'),
        cfg=ConfigDict(model=dict(depth=12)),
        state=defaultdict(list, a=[1]),
    )
    read = load(save(tmp_path / 'a.pth', **written))
    assert read['args'] == written['args']
    assert read['cfg'] == {'model': {'depth': 12}} and read['state'] == {'a': [1]}


@pytest.mark.parametrize('map_location', ['cpu', None, torch.device('cpu')])
def test_safetensors(tmp_path, map_location):
    weights = {'a.weight': torch.randn(3, 2), 'b': torch.arange(4)}
    path = tmp_path / 'a.safetensors'
    metadata = dict(heads='12', names='["a", "b"]', format='pt', deep='[' * 10**5)
    save_file(weights, path, metadata=metadata)
    read = load(str(path), map_location)
    assert read['meta'] == metadata | dict(heads=12, names=['a', 'b'])
    torch.testing.assert_close(read['state_dict'], weights, rtol=0, atol=0)


# ---- what is refused -----------------------------------------------------------------------------


def refusal(path, **options):
    """The sentence by which a file is refused."""
    with pytest.raises(CheckpointError) as caught:
        load(path, **options)
    message = str(caught.value)
    assert str(path) in message and '\n' not in message and 'weights_only' not in message
    return message


def test_a_program_is_refused_and_not_run(tmp_path, legacy):
    directory = tmp_path / 'made'
    path = save(tmp_path / 'a.pth', legacy, w=torch.ones(1), x=program(directory))
    assert f'was refused: it asks for {os.mkdir.__module__}.mkdir, and only' in refusal(path)
    assert not directory.exists()
    torch.load(path, weights_only=False)
    assert directory.exists()  # it is a program


@pytest.mark.parametrize(
    ('message', 'value'),
    [
        ('eval, and', reduced(eval, '1')),  # builtins.eval before torch 2.8
        ('asks for torch.nn.modules.linear.Identity, and', torch.nn.Identity()),
        ('asks for numpy.dtypes.ObjectDType, and', np.array(['a', None])),
        ('asks for builtins.getattr, and', reduced(getattr, HistoryBuffer, 'update')),
        ('asks for builtins.getattr, and', reduced(getattr, torch.Tensor, 'mean')),
    ],
)
def test_what_is_not_on_the_list_is_named(tmp_path, message, value):
    assert message in refusal(save(tmp_path / 'a.pth', value=value))


@pytest.mark.parametrize('compression', [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_a_bomb_is_refused(tmp_path, compression):
    path = tmp_path / 'bomb.pth'
    with zipfile.ZipFile(path, 'w', compression) as archive:
        archive.writestr('a/data.pkl', pickle.dumps({'w': 1}, 2))
        archive.writestr('a/version', b'3\n')
        archive.writestr('a/data/0', bytes(2**24))
    assert 'was refused: it unpacks to 16,777,' in refusal(path)


@pytest.mark.parametrize(
    ('spoil', 'message'),
    [
        (lambda data: data[: len(data) // 2], 'is truncated: it has no central directory'),
        (lambda data: data[:-100], 'is truncated: it has no central directory'),
        (lambda data: data[:100] + b'\xff' * 60 + data[160:], 'is damaged or no checkpoint of'),
        (lambda data: b'', 'is empty'),
        (lambda data: b'hello', 'is damaged or no checkpoint of torch'),
        (lambda data: b'\x80\x04.', 'is damaged or no checkpoint of torch'),
        (lambda data: b'<!DOCTYPE html>', 'is a web page: download the file again'),
        (lambda data: b'version https://git-lfs.github.com/spec/v1', 'is a pointer of Git LFS'),
    ],
    ids=['half', 'end', 'flipped', 'empty', 'text', 'pickle', 'page', 'pointer'],
)
def test_damaged_files(tmp_path, spoil, message):
    path = save(tmp_path / 'a.pth', w=torch.ones(1000))
    path.write_bytes(spoil(path.read_bytes()))
    assert message in refusal(path)


def test_other_contents(tmp_path):
    path = save(tmp_path / 'a.pth', legacy=True, w=torch.ones(1000))
    path.write_bytes(path.read_bytes()[:-2000])
    assert 'is damaged or no checkpoint of torch' in refusal(path)
    torch.save([torch.ones(1)], path)
    assert 'holds a list, not a dict of weights' in refusal(path)


@pytest.mark.parametrize('content', [b'\x01', b'{}' * 40, None])
def test_damaged_safetensors(tmp_path, content):
    path = tmp_path / 'a.safetensors'
    save_file({'a': torch.ones(100)}, path)
    path.write_bytes(path.read_bytes()[:-50] if content is None else content)
    assert 'is truncated or no safetensors file' in refusal(path)


def test_missing_file_and_directory(tmp_path):
    """mmengine raises FileNotFoundError, which its callers catch."""
    for read in (load, CheckpointLoader.load_checkpoint):
        with pytest.raises(FileNotFoundError, match=r'nothing\.pth does not exist') as caught:
            read(str(tmp_path / 'nothing.pth'))
        assert isinstance(caught.value, CheckpointError)
    assert 'is a directory, not a file' in refusal(tmp_path)


def test_tensors_of_an_absent_gpu(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.serialization, 'location_tag', lambda storage: 'cuda:0')
    path = save(tmp_path / 'a.pth', w=torch.ones(2))
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert load(path)['w'].device.type == 'cpu'
    assert 'give map_location="cpu"' in refusal(path, map_location=None)


# ---- mmengine ------------------------------------------------------------------------------------


@contextmanager
def served(folder):
    """URL of a server for the files in ``folder``."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(('127.0.0.1', 0), partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f'http://127.0.0.1:{server.server_port}'
        server.shutdown()


@pytest.fixture
def url(tmp_path, monkeypatch):
    """URL of a server with a checkpoint of one weight and one that holds a program."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'hub'))
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    save(tmp_path / 'toy.pth', state_dict=dict(weight=torch.full((1,), 2.0)))
    save(tmp_path / 'hostile.pth', state_dict=dict(weight=program(tmp_path / 'made')))
    with served(tmp_path) as address:
        yield address


def weight(source):
    return CheckpointLoader.load_checkpoint(source)['state_dict']['weight'].item()


def test_url_is_fetched_once(tmp_path, url):
    assert weight(f'{url}/toy.pth') == 2.0
    (tmp_path / 'toy.pth').unlink()
    assert weight(f'{url}/toy.pth') == load(f'{url}/toy.pth')['state_dict']['weight'] == 2.0
    assert r'none.pth cannot be downloaded (HTTP Error 404' in refusal(f'{url}/none.pth')


def test_files_of_one_name_on_two_servers_are_two_files(tmp_path, url):
    other = tmp_path / 'other'
    other.mkdir()
    save(other / 'toy.pth', state_dict=dict(weight=torch.full((1,), 3.0)))
    with served(other) as second:
        assert [weight(f'{address}/toy.pth') for address in (url, second, url)] == [2, 3, 2]


def test_a_name_with_a_hash_is_found_where_torch_keeps_it(tmp_path, url):
    """Also in a cache of another machine, which may be read-only."""
    hub = tmp_path / 'hub' / 'hub' / 'checkpoints'
    hub.mkdir(parents=True)
    (tmp_path / 'toy.pth').rename(hub / 'toy-0123abcd.pth')
    assert weight(f'{url}/toy-0123abcd.pth') == 2.0
    assert [path.name for path in hub.iterdir()] == ['toy-0123abcd.pth']


def test_one_of_many_downloads_and_a_failure_leaves_none_waiting(url, monkeypatch):
    calls, download = [], torch.hub.download_url_to_file

    def slow(source, *args, **kwargs):
        calls.append(source)
        time.sleep(0.1)
        download(source, *args, **kwargs)

    def fetch(name):
        try:
            return weight(f'{url}/{name}.pth')
        except CheckpointError:
            return 'refused'

    monkeypatch.setattr(torch.hub, 'download_url_to_file', slow)
    with ThreadPool(4) as pool:
        assert pool.map(fetch, ['none', 'toy'] * 2, chunksize=1) == ['refused', 2.0] * 2
    assert sorted(calls) == [f'{url}/none.pth'] * 2 + [f'{url}/toy.pth']


@pytest.mark.parametrize('scheme', ['torchvision', 'modelzoo', 'mmcls', 'openmmlab', 'open-mmlab'])
def test_model_zoos(tmp_path, url, monkeypatch, scheme):
    urls = dict(toy=f'{url}/toy.pth', hostile=f'{url}/hostile.pth')
    for zoo in ('torchvision', 'mmcls', 'external'):
        monkeypatch.setattr(checkpoint, f'get_{zoo}_models', lambda: urls)
    if scheme == 'mmcls':  # gives the backbone alone
        state = {'backbone.weight': torch.ones(1) * 2, 'head.w': torch.ones(1)}
        save(tmp_path / 'toy.pth', state_dict=state)
    assert weight(f'{scheme}://toy') == 2.0
    with pytest.raises(CheckpointError, match=r'hostile.pth \(kept at .*hostile.pth\) was refused'):
        weight(f'{scheme}://hostile')
    with pytest.raises(CheckpointError, match="no 'other' among the checkpoints"):
        weight(f'{scheme}://other')


def test_files_are_read_by_what_they_hold(tmp_path):
    """Whatever their names end in."""
    weights = dict(w=torch.arange(3.0))
    save_file(weights, tmp_path / 'a.bin')
    torch.save(weights, tmp_path / 'b.safetensors')
    torch.save(weights, tmp_path / 'c.pth', _use_new_zipfile_serialization=False)
    for name in ('a.bin', 'b.safetensors', 'c.pth'):
        contents = load(tmp_path / name)
        assert torch.equal(contents.get('state_dict', contents)['w'], weights['w'])


@pytest.mark.parametrize('protocol', [2, 3, 4, 5])
def test_pickles_of_arrays(tmp_path, protocol):
    path = tmp_path / 'a.pkl'
    weights = dict(weight=np.arange(6, dtype='f4').reshape(2, 3), steps=np.int64(3))
    path.write_bytes(pickle.dumps(dict(model=weights, note=b'x'), protocol))
    contents = load(path)
    np.testing.assert_array_equal(contents['model']['weight'], weights['weight'])
    assert (contents['model']['steps'], contents['note']) == (3, b'x')
    path.write_bytes(pickle.dumps(dict(weights, other=program(tmp_path / 'made')), protocol))
    with pytest.raises(CheckpointError, match='mkdir'):
        load(path)
    assert not (tmp_path / 'made').exists()
