"""Loading of inferencers for images: configs, weights, devices and the names of classes."""

from pathlib import Path

import pytest
import tiny_tracker
import torch
from mmengine.config import Config, ConfigDict
from tiny_tasks import CLASSES, EVERYTHING, assert_same

from mmlite.apis import ClsInferencer, DetInferencer, SOTInferencer, build_inferencer
from mmlite.errors import UserError

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
    """And those of directories, where no list has them."""
    contents = torch.load(case.weights, weights_only=True)
    weights = tmp_path / 'weights.pth'
    torch.save(dict(state_dict=contents['state_dict']), weights)
    cfg = case.cfg
    if task == 'cls':
        assert CLASSES[task](cfg, weights).class_names == ('disc', 'square', 'triangle')
    dataset = cfg.test_dataloader.dataset
    dataset.data_root = str(tmp_path / 'nowhere')
    for kind in (dataset.type, 'OfAPackageThatIsNotHere'):
        dataset.type = kind
        names = CLASSES[task](cfg, weights).class_names
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


def test_a_config_of_another_task_is_sent_on(cases, tmp_path):
    mae = ROOT / 'configs/shapes/pretrain/mae/mae_vit-tiny_8xb512-amp-coslr-400e_in1k_shapes.py'
    for config, message in (
        (cases('cls').config, 'is for classification: give it to ClsInferencer$'),
        (cases('seg').config, 'is for segmentation: give it to SegInferencer$'),
        (tiny_tracker.write_config(tmp_path, tmp_path)[0], 'is for tracking: give it to SOTInf'),
        (mae, 'is of a MAE, for which there is no inferencer: give the config of a model for c'),
    ):
        with pytest.raises(UserError, match=message):
            DetInferencer(config, cases('det').weights)
    with pytest.raises(UserError, match='is for detection: give it to DetInferencer$'):
        ClsInferencer(cases('det').config, cases('det').weights)


def test_things_that_are_missing_in_a_call_or_a_config(task, case):
    cfg, cls = case.cfg, CLASSES[task]
    with pytest.raises(UserError, match=f'no weights are given: {cls.TASK} requires the checkpoin'):
        cls(case.config)
    alone = Config(dict(default_scope=cfg.default_scope, model=cfg.model))
    with pytest.raises(UserError, match='the config has no pipeline in its test_dataloader'):
        cls(alone, case.weights)
    cfg.test_dataloader.dataset.pipeline[0].color_type = 'grayscale'
    with pytest.raises(UserError, match="loads images with color_type='grayscale': inferencers"):
        cls(cfg, case.weights)


def test_a_preprocessor_beside_the_model_counts(cases):
    """As mmpretrain's own configs have it."""
    case = cases('cls')
    cfg = case.cfg
    cfg.data_preprocessor = cfg.model.pop('data_preprocessor')
    file = case.files()[0]
    results = [ClsInferencer(c, case.weights)(file).results[0] for c in (cfg, case.config)]
    assert_same(*results)
    assert cfg.data_preprocessor.mean[0] > 1
