"""The CIFAR project: its counts, its files, its loss, and stage 1 as the start of stage 2."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, default_collate
from mmengine.registry import init_default_scope
from run_tool import run_tool

from mmlite.analysis.complexity import count_macs, count_params
from mmlite.engine.check_config import check_config
from mmlite.errors import DataError
from mmlite.registry import DATASETS, MODELS
from projects.cifar_mae import knn, make_cifar
from projects.cifar_mae.generated_cifar import GeneratedCIFAR10

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / 'projects/cifar_mae/configs'
PRETRAIN = 'mae_vit-cifar_1xb512-amp-coslr-2000e_{}-36px'
SCRATCH = 'vit-cifar_1xb256-amp-coslr-300e_{}-36px'
FINE_TUNE = 'vit-cifar_mae-init_1xb256-amp-coslr-300e_{}-36px'


def read(name):
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    init_default_scope(cfg.default_scope)
    return cfg


def build(name, **backbone):
    """The model of a config without its checkpoint."""
    cfg = read(name).model
    cfg.backbone.update(backbone, init_cfg=None)
    torch.manual_seed(0)
    return MODELS.build(cfg)


@pytest.mark.parametrize('classes', [10, 100])
def test_the_network_has_less_than_3_65_million_parameters(classes):
    """27 x 192 patches, 145 positions, a token, 12 blocks with a doubled MLP, a norm, the head."""
    block = 4 * 192 * 192 + 4 * 192 + 2 * 192 * 384 + 384 + 192 + 4 * 192
    by_hand = 28 * 192 + 145 * 192 + 192 + 12 * block + 2 * 192 + 193 * classes
    model = build(SCRATCH.format(f'cifar{classes}'))
    assert count_params(model) == by_hand < 3.65e6
    macs, _ = count_macs(model, torch.zeros(1, 3, 36, 36))
    assert macs == pytest.approx(0.611e9, abs=5e5)  # as in the README


def test_a_test_image_is_enlarged_and_keeps_its_colors():
    """Red tells the row of a pixel, green 100 + its column, blue is 201."""
    img = np.full((32, 32, 3), 201, np.uint8)
    img[..., 0], img[..., 1] = np.arange(32)[:, None], 100 + np.arange(32)
    pipeline = Compose(read(SCRATCH.format('cifar10')).test_dataloader.dataset.pipeline)
    sample = pipeline(dict(img=img, gt_label=3))
    assert sample['data_samples'].gt_label.tolist() == [3]
    blue, green, red = sample['inputs'].float()  # the order of mmcv's transforms
    assert blue.shape == (36, 36) and (blue == 201).all()
    assert (green.diff(dim=1) >= 0).all() and (red.diff(dim=0) >= 0).all()
    assert (red[0, 0], red[-1, 0], green[0, 0], green[0, -1]) == (0, 31, 100, 131)


def test_generated_files_are_read_by_the_same_reader(tmp_path, monkeypatch):
    train, test = ((np.full((n, 32, 32, 3), n, np.uint8), list(range(n))) for n in (7, 3))
    train[0][:, 5, 6] = (10, 20, 30)
    make_cifar.write_cifar10(tmp_path, train, test, 'abcdefghij')
    data = GeneratedCIFAR10(str(tmp_path))
    assert data.get_gt_labels().tolist() == list(range(7))
    assert np.array_equal(np.stack([data[i]['img'] for i in range(7)]), train[0])
    assert data.metainfo['classes'] == list('abcdefghij')
    assert GeneratedCIFAR10(str(tmp_path), 'test').get_gt_labels().tolist() == [0, 1, 2]
    (tmp_path / 'cifar-10-batches-py/data_batch_4').unlink()
    with pytest.raises(DataError, match='data_batch_4 is missing; generate it by'):
        GeneratedCIFAR10(str(tmp_path))
    cfg = read(PRETRAIN.format('cifar10') + '_shapes')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match='make it by: python projects/cifar_mae/make_cifar.py'):
        check_config(cfg)


def test_generated_images_are_repeatable_and_balanced(capsys):
    first, labels, names = make_cifar.generate_images('train', 10)
    again, _, _ = make_cifar.generate_images('train', 10)
    other, _, _ = make_cifar.generate_images('val', 10)
    assert sorted(labels) == list(range(10)) and len(names) == 10
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert first.shape == (10, 32, 32, 3) and first.std() > 20
    assert make_cifar.main(['--train', '4']) == 2
    assert '--train is 4; it must be >= 5' in capsys.readouterr().err


def test_visible_patches_count_by_the_discount():
    images = torch.randn(2, 3, 36, 36, generator=torch.Generator().manual_seed(0))
    model = build(PRETRAIN.format('cifar10') + '_shapes')
    order = torch.stack([torch.randperm(144) for _ in images])
    losses = model.loss(images, ids_shuffle=order)
    shown = order[:, :36]
    tokens = model.backbone.embed(images, keep=shown)
    latent = model.backbone.norm(model.backbone.encode(tokens)[0])
    pred = model.neck(latent, shown)  # all 144 patches
    cells = images.unfold(2, 3, 3).unfold(3, 3, 3)  # (B, 3, 12, 12, 3, 3)
    target = cells.permute(0, 2, 3, 4, 5, 1).reshape(2, 144, 27)
    error = (pred - target).square().mean(dim=-1)
    assert losses['loss_recon'].item() == pytest.approx(
        error.gather(1, order[:, 36:]).mean().item(), rel=1e-5
    )
    assert losses['loss_visible'].item() == pytest.approx(
        0.1 * error.gather(1, shown).mean().item(), rel=1e-5
    )


@pytest.mark.parametrize(
    ('recipe', 'images', 'base'), [(PRETRAIN, 512, 1.5e-4), (SCRATCH, 256, 1e-3)]
)
@pytest.mark.parametrize('data', ['cifar10', 'cifar100'])
def test_every_parameter_learns_at_the_rate_of_the_batch(recipe, images, base, data):
    """At full size, from images that went through the recipe's own pipeline."""
    cfg = read(recipe.format(data))
    assert cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == images
    assert cfg.optim_wrapper.optimizer.lr == pytest.approx(base * images / 256)
    assert cfg.param_scheduler[-1].end == cfg.train_cfg.max_epochs
    model = build(recipe.format(data)).train()
    pipeline = Compose(cfg.train_dataloader.dataset.pipeline)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    samples = [pipeline(dict(img=img, gt_label=label)) for label, img in enumerate(pixels)]
    batch = model.data_preprocessor(default_collate(samples), True)
    assert batch['inputs'].shape == (2, 3, 36, 36)
    model.parse_losses(model(**batch, mode='loss'))[0].backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_stage_1_goes_into_stage_2(tmp_path, monkeypatch, capsys):
    """An epoch by the commands: every weight of the encoder is taken, the classifier is new."""
    assert make_cifar.main(['--out', str(tmp_path), '--train', '20', '--test', '10']) == 0
    loader = (f'dataset.data_root={tmp_path}', 'num_workers=0', 'persistent_workers=False')
    options = [f'train_dataloader.{option}' for option in (*loader, 'batch_size=6')]
    config = CONFIGS / f'{PRETRAIN.format("cifar10")}_shapes.py'
    args = ('--work-dir', tmp_path / 'mae', '--cfg-options', 'train_cfg.max_epochs=1', *options)
    assert run_tool('train', config, *args) == 0
    file = tmp_path / 'mae/epoch_1.pth'
    checkpoint = torch.load(file, weights_only=True)
    given = {k: v for k, v in checkpoint['state_dict'].items() if k.startswith('backbone.')}
    cfg = read(FINE_TUNE.format('cifar10') + '_shapes')
    cfg.model.backbone.init_cfg.checkpoint = str(file)
    model = MODELS.build(cfg.model)
    model.init_weights()
    own = model.state_dict()
    assert {k for k in own if k not in given} == {'head.fc.weight', 'head.fc.bias'}
    for key, tensor in given.items():
        assert torch.equal(own[key], tensor), key
    assert checkpoint['meta']['backbone']['num_heads'] == 6

    # the same encoder, frozen, under a k-NN classifier
    seen = {}
    monkeypatch.setattr(knn, 'vote', lambda *given: seen.update(given=given) or given[2][:10])
    data = [f'{part}_dataloader.{option}' for part in ('train', 'test') for option in loader]
    config = CONFIGS / f'{SCRATCH.format("cifar10")}_shapes.py'
    assert knn.main([str(config), str(file), '--k', '3', '--cfg-options', *data]) == 0
    queries, bank, labels, k = seen['given']
    assert (len(bank), len(labels), k) == (20, 20, 3)
    images = DATASETS.build(dict(cfg.test_dataloader.dataset, data_root=str(tmp_path)))
    batch = default_collate([images[index] for index in range(10)])
    with torch.no_grad():
        wanted = model.eval().backbone(model.data_preprocessor(batch, False)['inputs'])[0]
    torch.testing.assert_close(queries, wanted)
    assert 'k = 3: top-1' in capsys.readouterr().out


@pytest.mark.parametrize('temperature', [0.07, 10.0])  # the nearest decides, the majority decides
def test_neighbors_vote_by_their_cosine(temperature):
    generator = torch.Generator().manual_seed(0)
    bank, labels = torch.randn(30, 4, generator=generator), torch.arange(30) % 3
    queries = torch.randn(12, 4, generator=generator)
    wanted = []
    for query in queries:
        cosines = torch.cosine_similarity(query[None], bank)
        votes = [0.0, 0.0, 0.0]
        for index in cosines.argsort(descending=True)[:5].tolist():
            votes[labels[index]] += math.exp(cosines[index] / temperature)
        wanted.append(votes.index(max(votes)))
    assert knn.vote(3 * queries, bank, labels, 5, temperature).tolist() == wanted


def test_the_frozen_encoder_trains_one_layer():
    model = build('vit-cifar_linear_1xb256-amp-coslr-100e_cifar10-36px')
    learns = [name for name, p in model.named_parameters() if p.requires_grad]
    assert learns == ['head.fc.weight', 'head.fc.bias']
