"""Distillation of a classifier: the loss of DeiT's equations, and a teacher that stays as it is."""

import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.structures import DataSample
from task_recipes import optim_wrapper, settings, step

from mmlite.errors import ArgumentError
from mmlite.registry import MODELS

CONFIG = Path(__file__).parents[2] / 'configs/cls/vit-tiny_distilled_8xb128-coslr-300e_in1k.py'
CLASSES = 5
SMALL = {
    'model.backbone.arch': dict(_delete_=True, embed_dims=24, num_layers=2, num_heads=3),
    'model.backbone.img_size': 32,
    'model.backbone.drop_path_rate': 0.0,
    'model.backbone.init_cfg': None,
    'model.head.in_channels': 24,
    'model.head.num_classes': CLASSES,
    'model.head.loss.num_classes': CLASSES,
    'model.data_preprocessor.num_classes': CLASSES,
    'model.train_cfg': None,
    'model.teacher.model_name': 'test_vit',
    'model.teacher.num_classes': CLASSES,
    'model.teacher.img_size': 32,
    'model.teacher.pretrained': False,
}


def build(**changes):
    cfg = Config.fromfile(CONFIG)
    cfg.merge_from_dict(copy.deepcopy(SMALL | {f'model.{k}': v for k, v in changes.items()}))
    init_default_scope(cfg.default_scope)
    torch.manual_seed(0)
    return cfg, MODELS.build(cfg.model)


def batch(count=6):
    images = torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8)
    samples = [DataSample().set_gt_label(index % CLASSES) for index in range(count)]
    return dict(inputs=images, data_samples=samples)


def labels_and_logits(model, data):
    given = model.data_preprocessor(copy.deepcopy(data), True)
    with torch.no_grad():
        return model(**given, mode='loss'), model(given['inputs']), model.teacher(given['inputs'])


def test_hard_labels_are_the_classes_of_the_teacher():
    _, model = build(alpha=0.25)
    losses, logits, target = labels_and_logits(model.train(), batch())
    log_p = logits.log_softmax(1)
    wanted = -sum(float(row[t.argmax()]) for row, t in zip(log_p, target, strict=True)) / 6
    assert losses['loss_teacher'].item() == pytest.approx(0.25 * wanted, rel=1e-5)
    # label smoothing of 0.1
    smooth = 0.9 * torch.eye(CLASSES)[[0, 1, 2, 3, 4, 0]] + 0.1 / CLASSES
    wanted = -(smooth * log_p).sum().item() / 6
    assert losses['loss_label'].item() == pytest.approx(0.75 * wanted, rel=1e-5)


def test_soft_labels_are_compared_at_a_temperature():
    _, model = build(distill_type='soft', temperature=3.0)
    losses, logits, target = labels_and_logits(model.train(), batch())
    p, q = (target / 3).softmax(1), (logits / 3).softmax(1)
    wanted = 9 * (p * (p / q).log()).sum().item() / (6 * CLASSES)
    assert losses['loss_teacher'].item() == pytest.approx(0.5 * wanted, rel=1e-4)


def test_the_teacher_stays_and_is_not_saved():
    cfg, model = build()
    model.init_weights()
    before, data = model.teacher_checksum(), batch()
    assert not any('teacher' in name for name in settings(cfg, model))
    wrapper = optim_wrapper(cfg, model)
    for group in wrapper.optimizer.param_groups:
        group['lr'] = 3e-3
    first = step(model, data)
    assert not model.teacher.training and model.backbone.training
    for _ in range(20):
        wrapper.optimizer.step()
        last = step(model, data)
    assert last['loss_teacher'] < 0.8 * first['loss_teacher']
    assert torch.equal(model.teacher_checksum(), before)
    state = model.state_dict()
    assert {key.split('.')[0] for key in state} == {'backbone', 'head'}
    model.load_state_dict(state)  # strict


def test_weights_of_the_teacher_are_read_when_a_training_begins(monkeypatch):
    _, model = build()
    loaded = MODELS.build(dict(model.teacher_cfg))
    asked = []
    model.teacher_cfg['pretrained'] = True
    monkeypatch.setattr(MODELS, 'build', lambda cfg: asked.append(cfg) or loaded)
    model.init_weights()
    assert asked == [model.teacher_cfg]
    for key, value in loaded.state_dict().items():
        assert torch.equal(model.teacher.state_dict()[key], value), key


def test_other_kinds_are_refused():
    with pytest.raises(ArgumentError, match="distill_type 'sof' is unknown.* 'soft'"):
        build(distill_type='sof')
