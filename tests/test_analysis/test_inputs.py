"""Images for the layer analysis: crops, validation data of a config, samples, mistakes."""

import argparse

import cv2
import numpy as np
import pytest
import tiny_pretrain
import torch

from mmlite.analysis.inputs import add_options, open_batches, open_images
from mmlite.errors import DataError


def test_images_of_a_folder_are_central_crops_in_rgb(tmp_path):
    tiny_pretrain.write_images(tmp_path, 4)
    images = open_images(tmp_path / 'train', 35)  # 40 of the shorter edge
    assert len(images) == 4
    for index, number in enumerate((0, 2, 1, 3)):  # by class
        want = tiny_pretrain.image(number)[2:37, 10:45, ::-1]
        difference = images[index].permute(1, 2, 0).numpy().astype(int) - want
        assert abs(difference).max() <= 1 and images[index].dtype == torch.uint8


VAL = """
val_pipeline = [
    dict(type='mmlite.LoadImageFromFile'),
    dict(type='Resize', scale=(8, 8)),
    dict(type='PackInputs'),
]
val_dataloader = dict(
    batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='RepeatDataset', times=2,
        dataset=dict(
            type='CustomDataset', data_root=data_root, data_prefix='train', pipeline=val_pipeline,
        ),
    ),
)
val_cfg = dict()
val_evaluator = dict(type='Accuracy')
"""


def test_validation_data_of_a_config_are_those_of_its_folder(tmp_path):
    config = tiny_pretrain.write_recipe(tmp_path, VAL)
    found, want = open_images(config, 32), open_images(tmp_path / 'train', 32)
    assert len(found) == len(want) == 6
    for pair in zip(found, want, strict=True):
        torch.testing.assert_close(*pair)


def test_images_of_memory_are_rgb(tmp_path, monkeypatch):
    """As CIFAR's are in mmpretrain."""
    config = tiny_pretrain.write_recipe(tmp_path, VAL)
    picture = tiny_pretrain.image(1, 40, 40)
    kind = 'mmpretrain.datasets.CustomDataset.get_data_info'
    monkeypatch.setattr(kind, lambda self, index: dict(img=picture))
    found = open_images(config, 35)[0].permute(1, 2, 0).numpy().astype(int)
    assert abs(found - picture[2:37, 2:37]).max() <= 1


def test_a_sample_is_random_but_the_same_every_time(tmp_path):
    for number in range(12):
        cv2.imwrite(str(tmp_path / f'{number:02}.png'), np.full((9, 9, 3), number, np.uint8))

    def drawn(*words):
        parser = argparse.ArgumentParser()
        add_options(parser, 'out', need_models=False)
        options = ['--data', str(tmp_path), '--batch-size', '4', '--workers', '0', *words]
        batches = list(open_batches([], parser.parse_args(['--num-images', '7', *options]), 8))
        assert [len(batch) for batch in batches] == [4, 3]
        return torch.cat(batches)[:, 0, 0, 0].tolist()

    assert drawn('--official-sampling') == list(range(7))
    first = drawn()
    assert first == drawn() != drawn('--seed', '1')
    assert len(set(first)) == 7 and sorted(first) != list(range(7))


def test_a_directory_without_images_is_refused(tmp_path):
    with pytest.raises(DataError, match='has no image'):
        open_images(tmp_path, 32)
