"""--epochs, --iters and --image-size: one number each, everything that follows from it."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from run_tool import run_tool

from mmlite.engine.overrides import set_image_size, set_length
from mmlite.errors import UserError
from mmlite.registry import MODELS
from mmlite.utils.paths import suite_path


def read(path):
    return Config.fromfile(suite_path('configs', path))


DET = 'det/mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px.py'
MAE = 'pretrain/mae/mae_vit-tiny_8xb512-amp-coslr-400e_in1k.py'
SEG = 'seg/semfpn_vit-tiny_8xb2-amp-160k_ade20k-512x512.py'
CLS = 'cls/vit-tiny_8xb128-coslr-300e_in1k.py'
TRACK = 'track/ostrack_vit-tiny-ce_4xb32-300e_sot-256px.py'


def spans(cfg):
    return [(s.get('begin', 0), s.get('end')) for s in cfg.param_scheduler]


@pytest.mark.parametrize(
    'path, unit, length, expected',
    [
        (MAE, 'epochs', 60, [(0, 6), (6, 60)]),  # 40 of 400 stay a tenth
        (MAE, 'epochs', 1600, [(0, 40), (40, 1600)]),  # longer: the warm-up stays
        (MAE, 'epochs', 1, [(0, 1)]),  # no room for a warm-up
        (DET, 'iters', 20_000, [(0, 250), (0, 20_000)]),
        (DET, 'iters', 100, [(0, 10), (0, 100)]),  # 250 would be longer than the training
        (SEG, 'iters', 40_000, [(0, 1500), (1500, 40_000)]),
        (CLS, 'epochs', 100, [(0, 5), (5, 100)]),
        (CLS, 'epochs', 3, [(0, 1), (1, 3)]),
    ],
)
def test_schedules_follow_the_length(path, unit, length, expected):
    cfg = read(path)
    set_length(cfg, unit, length)
    assert spans(cfg) == expected
    assert cfg.train_cfg[f'max_{unit}'] == cfg[f'max_{unit}'] == length


def test_milestones_and_hooks_keep_their_share():
    cfg = read(DET)
    set_length(cfg, 'iters', 27_000)
    assert cfg.param_scheduler[1].milestones == [24_000, 26_000]
    cfg = read(TRACK)
    set_length(cfg, 'epochs', 30)
    assert cfg.param_scheduler[0].milestones == [24]
    hook = cfg.custom_hooks[-1]
    assert (hook.start_epoch, hook.warm_epochs) == (2, 8)


@pytest.mark.parametrize('path, unit', [(DET, 'epochs'), (MAE, 'iters')])
def test_the_other_unit_is_named(path, unit):
    with pytest.raises(UserError, match='use --(iters|epochs)'):
        set_length(read(path), unit, 3)


def changes(before, after, prefix=''):
    """Keys whose values differ, with both values."""
    if type(before) is not type(after) or not isinstance(before, (dict, list, tuple)):
        return {} if before == after else {prefix[1:]: (before, after)}
    keys = before.keys() if isinstance(before, dict) else range(len(before))
    return {
        path: values
        for key in keys
        for path, values in changes(before[key], after[key], f'{prefix}.{key}').items()
    }


SIZES = [
    (DET, 320, """
        model.data_preprocessor.pad_size_divisor 640 320
        model.backbone.img_size 640 320
        model.backbone.window_size 14 7
        train_dataloader.dataset.pipeline.3.scale.0 640 320
        train_dataloader.dataset.pipeline.4.crop_size.1 640 320
        val_dataloader.dataset.pipeline.1.scale.0 640 320"""),
    (SEG, 256, """
        model.data_preprocessor.size.0 512 256
        model.data_preprocessor.test_cfg.size.1 512 256
        model.backbone.img_size 512 256
        model.test_cfg.crop_size.0 512 256
        model.test_cfg.stride.0 341 170
        train_dataloader.dataset.pipeline.2.scale.0 2048 1024
        train_dataloader.dataset.pipeline.3.crop_size.0 512 256"""),
    (CLS, 448, """
        model.backbone.img_size 224 448
        train_dataloader.dataset.pipeline.1.scale 224 448
        val_dataloader.dataset.pipeline.1.scale 256 512
        val_dataloader.dataset.pipeline.2.crop_size 224 448"""),
    (MAE, 96, 'model.backbone.img_size 224 96\n model.neck.grid 14 6'),
    (TRACK, 128, """
        model.template_size 128 64
        model.search_size 256 128
        train_dataloader.dataset.pipeline.0.template.size 128 64
        train_dataloader.dataset.pipeline.0.search.size 256 128"""),
]  # fmt: skip


@pytest.mark.parametrize('path, size, rows', SIZES)
def test_everything_follows_the_image_size(path, size, rows):
    rows = [row.split() for row in rows.strip().split('\n')]
    expected = {key: (int(old), int(new)) for key, old, new in rows}
    before, cfg = read(path), read(path)
    set_image_size(cfg, size)
    found = changes(before.to_dict(), cfg.to_dict())
    assert expected.items() <= found.items()
    ratio = max(new / old for old, new in expected.values())
    for key, (old, new) in found.items():  # nothing else than sizes
        assert new == round(old * ratio) or 'stride' in key or 'scale' in key, key
    size = 'pretrain_img_size'
    assert before.model.backbone.get(size) == cfg.model.backbone.get(size)
    init_default_scope(cfg.default_scope)
    with torch.device('meta'):
        MODELS.build(cfg.model)


@pytest.mark.parametrize(
    'path, size',
    [(DET, 300), ('det/mask-rcnn_hiera-tiny-fpn_8xb8-amp-lsj-100e_coco-640px.py', 336)],
)
def test_sizes_that_cut_patches_are_refused(path, size):
    with pytest.raises(UserError, match=r'must be a multiple of (16|32) \(got \d+\)'):
        set_image_size(read(path), size)


def test_options_of_the_command_line(capsys):
    """Explicit settings win over what follows from the three options."""
    config = str(suite_path('configs', SEG))
    options = '--image-size 256 --iters 800 --cfg-options model.test_cfg.stride=[99,99]'
    assert run_tool('analysis_tools/print_config', config, *options.split()) == 0
    cfg = Config.fromstring(capsys.readouterr().out, '.py')
    assert (cfg.model.backbone.img_size, cfg.train_cfg.max_iters) == (256, 800)
    assert list(cfg.model.test_cfg.stride) == [99, 99]
    assert spans(cfg) == [(0, 80), (80, 800)]
    assert run_tool('analysis_tools/print_config', 'mmlite::absent/x.py') == 2
    assert 'config not found' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run_tool('train', config, '--iters', 0)
    assert 'argument --iters: must be an integer >= 1 (got 0)' in capsys.readouterr().err
