"""``mmlite.stack.load``: what it reads, what it refuses, and that nothing in a file is run."""

import os
import pickle
import resource
import tarfile
import zipfile
from collections import Counter, OrderedDict, defaultdict
from pathlib import Path

import hostile_archives
import hostile_files as hostile
import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from safetensors.torch import save_file

from mmlite.errors import CheckpointError
from mmlite.stack import load


class Pickled:
    """Pickles as the call ``function(*args)``, and ``__setstate__(state)`` if it is given."""

    def __init__(self, function, *args, state=None):
        self.reduced = (function, args) if state is None else (function, args, state)

    def __reduce__(self):
        return self.reduced


class Trusted:
    """What a user put on torch's allow-list."""


def save(path, legacy=False, **checkpoint):
    torch.save(checkpoint, path, _use_new_zipfile_serialization=not legacy)
    return path


@pytest.fixture(params=[False, True], ids=['zip', 'legacy'])
def legacy(request):
    """Both formats of torch.save."""
    return request.param


def test_tensors_and_plain_types(tmp_path, legacy):
    weights = OrderedDict(w=torch.arange(6.0).view(2, 3), n=torch.tensor(7))
    meta = dict(epoch=3, names=('a', 'b'), counts=Counter(a=2), nothing=None, rate=1e-4)
    checkpoint = load(save(tmp_path / 'a.pth', legacy, state_dict=weights, meta=meta))
    assert checkpoint['meta'] == meta
    for key, value in weights.items():
        assert torch.equal(checkpoint['state_dict'][key], value)


def test_history_buffer(tmp_path, legacy):
    written = HistoryBuffer([1.0, 2.0, 6.0], [1, 1, 2])
    read = load(save(tmp_path / 'a.pth', legacy, loss=written, none=HistoryBuffer()))
    assert type(read['loss']) is HistoryBuffer
    assert read['loss'].mean() == written.mean() == 2.25
    assert read['loss'].statistics('max', 2) == 6.0 and read['loss'].current() == 6.0
    read['loss'].update(4.0)
    assert read['loss'].data[0].tolist() == [1, 2, 6, 4]
    assert read['none'].data[0].shape == (0,)
    # what was read can be written and read again
    assert load(save(tmp_path / 'b.pth', **read))['loss'].mean() == read['loss'].mean()


@pytest.mark.parametrize(
    'value',
    [
        np.arange(6).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array([1, 256], '>i4'),
        np.zeros((0, 4), np.float16),
        np.array(1.5),
        np.array([True, False]),
        np.array([1 + 2j]),
        np.array(['a', 'bcd']),
        np.array([b'a', b'bc']),
    ],
    ids=lambda value: f'{value.dtype}{value.shape}',
)
def test_arrays(tmp_path, value):
    read = load(save(tmp_path / 'a.pth', meta=dict(inside=[(value, 1)])))['meta']['inside'][0][0]
    assert type(read) is np.ndarray and read.dtype == value.dtype
    np.testing.assert_array_equal(read, value)
    assert read.flags.f_contiguous == value.flags.f_contiguous
    read[...] = read  # can be written to


@pytest.mark.parametrize('value', [np.float32(0.1), np.int64(-3), np.bool_(True), np.str_('ab')])
def test_scalars(tmp_path, value):
    read = load(save(tmp_path / 'a.pth', value=value))['value']
    assert type(read) is type(value) and read == value


@pytest.mark.parametrize('module', ['numpy.core.multiarray', 'numpy._core.multiarray'])
def test_names_of_either_numpy(tmp_path, module):
    """A file of NumPy 1 loads under NumPy 2 and the other way round."""
    path = save(tmp_path / 'a.pth', True, array=np.arange(3), scalar=np.float64(2.5))
    data = path.read_bytes()
    for own in (b'numpy._core.multiarray', b'numpy.core.multiarray'):
        data = data.replace(b'c' + own + b'\n', b'c' + module.encode() + b'\n')
    path.write_bytes(data)
    checkpoint = load(path)
    assert checkpoint['array'].tolist() == [0, 1, 2] and checkpoint['scalar'] == 2.5


def test_defaultdict_is_read_as_a_dict(tmp_path):
    value = defaultdict(list, a=[1])
    assert load(save(tmp_path / 'a.pth', value=value))['value'] == {'a': [1]}


def test_shared_and_cyclic_containers(tmp_path):
    inner = [np.arange(2)]
    outer = dict(first=inner, second=inner)
    outer['self'] = outer
    read = load(save(tmp_path / 'a.pth', outer=outer))['outer']
    assert read['first'] is read['second'] and read['self'] is read
    assert type(read['first'][0]) is np.ndarray


STRUCTURED = (3, '|', None, ('a',), {}, 8, 1, 0)
HOSTILE = [
    ('posix.system', Pickled(os.system, 'touch {flag}')),
    ('eval', Pickled(eval, 'open("{flag}", "w")')),
    ("getattr(HistoryBuffer, 'update')", Pickled(getattr, HistoryBuffer, 'update')),
    ("getattr(Tensor, 'mean')", Pickled(getattr, torch.Tensor, 'mean')),
    ('a call of a builtin type', Pickled(list, (1, 2))),
    ('torch.nn.modules.linear.Identity', torch.nn.Identity()),
    ("numpy.dtype('O8')", np.array(['a', None])),
    ("numpy.dtype('V4')", np.zeros(2, [('a', 'i4')])),
    # what NumPy itself would believe, and follow pointers that the file made up
    ('a structured numpy.dtype', Pickled(np.dtype, 'S8', state=STRUCTURED)),
    ('an array of another class', Pickled(np.arange(1).__reduce__()[0], np.dtype, (0,), b'b')),
]


@pytest.mark.parametrize('name, value', HOSTILE, ids=[name for name, _ in HOSTILE])
def test_refused_by_name_and_not_run(tmp_path, legacy, name, value):
    flag = tmp_path / 'flag'
    if isinstance(value, Pickled):
        text = [a.format(flag=flag) if isinstance(a, str) else a for a in value.reduced[1]]
        value.reduced = (value.reduced[0], tuple(text), *value.reduced[2:])
    path = save(tmp_path / 'hostile.pth', legacy, state_dict=dict(w=torch.ones(1)), extra=value)
    with pytest.raises(CheckpointError) as caught:
        load(path)
    message = str(caught.value).replace('builtins.', '')  # torch 2.4 writes it before eval
    assert f'Checkpoint {path} was refused: it asks for {name}, ' in message
    assert '\n' not in message and not flag.exists()


def refused(path):
    """The sentence by which a file is refused."""
    with pytest.raises(CheckpointError) as caught:
        load(path)
    message = str(caught.value)
    assert str(path) in message and message.isprintable() and len(message) < 400 + len(str(path))
    return message


writers = pytest.mark.parametrize('write', hostile.WRITERS.values(), ids=hostile.WRITERS)


@writers
@pytest.mark.parametrize('program', hostile.PROGRAMS.values(), ids=hostile.PROGRAMS)
def test_programs_are_refused_and_not_run(tmp_path, write, program):
    flag = tmp_path / 'flag'
    refused(write(tmp_path / 'hostile.pth', hostile.pickled({'w': 1, 'x': program(flag)})))
    assert not flag.exists()


@pytest.mark.parametrize('name', hostile.PROGRAMS.keys() - hostile.SILENT)
def test_programs_are_programs(tmp_path, name):
    """Plain pickle runs them: what the test above refuses is dangerous."""
    flag = tmp_path / 'flag'
    data = hostile.pickled(hostile.PROGRAMS[name](flag), protocol=4)
    try:
        pickle.loads(data)
    except Exception:  # what comes behind the program need not make sense
        pass
    assert flag.exists()


@writers
@pytest.mark.filterwarnings('ignore:Detected pickle protocol')
@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_programs_of_any_protocol(tmp_path, write, protocol):
    flag = tmp_path / 'flag'
    value = {'x': Pickled(os.system, f'touch {flag}')}
    refused(write(tmp_path / 'hostile.pth', pickle.dumps(value, protocol)))
    assert not flag.exists()


@writers
@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('value', hostile.ODD.values(), ids=hostile.ODD)
def test_allowed_names_in_odd_ways(tmp_path, write, value):
    refused(write(tmp_path / 'odd.pth', hostile.pickled({'x': value})))


def test_nested_tuples_are_read_once_each(tmp_path):
    """2 ** 60 of them, were they written out."""
    data = hostile.pickled({'x': hostile.nested_tuples(60)})
    value, depth = load(hostile.write_zip(tmp_path / 'a.pth', data))['x'], 0
    while value:
        assert value[0] is value[1]
        value, depth = value[0], depth + 1
    assert depth == 60


@pytest.mark.filterwarnings('ignore:Duplicate name')
@pytest.mark.parametrize('name', hostile_archives.archives(Path(os.devnull)))
def test_archives_with_a_program(tmp_path, name):
    """What is read is the plain data that such a file also holds."""
    folder = tmp_path / 'a' / 'b'
    folder.mkdir(parents=True)
    path = folder / 'hostile.pth'
    hostile_archives.archives(folder / 'flag')[name](path)
    before = sorted(tmp_path.rglob('*'))
    try:
        assert load(path) == {'w': 1}
    except CheckpointError:
        refused(path)
    assert sorted(tmp_path.rglob('*')) == before


@pytest.mark.parametrize('write', hostile_archives.GROWING.values(), ids=hostile_archives.GROWING)
def test_archives_that_grow_are_refused(tmp_path, write):
    path = tmp_path / 'bomb.pth'
    write(path, hostile.pickled({'w': 1}))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**13  # KiB


def test_bytearrays(tmp_path, legacy):
    value = [bytearray(b'\x00a\xff'), bytearray()]
    assert load(save(tmp_path / 'a.pth', legacy, value=value))['value'] == value
    # torch's own list is as it was
    assert '_codecs.encode' in torch._weights_only_unpickler._get_allowed_globals()


def test_history_buffer_cannot_change_its_class(tmp_path):
    before = dict(HistoryBuffer()._statistics_methods)
    buffer = HistoryBuffer([1.0, 3.0], [1, 1])
    buffer.__dict__['mean'] = 'not a method'
    path = tmp_path / 'a.pth'
    try:
        HistoryBuffer._statistics_methods['mean'] = 'not a method'
        save(path, loss=buffer)
    finally:
        HistoryBuffer._statistics_methods.update(before)
    assert load(path)['loss'].mean() == 2.0
    assert HistoryBuffer._statistics_methods == before


def test_torchscript_and_tar_are_refused(tmp_path):
    """torch < 2.6 runs the one and unpacks the other even with weights_only=True."""
    script = save(tmp_path / 'script.pth', w=torch.ones(1))
    with zipfile.ZipFile(script, 'a') as archive:
        archive.writestr('script/constants.pkl', b'')  # what tells TorchScript
    archive = tmp_path / 'archive.pth'
    with tarfile.open(archive, 'w') as tar:
        tar.add(script, 'storages')
    with pytest.raises(CheckpointError, match='archive.pth was refused: it asks for the tar'):
        load(archive)


def test_allow_list_of_the_user(tmp_path):
    """What a user allowed is read, and is what is allowed afterwards."""
    path = save(tmp_path / 'a.pth', own=Trusted(), array=np.arange(2))
    with pytest.raises(CheckpointError, match='Trusted'):
        load(path)
    before = torch.serialization.get_safe_globals()
    torch.serialization.add_safe_globals([Trusted, np.ndarray])
    try:
        checkpoint = load(path)
        assert type(checkpoint['own']) is Trusted and checkpoint['array'].tolist() == [0, 1]
        assert set(torch.serialization.get_safe_globals()) == {*before, Trusted, np.ndarray}
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def damaged(tmp_path, kind):
    path = save(tmp_path / f'{kind}.pth', kind == 'legacy', w=torch.ones(1000))
    data = path.read_bytes()
    contents = dict(
        truncated=data[: len(data) // 2],
        legacy=data[: len(data) // 2],
        empty=b'',
        page=b'<!DOCTYPE html>',
        image=b'\x89PNG\r\n',
        flipped=data[:100] + b'\xff' * 60 + data[160:],
    )
    path.write_bytes(contents[kind])
    return path


@pytest.mark.parametrize(
    'kind, message',
    [
        ('truncated', 'is truncated: .*central directory'),
        ('legacy', 'is damaged or no checkpoint'),
        ('empty', 'is empty'),
        ('page', 'is damaged or no checkpoint'),
        ('image', 'is damaged or no checkpoint'),
        ('flipped', 'is damaged or no checkpoint'),
    ],
)
def test_damaged_files(tmp_path, kind, message):
    path = damaged(tmp_path, kind)
    with pytest.raises(CheckpointError, match=message) as caught:
        load(path)
    text = str(caught.value)
    assert str(path) in text and '\n' not in text and 'weights_only' not in text


def test_missing_file_folder_and_wrong_kind(tmp_path):
    with pytest.raises(CheckpointError, match='nothing.pth does not exist'):
        load(tmp_path / 'nothing.pth')
    with pytest.raises(CheckpointError, match='is a folder'):
        load(tmp_path)
    torch.save([torch.ones(1)], tmp_path / 'list.pth')
    with pytest.raises(CheckpointError, match='list.pth holds a list, not a dict'):
        load(tmp_path / 'list.pth')


def test_tensors_of_an_absent_gpu(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.serialization, 'location_tag', lambda storage: 'cuda:0')
    path = save(tmp_path / 'a.pth', w=torch.ones(2))
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert load(path)['w'].device.type == 'cpu'
    with pytest.raises(CheckpointError, match='device that is not here .*map_location="cpu"'):
        load(path, map_location=None)


@pytest.mark.parametrize('map_location', ['cpu', None, torch.device('cpu'), {'cuda:0': 'cpu'}])
def test_safetensors(tmp_path, map_location):
    weights = {'a.weight': torch.randn(3, 2), 'b': torch.arange(4)}
    path = tmp_path / 'a.safetensors'
    save_file(weights, path, metadata=dict(heads='12', names='["a", "b"]', format='pt'))
    checkpoint = load(str(path), map_location)
    assert checkpoint['meta'] == dict(heads=12, names=['a', 'b'], format='pt')
    assert checkpoint['state_dict'].keys() == weights.keys()
    for key, value in weights.items():
        assert torch.equal(checkpoint['state_dict'][key], value)


def test_damaged_safetensors(tmp_path):
    path = tmp_path / 'a.safetensors'
    save_file({'a': torch.ones(100)}, path)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(CheckpointError, match='a.safetensors is truncated or no safetensors'):
        load(path)


@pytest.mark.parametrize(
    'content', hostile_archives.SAFETENSORS.values(), ids=hostile_archives.SAFETENSORS
)
def test_hostile_safetensors(tmp_path, content):
    path = tmp_path / 'a.safetensors'
    path.write_bytes(content)
    assert 'is truncated or no safetensors file' in refused(path)


@pytest.mark.parametrize('text', ['[' * 10**5, '9' * 10**4, '{"a":', 'NaN,', '\x1b[2J'])
def test_metadata_that_is_no_json_stays_text(tmp_path, text):
    """What Python's parser gives up on, be it for depth or for digits."""
    save_file({'a': torch.ones(2)}, tmp_path / 'a.safetensors', metadata={'text': text})
    assert load(tmp_path / 'a.safetensors')['meta'] == {'text': text}
