"""One builder of models for every tool: config, weights, device and what can be wrong."""

import pytest
import tiny_classifier
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import nn

from mmlite.apis import init_model
from mmlite.errors import CheckpointError, UserError


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    return tiny_classifier.write(tmp_path_factory.mktemp('cls'))


@pytest.fixture(scope='module')
def checkpoint(config):
    """Weights of another initialization, with names of classes."""
    torch.manual_seed(7)
    path = config.with_suffix('.pth')
    meta = dict(dataset_meta=dict(CLASSES=('a', 'b', 'c')))
    torch.save(dict(state_dict=init_model(config).state_dict(), meta=meta), path)
    return path


def test_weights_mode_and_scope(config, checkpoint):
    torch.manual_seed(0)
    model = init_model(config, checkpoint)
    saved = torch.load(checkpoint, weights_only=True)['state_dict']
    torch.testing.assert_close(dict(model.state_dict()), dict(saved), rtol=0, atol=0)
    assert not model.training and model.dataset_meta == dict(classes=('a', 'b', 'c'))
    assert DefaultScope.get_current_instance().scope_name == model.cfg.default_scope
    torch.manual_seed(0)
    fresh = init_model(config)
    assert fresh.dataset_meta == {}
    with pytest.raises(AssertionError):
        torch.testing.assert_close(dict(fresh.state_dict()), dict(saved))


def test_a_config_in_any_form_stays_as_it_is(config, checkpoint):
    opened = Config.fromfile(config)
    before = opened.pretty_text
    override = {'model.backbone.drop_path_rate': 0.5}
    for given in (config, str(config), opened, opened.to_dict()):
        model = init_model(given, checkpoint, cfg_options=override)
        assert model.cfg.model.backbone.drop_path_rate == 0.5
    assert opened.pretty_text == before


def test_a_prefix_can_be_ignored(config, checkpoint, tmp_path):
    contents = torch.load(checkpoint, weights_only=True)
    contents['state_dict']['distill.weight'] = torch.zeros(2)
    torch.save(contents, tmp_path / 'distilled.pth')
    with pytest.raises(CheckpointError, match=r"have no place in it \(first 'distill.weight'\)"):
        init_model(config, tmp_path / 'distilled.pth')
    init_model(config, tmp_path / 'distilled.pth', ignore='distill.')


def test_synchronized_norms_become_plain():
    model = init_model(dict(default_scope='mmseg', model=dict(type='FCNHead', **HEAD)))
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert norms and not any(isinstance(m, nn.SyncBatchNorm) for m in norms)


HEAD = dict(
    in_channels=4,
    channels=4,
    num_classes=2,
    norm_cfg=dict(type='SyncBN'),
    loss_decode=dict(type='mmseg.DiceLoss'),
)


def test_mistakes_are_sentences(config, tmp_path, monkeypatch):
    with pytest.raises(UserError, match='the config has no model'):
        init_model({})
    with pytest.raises(UserError, match="model.type='NoModel' is not a registered model"):
        init_model(dict(model=dict(type='NoModel')))
    with pytest.raises(CheckpointError, match='no.pth does not exist'):
        init_model(config, tmp_path / 'no.pth')
    with pytest.raises(UserError, match="device 'gpu' is unknown"):
        init_model(config, device='gpu')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(UserError, match='device cuda needs a GPU, but torch sees none: use cpu'):
        init_model(config, device='cuda')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    with pytest.raises(UserError, match='device cuda:2 does not exist: the last GPU is cuda:1'):
        init_model(config, device='cuda:2')
