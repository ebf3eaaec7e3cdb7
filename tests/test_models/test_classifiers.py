"""The classification recipes: golden values, layer-wise rates, what is loaded and what learns."""

import copy
import math
import re
from pathlib import Path

import golden
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import set_random_seed
from mmpretrain.structures import DataSample
from task_recipes import (
    optim_wrapper,
    scheduled,
    settings,
    step,
    without_gradient,
)
from tiny_pretrain import save_backbone

from mmlite.registry import MODELS

CONFIGS = Path(__file__).parents[2] / 'configs'
RECIPE = '8xb128-coslr-300e_in1k'
CLOSE = dict(rtol=1e-4, atol=1e-5)
CHECKPOINT = 'model.backbone.init_cfg.checkpoint'
INITS = sorted(path.stem for path in (CONFIGS / 'cls').glob('*-init_*.py'))
PRETRAINED = [name for name in INITS if 'supervised' not in name]

VIT = {
    'model.backbone.arch': dict(_delete_=True, embed_dims=24, num_layers=2, num_heads=3),
    'model.backbone.img_size': 64,
    'model.backbone.drop_path_rate': 0.0,
    'model.head.in_channels': 24,
    'model.head.num_classes': 5,
    'model.data_preprocessor.num_classes': 5,
}
HIERA = VIT | {
    'model.backbone.arch': dict(_delete_=True, embed_dims=8, num_layers=(1, 1, 2, 1), num_heads=1),
    'model.head.in_channels': 64,
}


def read(name, options=None, folder='cls'):
    name = name if re.search(r'xb\d+-', name) else f'{name}_{RECIPE}'
    cfg = Config.fromfile(CONFIGS / folder / f'{name}.py')
    cfg.merge_from_dict(copy.deepcopy(options or {}))
    init_default_scope(cfg.default_scope)
    return cfg


def build(*args, **kwargs):
    torch.manual_seed(0)
    return MODELS.build(read(*args, **kwargs).model)


# ---- the model -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('name', 'official', 'head'),
    [('vit-tiny-rpe', 'vit_tiny_rpe', 'head.'), ('hiera-tiny', 'hiera_tiny', 'head.projection.')],
)
def test_logits_are_those_of_the_official_model(name, official, head):
    """Golden weights in the model that the recipe builds; every weight has its place."""
    model = build(name, options={'model.head.num_classes': 10}).eval()
    state = {
        f'head.fc.{key[len(head) :]}' if key.startswith(head) else f'backbone.{key}': value
        for key, value in golden.weights(official).items()
    }
    model.load_state_dict(state)
    with torch.no_grad():
        logits = model(golden.images(224))
    logits = logits.softmax(-1) if name == 'hiera-tiny' else logits
    torch.testing.assert_close(logits, golden.tensors(official)['logits'], **CLOSE)


def test_initialisation_of_the_head_and_of_tables():
    """timm's 0.02; BEiT's and Hiera's heads are a thousand times smaller."""
    for name, std, bias in (
        ('vit-tiny', 0.02, 0),
        ('vit-tiny-rpe', 2e-5, 0),
        ('hiera-tiny', 2e-5, 2e-5),
    ):
        model = build(name)
        model.init_weights()
        assert model.head.fc.weight.std().item() == pytest.approx(std, rel=0.02)
        assert torch.equal(model.head.fc.bias, torch.full_like(model.head.fc.bias, bias))
        if 'vit' not in name:
            continue
        blocks = model.backbone.blocks
        spread = [block.attn.proj.weight.std().item() for block in blocks]
        rpe = name.endswith('rpe')
        want = [0.02 / (2 * depth) ** 0.5 if rpe else 0.02 for depth in range(1, 13)]
        assert spread == pytest.approx(want, rel=0.03)
        tables = [block.attn.relative_position_bias_table for block in blocks if rpe]
        assert len({id(table) for table in tables}) == 12 * rpe
        assert all(table.shape == (732, 12) and not table.any() for table in tables)


# ---- layer-wise rates and weight decay ---------------------------------------------------------

RATES = {  # of a layer of id 0, where the sheet of the recipes has it
    'vit-tiny': 1.0,
    'vit-tiny_mae-init': 0.85**13,
    'vit-tiny_d2-mae-init': 0.85**13,
    'vit-tiny_mocov3-init': 0.75**13,
    'vit-small_mae-init': 0.75**13,
    'hiera-tiny_mae-init': 0.85**13,
    'swin-1g_d2-simmim-init': 0.85**13,
    'vit-tiny-rpe_d2-mae-init_8xb128-coslr-1000e_in1k': 0.85**13,
}


@pytest.mark.parametrize(('name', 'lowest'), RATES.items(), ids=RATES)
def test_layers_learn_at_decaying_rates(name, lowest):
    """Embeddings are layer 0, block i (from 0) i + 1, norm and head 13; 4e-3 at 1024 images."""
    decay = lowest ** (1 / 13)
    cfg = read(name)
    rates = {k: lr / 4e-3 for k, (lr, _) in settings(cfg, MODELS.build(cfg.model)).items()}
    for key, rate in rates.items():
        part = key.removeprefix('backbone.').split('.')
        layer = int(part[1]) + 1 if part[0] == 'blocks' else 13
        layer = 0 if part[0] in ('cls_token', 'pos_embed', 'patch_embed') else layer
        assert rate == pytest.approx(decay ** (13 - layer)), key
    ends = ('norm', 'fc_norm')['vit' in name], 'head.fc'
    assert {rates[f'backbone.{ends[0]}.weight'], rates[f'{ends[1]}.bias']} == {1.0}


@pytest.mark.parametrize('name', ['vit-tiny-rpe', 'hiera-tiny'])
def test_what_is_not_decayed(name):
    """Flat parameters, positions and class token; relative position tables are decayed."""
    model = build(name)
    decays = {key: decay for key, (_, decay) in settings(read(name), model).items()}
    shapes = {key: value.ndim for key, value in model.named_parameters()}
    assert decays.keys() == shapes.keys()
    for key, decay in decays.items():
        exempt = shapes[key] == 1 or key in ('backbone.pos_embed', 'backbone.cls_token')
        assert decay == (0.0 if exempt else 0.05), key
    if name == 'vit-tiny-rpe':
        assert decays['backbone.blocks.3.attn.relative_position_bias_table'] == 0.05


def test_rates_over_the_schedule(epochs=300):
    """From 0 over 5 epochs, then a cosine to 1e-6, and to the same share in lower layers."""
    cfg = read(f'vit-tiny_8xb128-coslr-{epochs}e_in1k')
    steps = 2  # an epoch; 1251 in truth
    parameters = [dict(params=[torch.zeros(1, requires_grad=True)], lr=lr) for lr in (4e-3, 4e-4)]
    groups = scheduled(cfg, torch.optim.SGD(parameters), steps)
    rates = [[group['lr'] for group in each] for each in groups]
    assert len(rates) == epochs * steps
    assert rates[0][0] == pytest.approx(4e-9)
    assert max(rates)[0] == pytest.approx(4e-3, rel=1e-3)
    assert rates.index(max(rates)) == pytest.approx(5 * steps, abs=1)
    middle = (5 + epochs) // 2 * steps
    assert rates[middle][0] == pytest.approx(2e-3, rel=0.02)
    assert rates[-1][0] == pytest.approx(1e-6, rel=0.1)
    assert all(low == pytest.approx(high / 10) for high, low in rates)


def test_transfers_end_at_one_rate():
    """1e-6 at every learning rate of Table S2, and the same share of it in lower layers."""
    cfg = read('vit-tiny_1xb512-amp-coslr-50e_cifar100')
    for lr in (0.03, 0.3):
        parameters = [dict(params=[torch.zeros(1, requires_grad=True)], lr=lr / k) for k in (1, 10)]
        optimizer = torch.optim.SGD(parameters)
        rates = [group[0]['lr'] for group in scheduled(cfg, optimizer, 2)]
        assert rates[0] == pytest.approx(1e-6 * lr)
        assert max(rates) == pytest.approx(lr, rel=0.01)
        left = (1 + math.cos(math.pi * 79 / 80)) / 2  # one of 80 iterations before the end
        last = (lr - 1e-6) * left + 1e-6
        got = [group['lr'] for group in optimizer.param_groups]
        assert got == pytest.approx([last, last / 10], rel=1e-3)


# ---- pre-trained weights -----------------------------------------------------------------------


@pytest.mark.parametrize('name', PRETRAINED)
def test_weights_of_every_method_have_their_place(name, tmp_path):
    """Each leaf takes the encoder of its method's recipe whole, save for the norm behind it."""
    size, method = re.match(r'(\w+-\w+?)(?:-rpe)?_([\w-]+)-init_', name).groups()
    (recipe,) = (CONFIGS / 'pretrain' / method).glob(f'{method}_{size}_8xb???-amp-*-400e_in1k.py')
    given, cfg = Config.fromfile(recipe).model, read(name)
    assert cfg.checkpoint == f'checkpoints/{method}_{size}_400e_in1k.pth'
    assert cfg.model.backbone.arch == given.backbone.arch
    if method != 'bootmae':  # fine-tuned with ImageNet's statistics: MAE-Lite's transfer.sh
        assert cfg.model.data_preprocessor.mean == given.data_preprocessor.mean
        assert cfg.model.data_preprocessor.std == given.data_preprocessor.std
    small = VIT if size.startswith('vit') else HIERA
    given.backbone.update(arch=small['model.backbone.arch'], img_size=64)
    given.backbone.arch.pop('_delete_')
    torch.manual_seed(1)
    source = MODELS.build(given.backbone)
    path = save_backbone(tmp_path / 'a.pth', source)
    ours = build(name, options=small | {CHECKPOINT: str(path)}).backbone
    ours.init_weights()
    theirs, taken = source.state_dict(), ours.state_dict()
    fresh = {f'{ours.norm_name}.{part}' for part in ('weight', 'bias')}
    fresh |= {k for k in taken.keys() - theirs if k.endswith('relative_position_bias_table')}
    assert taken.keys() - fresh == theirs.keys() - {'norm.weight', 'norm.bias', 'mask_token'}
    for key in taken.keys() - fresh:
        assert torch.equal(taken[key], theirs[key]), key
    assert len(fresh) == (4 if 'rpe' in name else 2)
    norm = getattr(ours, ours.norm_name)
    assert torch.equal(norm.weight, torch.ones_like(norm.weight))
    assert size == 'swin-1g' or ours.pos_embed.requires_grad


def test_a_classifier_gives_all_that_it_has_to_the_next_fine_tuning(tmp_path):
    source = build('vit-tiny', options=VIT)
    path = save_backbone(tmp_path / 'a.pth', source.backbone)
    model = build('vit-tiny_supervised-init', options=VIT | {CHECKPOINT: str(path)})
    model.init_weights()
    for key, value in source.backbone.state_dict().items():
        assert torch.equal(model.backbone.state_dict()[key], value), key
    assert not torch.equal(model.head.fc.weight, source.head.fc.weight)


def test_the_leaf_of_1000_epochs_makes_the_checkpoint_of_semantic_fpn():
    semfpn = 'semfpn_vit-tiny_d2-mae-rpe-init_8xb2-amp-160k_ade20k-512x512'
    named = read(semfpn, folder='seg').checkpoint
    leaf = 'vit-tiny-rpe_d2-mae-init_8xb128-coslr-1000e_in1k'
    readme = ' '.join((CONFIGS / 'cls' / 'README.md').read_text().split())
    assert f'cp work_dirs/{leaf}/epoch_{read(leaf).train_cfg.max_epochs}.pth \\ {named}' in readme


# ---- training ----------------------------------------------------------------------------------

LINEAR = {'model.neck.input_features': 24}
FAMILIES = {
    'vit-tiny': VIT,
    'vit-tiny-rpe': VIT,
    'hiera-tiny': HIERA,
    'swin-1g': HIERA,
    'vit-tiny_deit-recipe': VIT | {'model.head.loss.num_classes': 5},
    'vit-tiny_1xb512-amp-coslr-250e_flowers102': VIT,
    'vit-tiny_8xb512-amp-coslr-300e_in21k': VIT,
    'vit-tiny_linear_8xb2048-amp-coslr-90e_in1k': VIT | LINEAR,
    'vit-tiny_linear_1xb512-amp-coslr-100e_pets': VIT | LINEAR,
}


def batch(size=64, classes=5, count=10):
    """Noise of a color of its class, as the loader gives it."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % classes
    noise = torch.randint(0, 100, (count, 3, size, size), generator=generator)
    images = (noise + 30 * labels[:, None, None, None]).to(torch.uint8)
    return dict(inputs=images, data_samples=[DataSample().set_gt_label(int(k)) for k in labels])


@pytest.mark.parametrize(('name', 'small'), FAMILIES.items(), ids=FAMILIES)
def test_a_few_steps(name, small):
    """All that is to learn has a gradient, the loss falls, and a class is predicted."""
    set_random_seed(0)  # NumPy too, which mixes the labels
    cfg = read(name, options=small)
    model = MODELS.build(cfg.model)
    model.init_weights()
    data = batch()
    first = step(model, data)['loss']
    assert without_gradient(model) == []
    wrapper = optim_wrapper(cfg, model)
    for group in wrapper.optimizer.param_groups:
        group['lr'] = {'AdamW': 3e-3, 'SGD': 0.1, 'LARS': 50.0}[cfg.optim_wrapper.optimizer.type]
    losses = []
    for _ in range(16):
        wrapper.optimizer.step()
        losses.append(step(model, data)['loss'])
    assert sum(losses[-5:]) / 5 < 0.9 * first  # mixed batches make it uneven
    model.eval()
    with torch.no_grad():
        samples = model(**model.data_preprocessor(data, False), mode='predict')
    assert all(0 <= sample.pred_label.item() < 5 for sample in samples)
    assert samples[0].pred_score.sum() == pytest.approx(1)


def test_pre_training_on_imagenet_21k_sums_a_sigmoid_over_classes():
    """At first every class has the probability of a logit of -10: a loss of 10 for the true one."""
    cfg = read('vit-tiny_8xb512-amp-coslr-300e_in21k', options=VIT)
    model = MODELS.build(cfg.model)
    model.init_weights()
    wanted = math.log1p(math.exp(10)) + 4 * math.log1p(math.exp(-10))
    assert step(model, batch())['loss'] == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize('out_type', ['avg_featmap', 'cls_token'])
def test_a_linear_probe_trains_only_its_head(out_type):
    """Nothing else moves but the statistics of the features; no graph is kept of the encoder."""
    name = 'vit-tiny_linear_8xb2048-amp-coslr-90e_in1k'
    cfg = read(name, options=VIT | LINEAR | {'model.backbone.out_type': out_type})
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    before = copy.deepcopy(model.state_dict())
    assert set(settings(cfg, model)) == {'head.fc.bias', 'head.fc.weight'}
    wrapper = optim_wrapper(cfg, model)
    for _ in range(2):
        step(model, batch())
        wrapper.optimizer.step()
    moved = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    statistics = {'neck.bn.running_mean', 'neck.bn.running_var', 'neck.bn.num_batches_tracked'}
    assert moved == {'head.fc.bias', 'head.fc.weight'} | statistics
    assert model.neck.bn.weight is None
    features = model.neck(model.backbone(torch.randn(4, 3, 64, 64)))
    assert not features[0].requires_grad
