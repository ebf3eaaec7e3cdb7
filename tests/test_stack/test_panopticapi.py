"""COCO's panoptic segmentation without its package: quality by hand, EoMT trained and evaluated."""

import json

import cv2
import numpy as np
import pytest
from mmengine.runner import Runner

from mmlite.engine.config_file import load_config
from mmlite.stack.panopticapi import PQStat, id2rgb, rgb2id

SIDE = 64


def test_ids_are_colors_there_and_back():
    ids = np.array([[0, 1, 255], [256, 65536, 256**3 - 1]])
    assert id2rgb(ids)[1, 1].tolist() == [0, 0, 1]
    np.testing.assert_array_equal(rgb2id(id2rgb(ids)), ids)


def test_quality_is_that_of_the_paper():
    stat, other = PQStat(), PQStat()
    stat[1].tp, stat[1].iou, stat[1].fp = 2, 1.5, 1
    other[1].fn, other[2].fn = 1, 1
    stat += other
    categories = {1: dict(isthing=1), 2: dict(isthing=0), 3: dict(isthing=1)}
    every, each = stat.pq_average(categories, None)
    assert each[1] == dict(pq=0.5, sq=0.75, rq=2 / 3) and each[3]['pq'] == 0
    assert every == dict(pq=0.25, sq=0.375, rq=1 / 3, n=2)  # category 3 does not occur
    assert stat.pq_average(categories, True)[0]['pq'] == 0.5
    assert stat.pq_average(categories, False)[0] == dict(pq=0.0, sq=0.0, rq=0.0, n=1)


@pytest.fixture
def data(tmp_path):
    """Two images with a bright object on one of two dark backgrounds."""
    for split in ('train2017', 'val2017'):
        images, annotations = [], []
        for folder in (split, f'annotations/panoptic_{split}'):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for number in range(4):
            ids = np.full((SIDE, SIDE), 7)
            ids[8:40, 16:56] = 300
            pixels = np.where(ids == 300, 240, 20 + 60 * (number % 2)).astype(np.uint8)
            name = f'{number}.png'
            cv2.imwrite(str(tmp_path / split / name), np.repeat(pixels[..., None], 3, 2))
            rgb = id2rgb(ids)[..., ::-1]
            cv2.imwrite(str(tmp_path / f'annotations/panoptic_{split}' / name), rgb)
            area = int((ids == 300).sum())
            segments = [
                dict(id=7, category_id=2, area=SIDE**2 - area, iscrowd=0, bbox=[0, 0, SIDE, SIDE]),
                dict(id=300, category_id=1, area=area, iscrowd=0, bbox=[16, 8, 40, 32]),
            ]
            images.append(dict(id=number, file_name=name, height=SIDE, width=SIDE))
            annotations.append(dict(image_id=number, file_name=name, segments_info=segments))
        categories = [
            dict(id=1, name='block', isthing=1), dict(id=2, name='ground', isthing=0),
        ]  # fmt: skip
        file = tmp_path / f'annotations/panoptic_{split}.json'
        file.write_text(
            json.dumps(dict(images=images, annotations=annotations, categories=categories))
        )
    return tmp_path


def test_eomt_learns_panoptic_segmentation(data, tmp_path):
    cfg = load_config('configs/det/eomt_vit-tiny_8xb2-amp-12e_coco-panoptic-640px.py')
    names = dict(classes=('block', 'ground'), thing_classes=('block',), stuff_classes=('ground',))
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False, batch_size=2)
        loader.dataset.update(data_root=f'{data}/', metainfo=names)
        for step in loader.dataset.pipeline:
            if step['type'] in ('RandomResize', 'Resize'):
                step.update(scale=(SIDE, SIDE))
            if step['type'] == 'RandomResize':
                step.update(ratio_range=(1.0, 1.0))
            if step['type'] == 'RandomCrop':
                step.update(crop_size=(SIDE, SIDE))
    cfg.train_dataloader.dataset.filter_cfg = None
    one = dict(num_things_classes=1, num_stuff_classes=1)
    cfg.model.panoptic_head.update(one, num_queries=6, in_channels=48, num_blocks=2)
    cfg.model.panoptic_fusion_head.update(one)
    cfg.model.backbone.update(
        arch=dict(embed_dims=48, num_layers=3, num_heads=3), img_size=SIDE, pretrain_img_size=SIDE
    )
    cfg.model.data_preprocessor.update(pad_size_divisor=SIDE)
    cfg.model.train_cfg.num_points = 256
    cfg.model.test_cfg.update(max_per_image=5)
    annotations = f'{data}/annotations/panoptic_val2017'
    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        evaluator.update(ann_file=f'{annotations}.json', seg_prefix=f'{annotations}/', nproc=1)
    cfg.optim_wrapper.update(type='OptimWrapper', optimizer=dict(type='AdamW', lr=2e-3))
    cfg.train_cfg.update(max_iters=60, val_interval=60)
    cfg.merge_from_dict(
        dict(param_scheduler=[], work_dir=str(tmp_path / 'run'), randomness=dict(seed=0))
    )
    runner = Runner.from_cfg(cfg)
    runner.train()
    head = runner.model.panoptic_head
    assert head.mask_share.tolist() == [0.0, 0.0]  # annealed
    found = runner.test()
    assert found['coco_panoptic/PQ'] > 80
