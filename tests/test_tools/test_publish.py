"""Publishing: the same model from a smaller file, with what must be known of it."""

import functools
import hashlib
import json
import re

import mmengine
import numpy as np
import pytest
import tiny
import tiny_pretrain
import torch
import yaml
from mmengine.config import Config
from run_tool import run_tool

from mmlite import stack
from mmlite.errors import CheckpointError
from mmlite.models import ViT
from mmlite.weights.publish import parse_config

PUBLISH = 'model_converters/publish'
WRITERS = {'detection': tiny.write_detector, 'pre-training': tiny_pretrain.write_recipe}
GONE = {'optimizer', 'message_hub'}


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """Function of a task: its config and the checkpoint after an epoch."""

    @functools.cache
    def train(task):
        folder = tmp_path_factory.mktemp(task)
        config, work = WRITERS[task](folder), folder / 'work'
        assert run_tool('train', config, '--work-dir', work, '--epochs', 1) == 0
        return config, work / 'epoch_1.pth'

    return train


def publish(checkpoint, folder, *options):
    """Run the tool; returns the weights that it wrote."""
    file = folder / 'mine.safetensors'
    assert run_tool(PUBLISH, checkpoint, file, *options) == 0
    return file


@pytest.mark.parametrize('task', WRITERS)
def test_weights_and_meta_are_those_of_the_checkpoint(trained, task, tmp_path, capsys):
    _, checkpoint = trained(task)
    capsys.readouterr()
    file = publish(checkpoint, tmp_path / 'new')
    out = capsys.readouterr().out
    given, read = stack.load(checkpoint), stack.load(file)
    assert read.keys() == {'state_dict', 'meta'} and given.keys() >= GONE
    assert read['state_dict'].keys() == given['state_dict'].keys()
    torch.testing.assert_close(read['state_dict'], dict(given['state_dict']), rtol=0, atol=0)
    old, meta = given['meta'], read['meta']
    for key in ('backbone', 'dataset_meta', 'epoch', 'iter'):
        want = old.get(key) or None
        assert meta.get(key) == json.loads(json.dumps(want)), key
    assert (meta['task'], meta['license'], meta['weights']) == (task, 'unknown', 'last')
    assert {'mmlite_version', 'mmengine_version', 'format'} < meta.keys()
    cfg, recorded = (parse_config(m['cfg'], 'a.pth').to_dict() for m in (meta, old))
    added = [hook for hook in recorded['custom_hooks'] if hook not in cfg.get('custom_hooks', [])]
    assert [hook['type'].removeprefix('mmlite.') for hook in added] == [
        'CheckpointFitHook', 'FiniteHook', 'StopHook'
    ]  # fmt: skip
    differ = {key for key in cfg | recorded if cfg.get(key) != recorded.get(key)}
    assert differ - {'custom_hooks'} <= {'work_dir', 'launcher', 'resume'}
    assert file.with_suffix('.py').read_text() == meta['cfg']
    rows = dict(re.findall(r'^  (\S.*?)  +(.*)$', out, re.M))
    assert int(rows['tensors'].replace(',', '')) == len(given['state_dict'])
    assert rows['sha256'] == hashlib.sha256(file.read_bytes()).hexdigest()


def test_metrics_are_those_of_the_checkpoint(trained, tmp_path):
    config, checkpoint = trained('detection')
    file = publish(checkpoint, tmp_path)
    metrics = []
    for number, pair in enumerate([(config, checkpoint), (file.with_suffix('.py'), file)]):
        out = tmp_path / f'{number}.json'
        args = ('--out', out, '--work-dir', tmp_path / 'test')
        assert run_tool('test', *pair, *args) == 0
        metrics.append(mmengine.load(out))
    assert metrics[0] == metrics[1] and metrics[0]


@pytest.mark.parametrize('options', [(), ('--backbone-only',)])
def test_fine_tuning_starts_from_it_and_heads_are_checked(trained, options, tmp_path):
    _, checkpoint = trained('pre-training')
    file = publish(checkpoint, tmp_path, *options)
    state = stack.load(file)['state_dict']
    assert any(not key.startswith('backbone.') for key in state) == (not options)
    arch = dict(embed_dims=24, num_layers=2, num_heads=3)
    same = dict(img_size=32, patch_size=8, init_cfg=dict(type='Pretrained', checkpoint=str(file)))
    model = ViT(arch, **same)
    model.init_weights()
    weight = model.blocks[1].mlp.fc1.weight
    assert torch.equal(weight, state['backbone.blocks.1.mlp.fc1.weight'])
    with pytest.raises(CheckpointError, match='num_heads=3 but the config builds num_heads=4'):
        ViT(dict(arch, num_heads=4), **same).init_weights()


# ---- what is left out, and what is kept ---------------------------------------------------------

TEXT = "default_scope = 'mmpretrain'\nmodel = dict(type='mmlite.MAE', scale=float('inf'))\n"


def save(path, state=None, cfg=TEXT, meta=None, **beside):
    """A checkpoint of one tensor."""
    state = {'backbone.w': torch.arange(4.0)} if state is None else state
    torch.save(dict(state_dict=state, meta=dict(meta or {}, cfg=cfg), **beside), path)
    return path


def test_frozen_parts_are_left_out_and_shared_tensors_written_twice(tmp_path):
    whole = torch.arange(12.0).view(3, 4)
    state = {'backbone.a': whole, 'b': whole, 'c': whole[0], 'd': whole.t()}
    frozen = {'distill.teacher.w': whole, 'target_generator.w': whole}
    read = stack.load(publish(save(tmp_path / 'a.pth', state | frozen), tmp_path))['state_dict']
    assert read.keys() == state.keys()
    torch.testing.assert_close(read, state, rtol=0, atol=0)


def test_ema(tmp_path):
    path = save(tmp_path / 'a.pth', ema_state_dict={'module.backbone.w': torch.zeros(4)})
    read = stack.load(publish(path, tmp_path))
    assert read['state_dict']['backbone.w'].tolist() == [0, 1, 2, 3]  # as mmengine saves it
    assert (read['meta']['weights'], read['meta']['task']) == ('EMA', 'pre-training')


def test_licence_classes_and_an_existing_file(tmp_path, capsys):
    meta = dict(license='Apache-2.0', seed=np.int64(3), CLASSES=('a', 'b'))
    path = save(tmp_path / 'a.pth', meta=meta)
    file = publish(path, tmp_path / 'new')
    read = stack.load(file)['meta']
    assert (read['license'], read['seed'], read['CLASSES']) == ('Apache-2.0', 3, ['a', 'b'])
    assert run_tool(PUBLISH, path, file) == 2
    assert f'error: {file} exists' in capsys.readouterr().err
    for option in ('--licence', '--license'):
        meta = stack.load(publish(path, tmp_path / option, option, 'MIT'))['meta']
        assert meta['license'] == 'MIT'


def test_a_config_of_its_own(tmp_path):
    config = tmp_path / 'own.py'
    config.write_text("default_scope = 'mm' + 'seg'\nmodel = dict(type='X')\n")
    file = publish(save(tmp_path / 'a.pth', cfg=None), tmp_path, '--config', config)
    assert stack.load(file)['meta']['task'] == 'segmentation'
    assert Config.fromfile(file.with_suffix('.py')).model.type == 'X'


def test_a_directory_for_hugging_face(trained, tmp_path, monkeypatch, capsys):
    _, checkpoint = trained('detection')
    out = tmp_path / 'mine'
    assert run_tool(PUBLISH, checkpoint, out, '--licence', 'CC BY-NC 4.0') == 0
    assert f'hf upload USER/mine {out}' in capsys.readouterr().out
    names = {'README.md', 'LICENSE', 'model.py', 'model.safetensors'}
    assert {path.name for path in out.iterdir()} == names
    _, head, card = (out / 'README.md').read_text().split('---\n', 2)
    assert yaml.safe_load(head) == dict(
        library_name='mmlite', license='cc-by-nc-4.0', pipeline_tag='object-detection'
    )
    assert (out / 'LICENSE').read_text() == 'CC BY-NC 4.0\n'
    monkeypatch.chdir(out)
    exec(re.search(r'```python\n(.*?)```', card, re.S)[1], found := {})
    weights = stack.load(out / 'model.safetensors')['state_dict']
    torch.testing.assert_close(dict(found['model'].model.state_dict()), weights, rtol=0, atol=0)
    assert run_tool(PUBLISH, checkpoint, out) == 2
    assert f'{out} is not an empty directory' in capsys.readouterr().err


# ---- what is refused ----------------------------------------------------------------------------

MISTAKES = {
    'good.pth there': (2, 'good.pth records no licence, .* give --licence'),
    'torn.pth mine.safetensors': (1, 'torn.pth is truncated'),
    'heads.pth mine.safetensors --backbone-only': (1, 'it holds no weights of a backbone'),
    'good.pth mine.pth': (2, 'mine.pth does not end in .safetensors'),
    'good.pth there.safetensors': (2, 'there.py exists: name another file'),
    'good.pth good.pth/a/mine.safetensors': (1, 'cannot write good.pth/a/mine.py: Not a directory'),
    'bare.pth mine.safetensors': (1, 'bare.pth: it records no config: give --config'),
    'hostile.pth mine.safetensors': (1, 'hostile.pth: the config that it records is not plain'),
}


@pytest.mark.parametrize(('line', 'code', 'message'), [(k, *v) for k, v in MISTAKES.items()])
def test_mistakes_are_one_sentence(tmp_path, monkeypatch, capsys, line, code, message):
    monkeypatch.chdir(tmp_path)
    good = save(tmp_path / 'good.pth')
    (tmp_path / 'torn.pth').write_bytes(good.read_bytes()[:-100])
    (tmp_path / 'there.py').touch()
    (tmp_path / 'there').mkdir()
    save('heads.pth', {'head.w': torch.ones(1)})
    save('bare.pth', cfg=None)
    save('hostile.pth', cfg='a = 1\nb = open("flag", "w")\n')
    before = sorted(tmp_path.rglob('*'))
    assert run_tool(PUBLISH, *line.split()) == code
    out, err = capsys.readouterr()
    assert out == '' and re.fullmatch(f'error: .*{message}.*\n', err), err
    assert sorted(tmp_path.rglob('*')) == before


@pytest.mark.parametrize(
    'text',
    [
        'import os',
        'a = os',
        'a = (lambda: 1)()',
        "a = float(open('flag', 'w'))",
        "a = dict(b=open('flag', 'w'))",
        'a = ' + '(' * 5000,
    ],
)
def test_a_config_that_is_a_program_is_not_published(text):
    with pytest.raises(CheckpointError, match='a.pth: the config that it records is not plain'):
        parse_config(f'x = 1\n{text}\n', 'a.pth')


def test_a_recorded_config_is_read_as_it_was_written():
    value = dict(a=[1, -2.5], b=dict(c=('x', None, {1, 2}), e=set()), d={1: True})
    text = Config(dict(value=value)).pretty_text + "more = dict(scale=float('inf'))\n"
    read = parse_config(text, 'a.pth').to_dict()
    assert read == dict(value=value, more=dict(scale=float('inf')))
