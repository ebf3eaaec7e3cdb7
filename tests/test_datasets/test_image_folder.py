"""Pre-training on any directory of images, and what a classifier says about a flat one."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.registry import init_default_scope

from mmlite.engine.config_file import load_config
from mmlite.errors import DataError
from mmlite.registry import DATASETS

RECIPE = 'mmlite::pretrain/mae/mae_vit-tiny_8xb512-amp-coslr-400e_in1k.py'


def pretraining_of(root, names):
    """Write images below ``root``/train; returns the recipe's config for them."""
    for name in names:
        (root / 'train' / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / 'train' / name), np.zeros((9, 9, 3), np.uint8))
    cfg = load_config(RECIPE, {'train_dataloader.dataset.data_root': str(root)})
    cfg.train_dataloader.batch_size = len(names)
    init_default_scope(cfg.default_scope)
    return cfg


def files_of(cfg):
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    return [Path(dataset.get_data_info(i)['img_path']) for i in range(len(dataset))]


@pytest.mark.parametrize('names', [('a.jpg', 'b.webp'), ('one/a.jpg', 'one/two/b.webp')])
def test_pretraining_takes_any_directory_of_images(names, tmp_path):
    cfg = pretraining_of(tmp_path, names)
    assert files_of(cfg) == [tmp_path / 'train' / name for name in names]


def test_a_classifier_says_that_a_flat_directory_has_no_classes(tmp_path):
    cfg = pretraining_of(tmp_path, ['a.jpg'])
    cfg.train_dataloader.dataset.with_label = True
    with pytest.raises(DataError, match="train' has no image in directories of classes"):
        files_of(cfg)


@pytest.mark.parametrize('label', ['', ' 3'])
def test_lists_serve_with_labels_and_without(label, tmp_path):
    names = ['n1/a.jpg', 'n1/b 2.png']
    cfg = pretraining_of(tmp_path, names)
    (tmp_path / 'list.txt').write_text(''.join(f'{name}{label}\n' for name in names))
    cfg.train_dataloader.dataset.ann_file = 'list.txt'
    assert files_of(cfg) == [tmp_path / 'train' / name for name in names]
