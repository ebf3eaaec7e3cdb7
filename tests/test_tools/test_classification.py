"""A small classifier through the tools: training, evaluation, and every kind of wrong classes."""

import json
import re
import shutil

import mmengine
import pytest
import tiny_classifier
import torch
from run_tool import run_tool


@pytest.fixture(autouse=True)
def local_rank(monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '0')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A folder with data and config of a small classifier of three classes."""
    folder = tmp_path_factory.mktemp('classifier')
    tiny_classifier.write(folder)
    return folder


@pytest.fixture(scope='module')
def trained(folder):
    """The work directory after two epochs."""
    assert run_tool('train', folder / 'small.py', '--work-dir', folder / 'work') == 0
    return folder / 'work'


def test_training_logs_and_keeps_the_best(trained):
    (log,) = trained.glob('*/vis_data/scalars.json')
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert [r['step'] for r in records if 'loss' in r] == [1, 2, 3, 4]
    assert [r['step'] for r in records if 'accuracy/top1' in r] == [1, 2]
    assert len(list(trained.glob('best_accuracy_top1_epoch_*.pth'))) == 1
    checkpoint = torch.load(trained / 'epoch_2.pth', weights_only=True)
    assert checkpoint['meta']['backbone']['num_heads'] == 3


def test_testing_gives_the_accuracy_that_training_printed(folder, trained):
    out = folder / 'metrics.json'
    args = (trained / 'epoch_2.pth', '--out', out, '--work-dir', folder / 'test')
    assert run_tool('test', folder / 'small.py', *args) == 0
    (log,) = trained.glob('*/vis_data/scalars.json')
    printed = [json.loads(line) for line in log.read_text().splitlines()][-1]
    assert mmengine.load(out)['accuracy/top1'] == printed['accuracy/top1']


def test_a_fine_tuning_and_a_probe_start_from_the_checkpoint(folder, trained, tmp_path):
    """One line each; the probe has another head and moves nothing of the encoder."""
    probe = tmp_path / 'probe.py'
    recipe = tiny_classifier.RECIPES / 'vit-tiny_linear_8xb2048-amp-coslr-90e_in1k_shapes.py'
    text = tiny_classifier.SMALL.format(recipe=recipe, data=folder / 'data')
    probe.write_text(text.replace('head=dict(', 'neck=dict(input_features=24), head=dict('))
    options = ('--cfg-options', f'model.backbone.init_cfg.checkpoint={trained / "epoch_2.pth"}')
    assert run_tool('train', probe, '--work-dir', tmp_path / 'work', *options) == 0
    given, learned = (
        torch.load(path, weights_only=True)['state_dict']
        for path in (trained / 'epoch_2.pth', tmp_path / 'work' / 'epoch_2.pth')
    )
    for key, value in given.items():
        same = torch.equal(learned[key], value)
        # the probe has the norm of MAE's fine-tuning, which the checkpoint has too
        assert same == key.startswith('backbone.'), key


def error(capsys):
    captured = capsys.readouterr()
    assert 'Traceback' not in captured.out + captured.err
    (line,) = [line for line in captured.err.splitlines() if line.startswith('error: ')]
    return line.removeprefix('error: ')


def change_folders(data):
    shutil.move(data / 'val' / 'square', data / 'val' / 'circle')


def drop_folder(data):
    shutil.rmtree(data / 'train' / 'triangle')


MISTAKES = {
    'folders differ': (change_folders, (), r"/train' has 'square', which '.*/val' lacks; labels"),
    'folder missing': (drop_folder, (), r"/val' has 'triangle', which '.*/train' lacks; labels"),
    'head': (
        None,
        ('model.head.num_classes=5', 'model.data_preprocessor.num_classes=5'),
        r'^model\.head\.num_classes=5, but train_dataloader\.dataset has 3 classes: set model\.h',
    ),
    'mixed labels': (
        None,
        ('model.head.num_classes=5',),
        r'^model\.head\.num_classes=5, but labels are mixed as vectors of .*num_classes=3: set',
    ),
    'ImageNet': (
        None,
        ('train_dataloader.dataset.type=ImageNet',),
        r"/train' has 3 class folders, but train_dataloader\.dataset names 1000 classes; for",
    ),
    'list': (
        lambda data: (data / 'list.txt').write_text('disc/a.JPEG 0\nsquare/b.JPEG 3\n'),
        ('train_dataloader.dataset.ann_file=list.txt',),
        r"/list\.txt, line 2: '3' is no label from 0 to 2, the classes of model\.head\.num_cl",
    ),
    'blocks': (
        None,
        (
            'model.backbone.init_cfg.type=Pretrained',
            'model.backbone.init_cfg.checkpoint={trained}/epoch_1.pth',
            'model.backbone.init_cfg.reserve_blocks=3',
        ),
        r'^init_cfg\.reserve_blocks=3: ViT has 2 blocks, write 0 to 2',
    ),
}


@pytest.mark.parametrize('name', MISTAKES)
def test_a_mistake_is_one_sentence(name, folder, trained, tmp_path, capsys):
    spoil, options, message = MISTAKES[name]
    data = shutil.copytree(folder / 'data', tmp_path / 'data')
    if spoil:
        spoil(data)
    options = [option.format(trained=trained) for option in options]
    roots = [f'{stage}_dataloader.dataset.data_root={data}' for stage in ('train', 'val', 'test')]
    args = ('--work-dir', tmp_path / 'work', '--cfg-options', *roots, *options)
    assert run_tool('train', folder / 'small.py', *args) in (1, 2)
    assert re.search(message, error(capsys))


def test_a_checkpoint_of_another_number_of_classes(folder, trained, tmp_path, capsys):
    """Evaluation names the head; folders of training do not matter to it."""
    data = shutil.copytree(folder / 'data', tmp_path / 'data')
    drop_folder(data)
    shutil.rmtree(data / 'val' / 'triangle')
    args = (trained / 'epoch_2.pth', '--work-dir', tmp_path / 'work', '--cfg-options')
    options = (f'test_dataloader.dataset.data_root={data}', 'model.head.num_classes=2')
    other = ('model.data_preprocessor.num_classes=2',)
    assert run_tool('test', folder / 'small.py', *args, *options, *other) == 1
    message = "'head.fc.weight' has shape (3, 24), but the config builds (2, 24)"
    assert message in error(capsys)
