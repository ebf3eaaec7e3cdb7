"""Transfer: official files of every data set, splits, classes, colours, the grid of Table S2."""

import copy
import json
import pickle
from pathlib import Path

import cv2
import mat4py
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmlite.datasets import INaturalist
from mmlite.engine.config_file import merge_options
from mmlite.engine.overrides import apply_overrides
from mmlite.errors import DataError
from mmlite.experiments.grid import grid_axes, init_axis, make_trials
from mmlite.registry import DATASETS, MODELS

CONFIGS = Path(__file__).parents[2] / 'configs/cls'
RED = np.full((40, 50, 3), (10, 20, 250), np.uint8)  # BGR


def read(name):
    (path,) = (p for p in CONFIGS.glob(f'vit-tiny_*_{name}.py') if 'linear' not in p.stem)
    cfg = Config.fromfile(path)
    init_default_scope(cfg.default_scope)
    return cfg


def configs_of(cfg, axes):
    """The config of every trial."""
    for trial in make_trials(axes):
        each = copy.deepcopy(cfg)
        merge_options(each, apply_overrides(each, trial.options))
        yield each


def write_image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), RED)


def flowers(root):
    """Five pictures: two of train, one of val, two of test."""
    for number in range(1, 6):
        write_image(root / f'jpg/image_{number:05d}.jpg')
    mat4py.savemat(str(root / 'imagelabels.mat'), dict(labels=[102, 1, 5, 7, 9]))
    mat4py.savemat(str(root / 'setid.mat'), dict(trnid=[1, 3], valid=[4, 2], tstid=[5, 2]))
    train = [('image_00001', 101), ('image_00003', 4), ('image_00004', 6), ('image_00002', 0)]
    return train, [('image_00005', 8), ('image_00002', 0)]


def pets(root):
    for name in ('Abyssinian_1', 'Sphynx_2', 'yorkshire_terrier_3'):
        write_image(root / f'images/{name}.jpg')
    (root / 'annotations').mkdir()
    (root / 'annotations/trainval.txt').write_text('Abyssinian_1 1 1 1\nSphynx_2 34 1 12\n')
    (root / 'annotations/test.txt').write_text('yorkshire_terrier_3 37 2 25\n')
    return [('Abyssinian_1', 0), ('Sphynx_2', 33)], [('yorkshire_terrier_3', 36)]


def aircraft(root):
    for name in ('0000001', '0000002', '0000003'):
        write_image(root / f'data/images/{name}.jpg')
    (root / 'data/images_variant_trainval.txt').write_text('0000001 707-320\n0000002 Yak-42\n')
    (root / 'data/images_variant_test.txt').write_text('0000003 A300B4\n')
    return [('0000001', 0), ('0000002', 99)], [('0000003', 21)]


def cars(root):
    paths = [f'car_ims/00000{number}.jpg' for number in (1, 2, 3)]
    for path in paths:
        write_image(root / path)
    listed = {'relative_im_path': paths, 'class': [1, 196, 7], 'test': [0, 0, 1]}
    mat4py.savemat(str(root / 'cars_annos.mat'), dict(annotations=listed))
    return [('000001', 0), ('000002', 195)], [('000003', 6)]


OFFICIAL = dict(flowers102=flowers, pets=pets, aircraft=aircraft, cars=cars)


@pytest.mark.parametrize('name', OFFICIAL)
def test_official_splits(name, tmp_path):
    """Training has train and val where there are both; testing has test."""
    wanted = OFFICIAL[name](tmp_path)
    cfg = read(name)
    for loader, want in zip((cfg.train_dataloader, cfg.test_dataloader), wanted, strict=True):
        dataset = DATASETS.build(dict(loader.dataset, data_root=str(tmp_path)))
        found = [dataset.get_data_info(index) for index in range(len(dataset))]
        assert [(Path(item['img_path']).stem, item['gt_label']) for item in found] == want
        assert max(label for _, label in want) < cfg.model.head.num_classes
        assert dataset[0]['inputs'].shape == (3, 224, 224)
    assert cfg.val_dataloader == cfg.test_dataloader


def test_cifar_keeps_its_colours(tmp_path, monkeypatch):
    """Its arrays are RGB, other pictures BGR: both are red when they reach the model."""
    monkeypatch.setattr('mmpretrain.datasets.cifar.check_md5', lambda *_: True)
    folder = tmp_path / 'cifar-100-python'
    folder.mkdir()
    red = np.stack([np.full(1024, c, np.uint8) for c in (250, 20, 10)]).reshape(1, 3072)
    for split, label in (('train', 99), ('test', 0)):
        content = dict(data=red, fine_labels=[label])
        (folder / split).write_bytes(pickle.dumps(content))
    pets(tmp_path / 'pets')
    seen = []
    for name, root in (('cifar100', tmp_path), ('pets', tmp_path / 'pets')):
        cfg = read(name)
        dataset = DATASETS.build(dict(cfg.train_dataloader.dataset, data_root=str(root)))
        item = dataset[0]
        processor = MODELS.build(dict(cfg.model.data_preprocessor, type='ClsDataPreprocessor'))
        data = dict(inputs=item['inputs'][None], data_samples=[item['data_samples']])
        seen.append(processor(data, False)['inputs'].mean(dim=(0, 2, 3)))
    assert seen[0].tolist() == pytest.approx(seen[1].tolist(), abs=0.1)
    assert seen[0][0] > 2 > -1.5 > seen[0][2]
    assert len(dataset.metainfo['classes']) == 37


# ---- iNaturalist ---------------------------------------------------------------------------------


def annotations():
    names = [f'train_val2018/Aves/{k}/{k}.jpg' for k in (2, 0, 1)]
    return dict(
        images=[dict(id=10 + k, file_name=name) for k, name in enumerate(names)],
        annotations=[dict(id=k, image_id=12 - k, category_id=(1, 0, 2)[k]) for k in range(3)],
        categories=[dict(id=k, name=str(k), supercategory='Aves') for k in (2, 0, 1)],
    )


def test_inaturalist_reads_the_official_files(tmp_path):
    cfg = read('inat18')
    for split in ('train', 'val'):
        (tmp_path / f'{split}2018.json').write_text(json.dumps(annotations()))
    for name in ('2', '0', '1'):
        write_image(tmp_path / f'train_val2018/Aves/{name}/{name}.jpg')
    for loader, file in ((cfg.train_dataloader, 'train2018'), (cfg.test_dataloader, 'val2018')):
        dataset = DATASETS.build(dict(loader.dataset, data_root=str(tmp_path)))
        assert Path(dataset.ann_file).stem == file
        infos = [dataset.get_data_info(index) for index in range(3)]
        assert [(Path(i['img_path']).stem, i['gt_label']) for i in infos] == [
            ('2', 2), ('0', 0), ('1', 1),
        ]  # fmt: skip
        assert dataset.metainfo['classes'] == ('0', '1', '2')
        assert dataset[1]['inputs'].shape == (3, 224, 224)


def test_wrong_annotations_are_named(tmp_path):
    lost, wrong, unlabelled = annotations(), annotations(), annotations()
    lost['annotations'].pop()
    wrong['annotations'][2]['category_id'] = 3
    unlabelled.pop('annotations')
    image = "image 'train_val2018/Aves/2/2.jpg' has"
    for text, message in (
        (None, ' cannot be read: No such file'),
        ('{', ' is not valid JSON: '),
        (json.dumps(lost), f': {image} no annotation'),
        (json.dumps(wrong), f': {image} category 3, but there are 3, 0 to 2'),
        (json.dumps(unlabelled), ' is not an annotation file of iNaturalist with labels'),
    ):
        if text:
            (tmp_path / 'a.json').write_text(text)
        with pytest.raises(DataError, match=f'a.json{message}'):
            INaturalist(str(tmp_path), 'a.json')


# ---- the grid ------------------------------------------------------------------------------------

LOW, HIGH = (0.01, 0.03, 0.1), (0.03, 0.1, 0.3)
TABLE_S2 = {  # classes, learning rates, (epochs, warm-up)
    'flowers102': (102, LOW, [(150, 30), (250, 50)]),
    'pets': (37, LOW, [(70, 14), (150, 30)]),
    'aircraft': (100, LOW, [(50, 10), (100, 20)]),
    'cars': (196, LOW, [(50, 10), (100, 20)]),
    'cifar100': (100, HIGH, [(25, 5), (50, 10)]),
}


@pytest.mark.parametrize(('name', 'row'), TABLE_S2.items(), ids=TABLE_S2)
def test_the_grid_is_that_of_table_s2(name, row):
    cfg = read(name)
    classes, rates, schedules = row
    assert cfg.model.head.num_classes == classes
    found = set()
    for each in configs_of(cfg, grid_axes(cfg.sweep_grid)):
        warm_up, cosine = each.param_scheduler
        epochs = each.train_cfg.max_epochs
        assert (warm_up.begin, warm_up.end, cosine.end) == (0, cosine.begin, epochs)
        wrapper = each.optim_wrapper
        decay = wrapper.paramwise_cfg.layer_decay_rate
        found.add((wrapper.optimizer.lr, (epochs, warm_up.end), decay))
    assert found == {(lr, pair, d) for lr in rates for pair in schedules for d in (1.0, 0.75)}


def test_initializations_and_reserved_blocks_are_swept_together():
    """Every trial has a checkpoint of one axis and a number of blocks of the other."""
    cfg = Config.fromfile(CONFIGS / 'vit-tiny_reserve-blocks_1xb1024-amp-coslr-100e_in1k.py')
    inits = init_axis(['mae=a.pth', 'mocov3=b.pth'], cfg.model.backbone)
    axes = {'init': inits, **grid_axes(cfg.sweep_grid)}
    assert [each.model.backbone.init_cfg for each in configs_of(cfg, axes)] == [
        dict(type='Pretrained', checkpoint=path, reserve_blocks=count)
        for path in ('a.pth', 'b.pth')
        for count in range(13)
    ]
