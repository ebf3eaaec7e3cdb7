"""Images of reconstructions: what each column shows, which weights are taken, mistakes."""

import cv2
import numpy as np
import pytest
import tiny_pretrain
import torch
from mmengine.config import Config
from mmengine.dataset import default_collate
from mmengine.registry import init_default_scope
from mmpretrain.structures import DataSample
from run_tool import run_tool
from torch import nn

from mmlite.analysis.reconstruction import (
    build_reconstructor,
    reconstruction_sheet,
    steady_pipeline,
)
from mmlite.errors import CheckpointError, UserError
from mmlite.models.pretrain.base import MaskedPretrainer, Reconstruction
from mmlite.registry import MODELS

SIDE = 160  # px of an image of 32 px, enlarged
GAP, HEADER = 4, 24
WIDTH = 3 * (SIDE + GAP) + GAP


def run(*args):
    return run_tool('analysis_tools/vis_reconstruction', *args)


def cell(sheet, row, column, scale=5):
    """The image at a place of a sheet, in its own pixels."""
    top, left = HEADER + row * (SIDE + GAP), GAP + column * (SIDE + GAP)
    return sheet[top : top + SIDE : scale, left : left + SIDE : scale]


def batch(count=2):
    """Packed square BGR images, as a loader gives them."""
    images = [tiny_pretrain.image(n, 32, 32) for n in range(count)]
    packed = [torch.from_numpy(image).permute(2, 0, 1) for image in images]
    return default_collate([dict(inputs=x, data_samples=DataSample()) for x in packed]), images


@pytest.fixture
def config(tmp_path):
    """The recipe and a checkpoint of it."""
    file = tiny_pretrain.write_recipe(tmp_path)
    save(file)
    return file


def save(config):
    """A checkpoint of the config's model."""
    init_default_scope('mmpretrain')
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(config).model)
    meta = dict(backbone=model.backbone.describe())
    torch.save(dict(meta=meta, state_dict=model.state_dict()), config.parent / 'epoch_1.pth')
    return config.parent / 'epoch_1.pth'


@MODELS.register_module(force=True)
class HalfHidden(MaskedPretrainer):
    """Hides a random half of the columns and paints them in one color; predicts the negative."""

    def __init__(self, data_preprocessor):
        super().__init__(nn.Identity(), data_preprocessor=data_preprocessor)

    def loss(self, inputs, data_samples):
        raise NotImplementedError

    def reconstruct(self, inputs, data_samples):
        self.mode_seen = self.training
        hidden = torch.rand(inputs.shape[-1]) < 0.5
        paint = torch.ones_like(inputs)
        masked, restored = (torch.where(hidden, fill, inputs) for fill in (0 * paint, paint))
        return Reconstruction(masked, restored, -inputs)


def test_columns_show_pixels_as_they_are():
    init_default_scope('mmpretrain')
    cfg = dict(type='SelfSupDataPreprocessor', mean=[100, 120, 140], std=[50, 60, 70], to_rgb=True)
    model = HalfHidden(cfg)
    packed, images = batch()
    state = torch.get_rng_state()
    model.train()
    sheet = reconstruction_sheet(model, packed, seed=3)
    assert sheet.dtype == np.uint8
    assert sheet.shape == (HEADER + 2 * (SIDE + GAP), WIDTH + SIDE + GAP, 3)
    torch.manual_seed(3)
    hidden = (torch.rand(32) < 0.5).numpy()
    for row, image in enumerate(images):
        rgb = image[..., ::-1]
        original, masked, restored, target = (cell(sheet, row, c) for c in range(4))
        np.testing.assert_array_equal(original, rgb)
        for column, color in ((masked, (100, 120, 140)), (restored, (150, 180, 210))):
            np.testing.assert_array_equal(column, np.where(hidden[None, :, None], color, rgb))
        negative = np.clip(2 * np.array([100, 120, 140]) - rgb.astype(int), 0, 255)
        np.testing.assert_array_equal(target, negative)
    assert (model.training, model.mode_seen) == (True, False)
    torch.set_rng_state(state)
    before = torch.get_rng_state()
    again = reconstruction_sheet(model, packed, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(again, sheet)
    assert (reconstruction_sheet(model, packed, seed=4) != sheet).any()
    model = HalfHidden(dict(type='SelfSupDataPreprocessor'))  # BGR, not normalized
    np.testing.assert_array_equal(
        cell(reconstruction_sheet(model, packed), 0, 0), images[0][..., ::-1]
    )


def test_a_real_mae_shows_what_it_sees(config):
    cfg = Config.fromfile(config)
    init_default_scope('mmpretrain')
    model = build_reconstructor(cfg, config.parent / 'epoch_1.pth')
    packed, images = batch()
    sheet = reconstruction_sheet(model, packed)
    assert sheet.shape[1] == WIDTH
    mean = np.array([124, 116, 104])  # rounded
    for row, image in enumerate(images):
        masked, restored = cell(sheet, row, 1), cell(sheet, row, 2)
        grey = (masked == mean).all(-1).reshape(4, 8, 4, 8).all((1, 3))
        assert grey.sum() == 12  # 75% of 16 patches
        seen = ~grey.repeat(8, 0).repeat(8, 1)
        for column in (masked, restored):
            np.testing.assert_array_equal(column[seen], image[..., ::-1][seen])
        assert (restored[~seen] != mean).any(-1).mean() > 0.9


def test_tool_draws_training_images_or_those_given(config, tmp_path, capsys):
    out = tmp_path / 'deep' / 'sheet.png'
    checkpoint = tmp_path / 'epoch_1.pth'
    assert run(config, checkpoint, '--out', out, '--num', 3) == 0
    printed = capsys.readouterr().out
    assert f'{out}: 3 images' in printed and 'mean and deviation of each hidden' in printed
    trained = cv2.imread(str(out))[..., ::-1]
    assert trained.shape == (HEADER + 3 * (SIDE + GAP), WIDTH, 3)
    # images 0 to 5 lie as 0, 2, 4, 1, 3, 5: the first, the middle and the last are drawn
    for row, number in enumerate((0, 4, 5)):
        square = tiny_pretrain.image(number)[:, 8:48, ::-1]
        want = cv2.resize(square, (32, 32), interpolation=cv2.INTER_LINEAR)
        assert abs(cell(trained, row, 0).astype(int) - want).mean() < 4

    files = [tmp_path / 'train' / 'class_0' / '0.png', tmp_path / 'train' / 'class_1']
    assert run(config, checkpoint, *files, '--out', out) == 0
    assert ': 4 images' in capsys.readouterr().out
    given = cv2.imread(str(out))[..., ::-1]
    np.testing.assert_array_equal(cell(given, 0, 0), cell(trained, 0, 0))
    assert run(config, checkpoint, *files, '--out', out, '--seed', 1) == 0
    assert (cv2.imread(str(out))[..., ::-1] != given).any()


def test_no_teacher_is_needed(tmp_path):
    """Neither its file nor its weights, though the checkpoint holds the adapter."""
    config = tiny_pretrain.write_recipe(tmp_path, tiny_pretrain.DISTILLED)
    checkpoint = save(config)
    held = torch.load(checkpoint)['state_dict']
    assert any(key.startswith('distill.') for key in held)
    assert run(config, checkpoint, '--out', tmp_path / 'a.png', '--num', 1) == 0


def test_models_that_draw_nothing_are_refused(config):
    init_default_scope('mmpretrain')
    cfg = Config.fromfile(config)
    changes = dict(neck=None, head=None, distill=dict(type='mmlite.Distillation'))
    alone = Config(dict(default_scope='mmpretrain', model={**cfg.model, **changes}))
    with pytest.raises(UserError, match='learns by distillation alone'):
        build_reconstructor(alone, 'any.pth')
    with pytest.raises(CheckpointError, match='any.pth'):
        build_reconstructor(cfg, 'any.pth')


@pytest.mark.parametrize(
    ('args', 'code', 'message'),
    [
        (('--out', 'sheet.gif'), 2, '--out sheet.gif must end in .png or .jpg'),
        (('{root}/empty',), 1, 'has no image'),
        (('--cfg-options', 'train_dataloader.dataset.data_root=no/'), 1, "'no/', which does not"),
    ],
)
def test_mistakes_are_one_sentence(args, code, message, config, capsys):
    (config.parent / 'empty').mkdir()
    args = [str(arg).format(root=config.parent) for arg in args]
    assert run(config, config.parent / 'epoch_1.pth', *args) == code
    err = capsys.readouterr().err
    assert message in err
    assert err.count('\n') == 1


def test_whole_images_are_drawn_without_random_crops():
    names = ('RandomResizedCrop', 'TwoSizeRandomResizedCrop', 'RandomFlip', 'PackInputs')
    pipeline = [dict(type=f'mmlite.{name}', crop_ratio_range=(0.08, 1)) for name in names]
    crops, pack = steady_pipeline(pipeline)[:2], pipeline[3:]
    assert steady_pipeline(pipeline)[2:] == pack and pipeline[0]['crop_ratio_range'] == (0.08, 1)
    for crop, name in zip(crops, names[:2], strict=True):
        assert crop == dict(
            type=f'mmlite.{name}', crop_ratio_range=(1, 1), aspect_ratio_range=(1, 1)
        )
