"""Every way in which mmengine reads a checkpoint ends in ``mmlite.stack.load``."""

import json
import os
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from mmengine.fileio import LocalBackend
from mmengine.fileio.backends import backends
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel
from mmengine.runner import CheckpointLoader, Runner, checkpoint, load_checkpoint
from torch.utils.data import DataLoader, TensorDataset

from mmlite.errors import CheckpointError


class Toy(BaseModel):
    """A model with one weight, pulled to the mean of its data."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, values, mode='tensor'):
        return dict(loss=(self.weight - values).pow(2).mean())


class Hostile:
    """Makes the folder ``path`` when it is unpickled by an unrestricted unpickler."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def runner(work_dir, epochs):
    return Runner(
        model=Toy(),
        work_dir=str(work_dir),
        train_dataloader=DataLoader(TensorDataset(torch.arange(4.0))),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9)),
        default_hooks=dict(logger=dict(type='LoggerHook', interval=2)),
        experiment_name=f'toy{epochs}',
        log_level='ERROR',
    )


@pytest.fixture
def written(tmp_path):
    """A checkpoint of one weight, and the folder that reading a hostile one would make."""
    torch.save(dict(state_dict=dict(weight=torch.full((1,), 2.0))), tmp_path / 'toy.pth')
    torch.save(dict(state_dict=dict(weight=Hostile(tmp_path / 'run'))), tmp_path / 'hostile.pth')
    return tmp_path


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
def url(written, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(written / 'hub'))
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    with served(written) as address:
        yield address


def weight(source):
    return CheckpointLoader.load_checkpoint(str(source))['state_dict']['weight'].item()


def test_runner_resumes_its_own_checkpoint(tmp_path):
    first = runner(tmp_path, epochs=2)
    first.train()
    assert isinstance(first.message_hub.log_scalars['train/loss'], HistoryBuffer)
    path = tmp_path / 'epoch_2.pth'

    second = runner(tmp_path, epochs=3)
    second.resume(str(path))
    assert second.epoch == 2 and second.iter == 8
    assert torch.equal(second.model.weight, first.model.weight)
    old, new = (r.message_hub.get_scalar('train/loss').data[0] for r in (first, second))
    assert len(old) == 8 and old.tolist() == new.tolist()
    momentum = [
        r.optim_wrapper.state_dict()['state'][0]['momentum_buffer'].item() for r in (first, second)
    ]
    assert momentum[0] == momentum[1] != 0
    second.train()
    assert second.epoch == 3


def test_local_file(written):
    model = Toy()
    load_checkpoint(model, str(written / 'toy.pth'), map_location='cpu')
    assert model.weight.item() == 2.0
    assert checkpoint._load_checkpoint(str(written / 'toy.pth'))['state_dict']['weight'] == 2
    with pytest.raises(CheckpointError, match='none.pth does not exist'):
        load_checkpoint(model, str(written / 'none.pth'))


def test_url_is_fetched_once(written, url):
    assert weight(f'{url}/toy.pth') == 2.0
    (written / 'toy.pth').unlink()
    assert weight(f'{url}/toy.pth') == 2.0
    with pytest.raises(CheckpointError, match=r'none.pth cannot be downloaded .*404.*hub'):
        weight(f'{url}/none.pth')


@pytest.mark.parametrize('scheme', ['torchvision', 'modelzoo', 'mmcls', 'openmmlab', 'open-mmlab'])
def test_model_zoos(written, url, monkeypatch, scheme):
    urls = dict(toy=f'{url}/toy.pth', hostile=f'{url}/hostile.pth')
    for zoo in ('torchvision', 'mmcls', 'external'):
        monkeypatch.setattr(checkpoint, f'get_{zoo}_models', lambda: urls)
    if scheme == 'mmcls':  # gives the backbone alone
        torch.save(
            dict(state_dict={'backbone.weight': torch.ones(1) * 2, 'head.w': torch.ones(1)}),
            written / 'toy.pth',
        )
    assert weight(f'{scheme}://toy') == 2.0
    with pytest.raises(CheckpointError, match=r'hostile.pth \(kept at .*hostile.pth\) was refused'):
        weight(f'{scheme}://hostile')
    with pytest.raises(CheckpointError, match="no 'other' among the checkpoints"):
        weight(f'{scheme}://other')


def test_model_zoo_of_local_files(written, monkeypatch):
    monkeypatch.setenv('MMENGINE_HOME', str(written))
    (written / 'open_mmlab.json').write_text(json.dumps(dict(mine='toy.pth', bad='hostile.pth')))
    assert weight('openmmlab://mine') == 2.0
    with pytest.raises(CheckpointError, match='refused'):
        weight('openmmlab://bad')


def test_storage_cluster(written, monkeypatch):
    class Cluster(LocalBackend):
        """Has the files of a folder under s3://bucket/."""

        @contextmanager
        def get_local_path(self, filepath):
            yield filepath.replace('s3://bucket', str(written))

    monkeypatch.setitem(backends, 'petrel', Cluster)
    assert weight('s3://bucket/toy.pth') == 2.0
    with pytest.raises(CheckpointError, match='s3://bucket/hostile.pth was refused'):
        weight('s3://bucket/hostile.pth')


@pytest.mark.parametrize('source', ['{folder}/hostile.pth', '{url}/hostile.pth'])
def test_hostile_file_is_refused_and_not_run(written, url, source):
    with pytest.raises(CheckpointError, match='asks for posix.mkdir'):
        weight(source.format(folder=written, url=url))
    assert not (written / 'run').exists()
    torch.load(written / 'hostile.pth', weights_only=False)
    assert (written / 'run').exists()  # it is hostile


def test_no_scheme_of_mmengine_is_left():
    assert {loader.__module__ for loader in CheckpointLoader._schemes.values()} == {
        'mmlite.stack.schemes'
    }
    with pytest.raises(CheckpointError, match='pavi://model cannot be read'):
        weight('pavi://model')
