"""Layer analysis as commands: tables, arrays and figures of small models, and mistakes."""

import csv

import cv2
import numpy as np
import pytest
import tiny_pretrain
import torch
from run_tool import run_tool

from mmlite.analysis.attention import measure_attention, units
from mmlite.analysis.cka import compare_models
from mmlite.analysis.inputs import ModelSource, build_model, open_images
from mmlite.models import Hiera, ViT

VIT = dict(arch=dict(embed_dims=24, num_layers=2, num_heads=3), img_size=32, patch_size=8)
HIERA = dict(
    arch=dict(embed_dims=8, num_layers=(1, 1, 2, 1), num_heads=1), img_size=64, out_type='raw'
)
TO_HIERA = f"model['backbone'] = dict(type='mmlite.Hiera', **{HIERA!r})\n"


def save(path, backbone):
    """A checkpoint with weights that are far from their start."""
    torch.manual_seed(len(path.name))
    for parameter in backbone.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    tiny_pretrain.save_backbone(path, backbone)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """Eight images of two classes in ``train/``, two recipes and their checkpoints."""
    root = tmp_path_factory.mktemp('layers')
    tiny_pretrain.write_images(root, 8)
    config = tiny_pretrain.write_recipe(root, images=False)
    (root / 'hiera.py').write_text(config.read_text() + TO_HIERA)
    (root / 'windows.py').write_text(
        config.read_text() + "model['backbone'].update(window_size=2, with_cls_token=False)\n"
    )
    (root / 'cnn.py').write_text(
        config.read_text() + "model['backbone'] = dict(type='ResNet', depth=18)\n"
    )
    save(root / 'mae.pth', ViT(**VIT, out_type='raw'))
    save(root / 'hiera.pth', Hiera(**HIERA))
    return root


def run(tool, root, *args):
    """Run a tool on the CPU, ``{root}`` filled in; returns its exit code."""
    args = [str(arg).format(root=root) for arg in args]
    return run_tool(f'analysis_tools/{tool}', *args, '--device', 'cpu', '--workers', '0')


MODELS = ('MAE={root}/mae.py:{root}/mae.pth', 'Hi era={root}/hiera.py:{root}/hiera.pth')
DATA = ('--data', '{root}/train', '--num-images', 8, '--batch-size', 4, '--image-size', 64)


def models_of(root):
    return [build_model(ModelSource.parse(text.format(root=root))) for text in MODELS]


def batches_of(root):
    """All images as they come, as ``--official-sampling`` takes them."""
    images = open_images(root / 'train', 64)
    return torch.stack([images[index] for index in range(8)]).split(4)


def read(file):
    return list(csv.DictReader(file.open()))


def test_similarity_of_two_models(root, tmp_path, capsys):
    options = (*DATA, '--official-sampling', '--out', tmp_path / 'out')
    pair = ('--reference', MODELS[0], '--models', MODELS[1])
    assert run('compare_layers', root, *pair, *options) == 0
    assert 'cka.png: 8 images of 64 pixels' in capsys.readouterr().out
    models = models_of(root)
    want = [m.value() for m in compare_models(models[0], models, batches_of(root))]
    rows = read(tmp_path / 'out' / 'cka.csv')
    for name, file, values in zip(('MAE', 'Hi era'), ('MAE', 'Hi_era'), want, strict=True):
        np.testing.assert_allclose(np.load(tmp_path / 'out' / f'cka_{file}.npy'), values)
        own = [row for row in rows if row['model'] == name]
        table = np.array([float(row['cka']) for row in own]).reshape(values.shape)
        np.testing.assert_allclose(table, values, atol=1e-6)
        assert own[1] == own[1] | dict(layer='0', reference='MAE', reference_layer='1')
    picture = cv2.imread(str(tmp_path / 'out' / 'cka.png'))
    assert picture.shape[1] > 1.5 * picture.shape[0]  # the reference itself, too


def test_layers_without_similarity_are_explained(root, tmp_path, capsys):
    """Where all images are the same."""
    for number in range(4):
        cv2.imwrite(str(tmp_path / f'{number}.png'), np.full((32, 32, 3), 77, np.uint8))
    model = MODELS[0]
    options = ('--data', tmp_path, '--num-images', 4, '--batch-size', 4, '--out', tmp_path)
    other = model.replace('MAE=', 'again=')
    assert run('compare_layers', root, '--reference', model, '--models', other, *options) == 0
    out = capsys.readouterr().out
    assert out.count('MAE: no similarity of layers 0, 1, 2 (nan)') == 1
    assert {row['cka'] for row in read(tmp_path / 'cka.csv')} == {''}
    assert np.isnan(np.load(tmp_path / 'cka_again.npy')).all()


def test_attention_of_two_models(root, tmp_path, capsys):
    options = (*DATA, '--official-sampling', '--unit', 'paper', '--out', tmp_path)
    image = root / 'train' / 'class_0' / '0.png'
    maps = ('--map-image', image, '--map-query', 5, 60, '--map-head', 2)
    assert run('attention_stats', root, '--models', *MODELS, *options, *maps) == 0
    assert 'maps.png: head 2, from (5, 60)' in capsys.readouterr().out
    vit, hiera = want = measure_attention(models_of(root), batches_of(root))
    rows = read(tmp_path / 'attention.csv')
    assert len(rows) == 2 * 3 + 4 + 8
    for row in rows:
        is_hiera = row['model'] == 'Hi era'
        distance, entropy = want[is_hiera][int(row['block']) - 1][:, int(row['head']) - 1]
        for unit, factor in units(16 if is_hiera else 8).items():
            assert float(row[f'distance_{unit}']) == pytest.approx(factor * distance, abs=1e-5)
        assert float(row['entropy']) == pytest.approx(entropy, abs=1e-6)
    found = np.load(tmp_path / 'entropy_MAE.npy')
    np.testing.assert_allclose(found, [vit[block][1] for block in range(2)])
    found = np.load(tmp_path / 'distance_Hi_era.npy')
    assert found.shape == (5, 8) and np.isnan(found[:3]).all() and np.isnan(found[3, 4:]).all()
    np.testing.assert_allclose(found[4], hiera[4][0] / 16)
    for name in ('attention.png', 'maps.png'):
        assert cv2.imread(str(tmp_path / name)).std() > 10


def test_maps_alone_need_no_data(root, tmp_path):
    image = root / 'train' / 'class_1' / '1.png'
    options = ('--num-images', 0, '--map-image', image, '--out', tmp_path)
    assert run('attention_stats', root, '--models', MODELS[0], *options) == 0
    assert [path.name for path in tmp_path.iterdir()] == ['maps.png']


ONE = ('--models', MODELS[0], *DATA)


@pytest.mark.parametrize(
    ('name', 'args', 'code', 'message'),
    [
        ('compare_layers', (*ONE, '--num-images', 12), 2, '--num-images must be <= 8'),
        ('compare_layers', (*ONE, '--num-images', 3), 2, 'make a batch of 3, but CKA requires >='),
        ('compare_layers', (*ONE, '--batch-size', 3), 2, 'make a batch of 2, but CKA requires >='),
        ('attention_stats', ONE[:2], 2, 'mae.py has no validation data'),
        ('compare_layers', (*ONE, '--image-size', 60), 2, 'squares of 8 pixels, into which 60x60'),
        ('attention_stats', (*ONE, '--models', '{root}/mae.py:{root}/none.pth'), 1, 'none.pth'),
        ('compare_layers', (*ONE, '--models', '{root}/mae.py:{root}/hiera.pth'), 1, 'type=mmlite.'),
        ('attention_stats', (*ONE, '--models', '{root}/cnn.py'), 2, 'layers of ResNet cannot be r'),
        (
            'attention_stats',
            (*ONE, '--models', 'timm:resnet18'),
            2,
            "'resnet18' is a ResNet, which T",
        ),
        ('attention_stats', (*ONE, '--models', 'x='), 2, "'x=' is not a model; expected NAME=CON"),
        ('attention_stats', ('--models', *ONE[1:2], *ONE[1:]), 2, "two models are called 'MAE'"),
        ('attention_stats', (*ONE, '--models', '{root}/windows.py'), 2, 'attends inside windows o'),
        ('attention_stats', (*ONE, '--num-images', 0), 2, '--num-images 0 draws maps only'),
        ('attention_stats', (*ONE, '--map-head', 1), 2, '--map-head needs --map-image'),
        (
            'attention_stats',
            (*ONE, '--map-image', '{root}/train/class_0/0.png', '--map-query', 64, 0),
            2,
            'the query (64, 0) lies outside the image of 64x64 pixels',
        ),
    ],
)
def test_mistakes_are_one_sentence(name, args, code, message, root, tmp_path, capsys):
    reference = ('--reference', 'r={root}/mae.py') if name == 'compare_layers' else ()
    assert run(name, root, *reference, *args, '--out', tmp_path) == code
    err = capsys.readouterr().err
    assert message in err and err.count('\n') == 1
