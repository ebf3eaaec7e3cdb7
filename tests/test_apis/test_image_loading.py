"""Loading of inferencers for images: configs, weights, devices and the names of classes."""

from pathlib import Path

import pytest
import tiny_tracker
import torch
from mmengine.config import Config, ConfigDict
from tiny_tasks import CLASSES, EVERYTHING, TASKS, assert_same

from mmlite.apis import ClsInferencer, SOTInferencer, build_inferencer
from mmlite.errors import CheckpointError, UserError

ROOT = Path(__file__).resolve().parents[2]


# names of classes


@pytest.mark.parametrize('source', ['checkpoint', 'old checkpoint', 'config', 'nobody'])
def test_where_class_names_come_from(source, task, case, tmp_path, capsys):
    contents = torch.load(case.weights, weights_only=True)
    names = [name.upper() for name in case.dataset().metainfo['classes']]
    cfg = case.cfg
    if source == 'old checkpoint':
        contents['meta'] = dict(CLASSES=names)
    elif source != 'checkpoint':
        contents['meta'] = {}
        names = [name.lower() for name in names]
    if source == 'nobody':
        names = list(map(str, range(len(names))))
        pipeline = cfg.test_dataloader.dataset.pipeline
        cfg.test_dataloader.dataset = ConfigDict(type='mmengine.BaseDataset', pipeline=pipeline)
    torch.save(contents, tmp_path / 'weights.pth')
    inferencer = CLASSES[task](cfg, tmp_path / 'weights.pth')
    (result,) = inferencer(case.files()[0], **EVERYTHING[task]).results
    assert inferencer.class_names == (None if source == 'nobody' else tuple(names))
    if task == 'seg':
        highest = result.label_map.max() + 1
        assert result.class_names[:highest] == names[:highest]
    else:
        assert result.names == [names[label] for label in result.labels]
    told = 'neither the checkpoint nor the data set of the config names classes: their numbers'
    printed = capsys.readouterr()
    assert (told in printed.out + printed.err) == (source == 'nobody')


def test_names_are_known_without_the_data(case, task, tmp_path):
    """And those of folders, where no list has them."""
    contents = torch.load(case.weights, weights_only=True)
    torch.save(dict(state_dict=contents['state_dict']), tmp_path / 'weights.pth')
    cfg = case.cfg
    if task == 'cls':
        names = CLASSES[task](cfg, tmp_path / 'weights.pth').class_names
        assert names == ('disc', 'square', 'triangle')
    cfg.test_dataloader.dataset.data_root = str(tmp_path / 'nowhere')
    names = CLASSES[task](cfg, tmp_path / 'weights.pth').class_names
    assert names == (None if task == 'cls' else tuple(cfg.classes))
    cfg.test_dataloader.dataset.type = 'OfAPackageThatIsNotHere'
    names = CLASSES[task](cfg, tmp_path / 'weights.pth').class_names
    assert names == (None if task == 'cls' else tuple(cfg.classes))


# loading


def test_the_config_decides_on_the_inferencer(case, task, tmp_path):
    inferencer = build_inferencer(case.config, case.weights, 'cpu')
    assert type(inferencer) is CLASSES[task]
    opened = case.cfg
    before = opened.pretty_text
    opened.load_from = str(case.weights)
    assert type(build_inferencer(opened)) is CLASSES[task]
    opened.load_from = None
    assert opened.pretty_text == before
    assert not inferencer.model.training
    tracker = tiny_tracker.write_config(tmp_path, tmp_path)
    assert type(build_inferencer(*tracker)) is SOTInferencer


@pytest.mark.parametrize('other', [*TASKS, 'tracking', 'pre-training'])
def test_a_config_of_another_task_is_sent_on(other, task, case, cases, tmp_path):
    if other == 'tracking':
        config, weights = tiny_tracker.write_config(tmp_path, tmp_path)
    elif other == 'pre-training':
        name = 'mae/mae_vit-tiny_8xb512-amp-coslr-400e_in1k_shapes.py'
        config, weights = ROOT / 'configs/shapes/pretrain' / name, case.weights
    else:
        config, weights = cases(other).config, cases(other).weights
    if other == task:
        return
    right = 'SOTInferencer' if other == 'tracking' else CLASSES.get(other, ClsInferencer).__name__
    message = f'is for .*: give it to {right}$'
    if other == 'pre-training':
        message = 'is of a MAE, for which there is no inferencer: give the config of a model for c'
    with pytest.raises(UserError, match=message):
        CLASSES[task](config, weights)


def spoil(state, kind):
    """Weights of another model, and what is said about them."""
    first, last = list(state)[0], list(state)[-1]
    if kind == 'missing':
        del state[first]
        return rf'weights.pth does not hold this model: .* are not in it \(first {first!r}'
    if kind == 'extra':
        state['teacher.weight'] = torch.zeros(1)
        return r"weights.pth does not hold this model: 1 of .* \(first 'teacher.weight'\)"
    state[last] = torch.zeros(3, 1, 4, 1, 5)
    return rf'weights.pth does not fit this model: {last!r} has shape \(3, 1, 4, 1, 5\)'


@pytest.mark.parametrize('kind', ['missing', 'extra', 'shape'])
def test_weights_must_be_exactly_those_of_the_model(kind, task, case, tmp_path):
    contents = torch.load(case.weights, weights_only=True)
    message = spoil(contents['state_dict'], kind)
    torch.save(contents, tmp_path / 'weights.pth')
    with pytest.raises(CheckpointError, match=message):
        CLASSES[task](case.config, tmp_path / 'weights.pth')


def test_missing_things_are_named(task, case, tmp_path, monkeypatch):
    cls = CLASSES[task]
    with pytest.raises(
        UserError, match=f'no weights are given: {TASKS[task]} requires the checkpoint'
    ):
        cls(case.config)
    with pytest.raises(CheckpointError, match='no.pth does not exist'):
        cls(case.config, tmp_path / 'no.pth')
    with pytest.raises(UserError, match='config not found: .*no.py'):
        cls(tmp_path / 'no.py', case.weights)
    with pytest.raises(UserError, match="device 'gpu' is unknown: use cpu, cuda or cuda:1"):
        cls(case.config, case.weights, 'gpu')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(UserError, match='device cuda needs a GPU, but torch sees none: use cpu'):
        cls(case.config, case.weights, 'cuda')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    with pytest.raises(UserError, match='device cuda:2 does not exist: the last GPU is cuda:1'):
        cls(case.config, case.weights, 'cuda:2')


def test_configs_that_lack_something(task, case):
    cfg = case.cfg
    with pytest.raises(UserError, match='the config has no model'):
        CLASSES[task](Config(dict(default_scope=cfg.default_scope)), case.weights)
    alone = Config(dict(default_scope=cfg.default_scope, model=cfg.model))
    with pytest.raises(UserError, match='the config has no pipeline in its test_dataloader'):
        CLASSES[task](alone, case.weights)
    cfg.test_dataloader.dataset.pipeline[0].color_type = 'grayscale'
    with pytest.raises(UserError, match="loads images with color_type='grayscale': inferencers"):
        CLASSES[task](cfg, case.weights)
    cfg.model.type = 'NoSuchModel'
    with pytest.raises(UserError, match="model.type='NoSuchModel' is not a registered model"):
        CLASSES[task](cfg, case.weights)


def test_a_preprocessor_beside_the_model_counts(cases):
    """As mmpretrain's own configs have it."""
    case = cases('cls')
    cfg = case.cfg
    cfg.data_preprocessor = cfg.model.pop('data_preprocessor')
    file = case.files()[0]
    results = [ClsInferencer(c, case.weights)(file).results[0] for c in (cfg, case.config)]
    assert_same(*results)
    assert cfg.data_preprocessor.mean[0] > 1
