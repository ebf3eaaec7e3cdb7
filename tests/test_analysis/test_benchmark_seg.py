"""Benchmark of segmentation models: fair opponents, turns, and what is written."""

import csv
import runpy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmlite.registry import MODELS

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / 'configs/seg/semfpn_vit-tiny_8xb2-amp-160k_ade20k-512x512.py'
OPPONENTS = [ROOT / f'benchmarks/semfpn_{name}.py' for name in ('vit-tiny-plain', 'mmseg-vit-tiny')]
main = runpy.run_path(str(ROOT / 'tools/analysis_tools/benchmark_seg.py'))['main']
tool = main.__wrapped__.__globals__

TINY = """
_base_ = '{recipe}'
size = (64, 64)
model = dict(
    data_preprocessor=dict(size=size, test_cfg=dict(size=size)),
    backbone=dict(arch=dict(_delete_=True, embed_dims=24, num_layers={depth}, num_heads=3),
                  img_size=64, out_indices=(0, 0, 1, 1)),
    neck=dict(embed_dim=24, out_channels=6),
    decode_head=dict(in_channels=[6, 6, 6, 6], channels=8, num_classes=5),
)
"""
OURS_TO_MMSEG = (
    ('blocks.', 'layers.'), ('.norm1', '.ln1'), ('.norm2', '.ln2'), ('mlp.fc1', 'ffn.layers.0.0'),
    ('mlp.fc2', 'ffn.layers.1'), ('attn.qkv.', 'attn.attn.in_proj_'),
    ('attn.proj', 'attn.attn.out_proj'), ('patch_embed.proj', 'patch_embed.projection'),
)  # fmt: skip


def backbone(path):
    cfg = Config.fromfile(path)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(dict(cfg.model.backbone, img_size=64))
    model.eval()  # returns nothing in mmseg
    return model


def test_the_opponent_is_the_same_network():
    """mmseg's ViT with the weights of ours gives the same four maps."""
    ours, theirs = (backbone(path) for path in OPPONENTS)
    state = {}
    for key, value in ours.state_dict().items():
        for old, new in OURS_TO_MMSEG:
            key = key.replace(old, new)
        state[key] = torch.nn.init.normal_(value, std=0.1)
    theirs.load_state_dict(state)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-4)
    released = backbone(RECIPE)
    shared = {k for k in released.state_dict() if 'bias_table' not in k and '.ls' not in k}
    assert shared == set(ours.state_dict())


@pytest.fixture
def configs(tmp_path):
    paths = [tmp_path / f'tiny-{depth}.py' for depth in (2, 3)]
    for path in paths:
        path.write_text(TINY.format(recipe=RECIPE, depth=path.stem[-1]))
    return paths


def run(*args):
    return main([str(arg) for arg in args])


def test_models_take_turns_and_medians_count(configs, tmp_path, capsys, monkeypatch):
    """Seconds of training and inference of the first and the second model, turn by turn."""
    seconds = iter([1, 2, 4, 5, 2, 4, 8, 5, 9, 9, 2, 5])
    calls = []

    def timed(step, steps, warmup, device):
        calls.append((step(), steps, warmup))
        return next(seconds)

    monkeypatch.setitem(tool, 'timed', timed)
    table = tmp_path / 'bench.csv'
    options = ('--device', 'cpu', '--amp', 'none', '--batch-size', 3, '--steps', 2, '--turns', 3)
    assert run(*configs, *options, '--csv', table) == 0
    assert [call[1:] for call in calls] == [(2, 1)] * 12
    for step in range(0, 12, 2):
        assert 1 < calls[step][0]['loss'].item() < 3  # near log(5): 5 classes, drawn at random
        assert calls[step + 1][0].shape == (3, 5, 16, 16)
    with table.open(newline='') as file:
        first, second = csv.DictReader(file)
    assert (first['config'], second['config']) == ('tiny-2', 'tiny-3')
    columns = ('train_images_per_s', 'inference_images_per_s')
    rates = [float(row[column]) for row in (first, second) for column in columns]
    assert rates == [3.0, 1.5, 1.5, 1.2]  # 2 steps of 3 images over medians 2, 4, 4, 5
    assert int(second['parameters']) - int(first['parameters']) > 10 * 24 * 24
    assert first['input'] == '64x64' and first['batch_size'] == '3' and first['precision'] == 'fp32'
    assert first['train_memory_gib'] == ''
    out = capsys.readouterr().out
    assert 'x1.00' in out and 'x0.50' in out and 'x0.80' in out and f'appended to {table}' in out


def test_weights_stay_as_they_are(configs):
    args = tool['parse_args']([str(configs[0]), '--device', 'cpu', '--amp', 'none', '--steps', '1'])
    init_default_scope('mmseg')
    contestant = tool['Contestant'](str(configs[0]), args, torch.device('cpu'))
    before = [p.detach().clone() for p in contestant.model.parameters()]
    contestant.take_turn()
    torch.testing.assert_close(before, list(contestant.model.parameters()), rtol=0, atol=0)
    assert len(contestant.optim_wrapper.optimizer.state) == len(before)  # the optimiser ran
    assert len(contestant.rates['train']) == len(contestant.rates['inference']) == 1


@pytest.mark.parametrize(
    ('config', 'args', 'message'),
    [
        (RECIPE, ('--turns', 0), '--turns is 0; give 1 or more'),
        (RECIPE, ('--amp', 'bf16', '--device', 'cpu'), 'bf16 training needs a GPU'),
        (
            ROOT / 'configs/det/mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px.py', (),
            'should be of a segmentation model',
        ),
    ],
)  # fmt: skip
def test_mistakes_are_one_sentence(config, args, message, capsys):
    assert run(config, *args) == 2
    err = capsys.readouterr().err
    assert err.startswith('error: ') and message in err and err.count('\n') == 1
