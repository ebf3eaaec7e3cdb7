"""Every mistake is named before anything is built, and no valid config is refused."""

import argparse
from collections.abc import Sequence
from contextlib import nullcontext
from copy import deepcopy
from pathlib import Path

import mmdet
import mmpretrain
import mmseg
import pytest
import tiny

from mmlite.engine import check_config as module
from mmlite.engine.check_config import check_config, check_stage_data
from mmlite.engine.checks.values import check_argument
from mmlite.engine.cli import add_config_options
from mmlite.engine.config_file import load_config, merge_options
from mmlite.errors import CheckpointError, DataError, UserError

SHIPPED = {
    mmdet: """atss/atss_r50_fpn_1x_coco albu_example/mask-rcnn_r50_fpn_albu-1x_coco
        cascade_rpn/cascade-rpn_faster-rcnn_r50-caffe_fpn_1x_coco detr/detr_r50_8xb2-150e_coco
        fpg/mask-rcnn_r50_fpg_crop640-50e_coco mask2former/mask2former_r50_8xb2-lsj-50e_coco
        panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco rtmdet/rtmdet-ins_s_8xb32-300e_coco
        soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco
        vfnet/vfnet_r50-mdconv-c3-c5_fpn_ms-2x_coco yolox/yolox_s_8xb8-300e_coco
        swin/mask-rcnn_swin-t-p4-w7_fpn_amp-ms-crop-3x_coco
        odinw=glip/odinw/glip_atss_swin-t_a_fpn_dyhead_pretrain_odinw13""",
    mmseg: """segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512
        upernet/upernet_r50_4xb4-80k_ade20k-512x512 beit/beit-base_upernet_8xb2-160k_ade20k-640x640
        mae/mae-base_upernet_8xb2-amp-160k_ade20k-512x512 sem_fpn/fpn_r50_4xb4-160k_ade20k-512x512
        point_rend/pointrend_r50_4xb2-80k_cityscapes-512x1024""",
    mmpretrain: """mae/mae_vit-base-p16_8xb512-amp-coslr-300e_in1k
        beit/beit_beit-base-p16_8xb256-amp-coslr-300e_in1k
        arcface/resnet50-arcface_8xb32_inshop deit/deit-tiny_4xb256_in1k
        resnet/resnet18_8xb16_cifar10
        mocov3/mocov3_vit-small-p16_16xb256-amp-coslr-300e_in1k
        simmim/simmim_swin-base-w6_8xb256-amp-coslr-100e_in1k-192px
        vision_transformer/vit-base-p16_8xb64-lora_in1k-384px""",
}


@pytest.mark.parametrize(
    'path',
    [
        Path(package.__file__).parent / '.mim' / 'configs' / f'{name.split("=")[-1]}.py'
        for package, names in SHIPPED.items()
        for name in names.split()
    ],
    ids=lambda path: path.stem,
)
def test_no_valid_config_is_refused(path, monkeypatch):
    monkeypatch.setattr(module, 'check_devices', lambda *args: None)
    phase = 'train' if 'odinw' not in path.parts else 'test'
    check_config(load_config(path), phase, data=False)


@pytest.fixture(scope='module')
def detector(tmp_path_factory):
    return load_config(tiny.write_detector(tmp_path_factory.mktemp('detector')))


MISTAKES = {
    # --cfg-options of the small detector -> parts of the sentence
    'train_dataloader.batch_size=0': 'batch_size must be an integer >= 1 (got 0)',
    'train_dataloader=None': 'cannot train: it has no train_dataloader',
    'train_dataloader.dataset.pipeline=x': "dataset.pipeline must be a list (got 'x')",
    'train_dataloader.dataset.pipeline.2.scale=x': "scale must be an integer or a list (got 'x')",
    'train_dataloader.dataset.pipeline.2.type=Rezise': 'is not a registered transform ... Resize',
    'train_dataloader.dataset.pipeline.0.colour_type=x': "did you mean 'color_type'",
    'train_dataloader.dataset.data_root=3': 'dataset.data_root must be a path (got 3)',
    'train_dataloader.dataset.metainfo.classes=red': "must be a list of names (got 'red')",
    'train_dataloader.dataset.type=CocoData': 'not a registered dataset ... CocoDataset',
    'train_dataloader.dataset.ann=3': 'train_dataloader.dataset has a wrong key: CocoDataset',
    'train_dataloader.sampler.type=DefaultSample': 'registered data sampler ... DefaultSampler',
    'train_dataloader.collate_fn.type=pseudo_colate': 'near names: pseudo_collate',
    'train_dataloader.batchsize=3': "a data loader takes no 'batchsize'; did you mean 'batch_size'",
    'train_cfg.max_epoch=3': "takes no 'max_epoch'; did you mean 'max_epochs'",
    'train_cfg.type=EpochLoop': "train_cfg.type='EpochLoop' is not a registered loop",
    'train_cfg.by_epoch=True': 'train_cfg needs exactly one of',
    'default_hooks.checkpoint.interval=x': "checkpoint.interval must be an integer (got 'x')",
    'default_hooks.checkpoint.intervall=1': "'intervall'; did you mean 'interval'",  # open **kwargs
    'default_hooks.timer.type=ItrTimerHook': 'default_hooks.timer.type= ... IterTimerHook',
    'custom_hooks=[EMAHook]': "custom_hooks must be a list of dicts (got ['EMAHook'])",
    'optim_wrapper.optimizer.lr=-1': 'optimizer.lr must be a finite number >= 0',
    'optim_wrapper.optimizer.type=SDG': 'not a registered optimizer ... near names: SGD',
    'optim_wrapper.clip_gard.max_norm=1': "did you mean 'clip_grad'",
    'optim_wrapper.type=AmpOptimWraper': 'AmpOptimWrapper',
    'optim_wrapper.constructor=mmlite.LayerDecay': 'LayerDecayOptimWrapperConstructor',
    'param_scheduler=x': "param_scheduler must be a dict or a list of dicts (got 'x')",
    'param_scheduler.0.milestones=x': "param_scheduler.0.milestones must be a list (got 'x')",
    'param_scheduler.0.type=MultistepLr': 'param_scheduler.0.type= ... near names: MultiStepLR',
    'randomness.seed=-1': 'randomness.seed must be an integer from 0 to 4294967295 (got -1)',
    'log_level=LOUD': "log_level must be one of DEBUG, INFO ... (got 'LOUD')",
    'env_cfg.mp_cfg.mp_start_method=forkk': "mp_start_method must be one of ... (got 'forkk')",
    'default_scope=mmdett': "'mmdett' is not an installed OpenMMLab package; near names: mmdet",
    'default_scope=mmseg': "LoadAnnotations takes no 'with_bbox'",
    'visualizer.vis_backends.0.type=LocalBackend': 'vis_backends.0.type= ... LocalVisBackend',
    'visualizer.vis_backends.0.type=MLflowVisBackend': 'needs the package mlflow',
    'visualizer.vis_backends.0.type=mmengine.AimVisBackend': 'needs the package aim',
    'val_evaluator=None': 'has no val_evaluator: set all of val_dataloader, val_cfg, val_evaluator',
    'val_cfg=None val_dataloader=None': 'has no val_dataloader and no val_cfg: set',
    'test_dataloader=None': 'has no test_dataloader: set',
    'val_evaluator.metric=None': 'metric must be one of bbox, segm, proposal, proposal_fast (got',
    'val_evaluator.ann_file=None': 'val_evaluator.ann_file must be a path (got None)',
    'train_dataloader.dataset=None': 'train_dataloader.dataset must be a dict (got None)',
    'train_dataloader.num_workers=None': 'num_workers must be an integer >= 0 (got None)',
    'optim_wrapper.optimizer=None': 'optim_wrapper.optimizer must be a dict (got None)',
    'optim_wrapper.optimizer.lr=None': 'optimizer.lr must be a finite number >= 0 (got None)',
    'log_level=INF': 'log_level must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL (got inf)',
    'compile=maybe': "compile must be True, False or a dict (got 'maybe')",
    'resume=latest': "resume must be one of True, False, auto (got 'latest')",
    'find_unused_parameters=x': "find_unused_parameters must be True or False (got 'x')",
    'auto_scale_lr.base_batch_size=0': 'auto_scale_lr.base_batch_size must be an integer >= 1',
    'optim_wrapper.optimizer.lr=1e400': 'lr must be a finite number >= 0 (got inf)',
    'model=x': "model must be a dict (got 'x')",
    'model._scope_=mmseq': "'mmseq' is not an installed OpenMMLab package; near names: mmseg",
    'model.type=RetinaNett': "model.type='RetinaNett' is not a registered model in scope 'mmdet'; "
    'near names: RetinaNet',
    'model.backbone.colour=3': "ResNet takes no 'colour'; it takes ... depth",
    'model.bbox_head.loss_cls.type=FocalLos': 'near names: FocalLoss',
    'model.train_cfg.assigner.pos_iou_thr=x': "assigner.pos_iou_thr must be a number (got 'x')",
    'val_evaluator.type=CocoMetrics': 'not a registered metric ... near names: CocoMetric',
    'val_evaluator.metric=boxes': "val_evaluator.metric must be one of bbox, segm ... 'boxes'",
    'val_evaluator.ann_file={root}/train.json': 'train.json ... predictions are for ... val.json',
    'load_from=3': 'load_from must be a path (got 3)',
}


@pytest.mark.parametrize('option', MISTAKES)
def test_mistakes_are_named(option, detector):
    cfg = deepcopy(detector)
    parser = argparse.ArgumentParser()
    add_config_options(parser)
    root = Path(cfg.filename).parent
    words = ['config', '--cfg-options', *option.format(root=root).split()]
    merge_options(cfg, parser.parse_args(words).cfg_options)
    with pytest.raises(UserError) as error:
        check_config(cfg, 'train')
    message = str(error.value)
    assert '\n' not in message
    for part in MISTAKES[option].split(' ... '):
        assert part in message


WARM_UP = [dict(type='LinearLR', end=5), dict(type='CosineAnnealingLR', begin=5)]


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'train_cfg.max_epochs': 6}, None),
        (
            {'train_cfg.max_epochs': 5},
            r'^param_scheduler\.1\.begin=5, but the run ends at train_cfg\.max_epochs=5: '
            r'shorten it by --epochs or --iters, or lower .*1\.begin and the end of the warm-up '
            r'before it, param_scheduler\.0\.end$',
        ),
        ({'param_scheduler.1.end': 5}, r'^param_scheduler\.1\.end=5 must be above .*begin=5$'),
        ({'param_scheduler.1.by_epoch': False, 'train_cfg.max_epochs': 1}, None),
    ],
)
def test_a_run_is_longer_than_its_warm_up(changes, message, detector):
    cfg = deepcopy(detector)
    cfg.param_scheduler = deepcopy(WARM_UP)
    cfg.merge_from_dict(changes)
    with pytest.raises(UserError, match=message) if message else nullcontext():
        check_config(cfg, 'train')


def test_keys_of_the_file(detector):
    """Misspelt ones are named; options of a parent are no types; variables are free."""
    cfg = deepcopy(detector)
    cfg.model.test_cfg.nms = dict(type='soft_nms', iou_threshold=0.5)
    cfg.train_dataloader.dataset.metainfo.keypoints = dict(type='upper')
    cfg.batch = dict(whatever=1)
    check_config(cfg, 'train')
    cfg.train_dataloaderr = dict(batch_size=1)
    message = "unknown key 'train_dataloaderr'; did you mean 'train_dataloader'"
    with pytest.raises(UserError, match=message):
        check_config(cfg, 'train')


def test_wrappers_are_looked_through(detector):
    cfg = deepcopy(detector)
    cfg.train_dataloader.dataset = dict(
        type='RepeatDataset', times=2, dataset=dict(
            type='ConcatDataset', datasets=[deepcopy(cfg.train_dataloader.dataset)])
    )  # fmt: skip
    check_config(cfg, 'train')
    cfg.train_dataloader.dataset.dataset.datasets[0].ann_file = 'gone.json'
    with pytest.raises(DataError, match=r'train_dataloader\.dataset\.dataset\.datasets\.0\.ann_'):
        check_config(cfg, 'train')
    cfg.train_dataloader.dataset.dataset.datasets[0].data_root = '/no/such'
    with pytest.raises(DataError, match=r'add --cfg-options .*\.datasets\.0\.data_root=PATH$'):
        check_config(cfg, 'train')


@pytest.mark.parametrize(
    ('key', 'value', 'phase', 'message'),
    [
        ('val_dataloader.dataset.ann_file', 'gone.json', 'train', r'ann_file is .*gone\.json'),
        ('val_evaluator.ann_file', '/gone.json', 'train', r"val_evaluator\.ann_file is '/gone"),
        ('test_dataloader.dataset.data_prefix.img', 'gone/', 'test',
         r'test_dataloader\.dataset\.data_prefix\.img is .*gone/'),
    ],
)  # fmt: skip
def test_missing_data_are_named(key, value, phase, message, detector):
    cfg = deepcopy(detector)
    cfg.merge_from_dict({key: value})
    with pytest.raises(DataError, match=message):
        check_config(cfg, phase)
    check_config(cfg, phase, data=False)
    other = {'train': 'test', 'test': 'train'}[phase]
    check_config(cfg, other)  # whose data are there


def test_missing_data_that_can_be_made_or_downloaded(detector):
    cfg = deepcopy(detector)
    cfg.merge_from_dict({'train_dataloader.dataset.data_root': 'gone', 'make_data': 'make.py 7'})
    with pytest.raises(DataError, match=r"'gone', which does not exist; make it by: make\.py 7$"):
        check_config(cfg, 'train')
    cfg.train_dataloader.dataset = dict(type='mmpretrain.CIFAR10', data_root='gone', pipeline=[])
    check_stage_data(cfg, 'train')


def test_missing_checkpoints_are_named(detector, tmp_path):
    (tmp_path / 'epoch_12.pth').touch()
    cfg = deepcopy(detector)
    cfg.load_from = str(tmp_path / 'epoch_21.pth')
    with pytest.raises(CheckpointError, match=r'load_from=.*does not exist; near .*epoch_12\.pth'):
        check_config(cfg, 'test')
    cfg.load_from = 'https://host/epoch_21.pth'
    check_config(cfg, 'test')
    cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint='vit.pth')
    with pytest.raises(CheckpointError, match=r"model\.backbone\.init_cfg\.checkpoint='vit\.pth'"):
        check_config(cfg, 'train')
    check_config(cfg, 'test')  # which initializes nothing
    cfg.resume = True
    check_config(cfg, 'train')  # nor does resuming


@pytest.mark.parametrize(
    ('key', 'value', 'phase', 'message'),
    [
        ('optim_wrapper.type', 'ApexOptimWrapper', 'train', 'needs a GPU.*--no-amp'),
        ('device', 'cuda:0', 'test', 'needs CUDA, but torch sees no GPU'),
    ],
)
def test_some_settings_need_a_gpu(key, value, phase, message, detector, monkeypatch):
    cfg = deepcopy(detector)
    cfg.merge_from_dict({key: value})
    monkeypatch.setattr('mmlite.engine.checks.devices.get_device', lambda: 'cpu')
    with pytest.raises(UserError, match=f"{key}='{value}' .*{message}"):
        check_config(cfg, phase)
    if phase == 'train':
        check_config(cfg, 'test')
    monkeypatch.setattr('mmlite.engine.checks.devices.get_device', lambda: 'cuda')
    check_config(cfg, phase)


@pytest.mark.parametrize(
    ('hint', 'value', 'expected'),
    [
        (int, 'x', 'an integer'),
        (float, 'x', 'a number'),
        (dict | list[dict] | None, 'x', 'a dict or a list'),
        (Sequence[int], 'x', 'a list'),
        (dict | None, 3, 'a dict'),
        (int, 2.5, None),  # libraries are less strict than their hints
        (int, None, None),
        (bool, 'qv_bias', None),
        (str, 512.0, None),
        (list[int], 64, None),
        (int | str, 'x', None),
        (Sequence[str], 'x', None),
        (Path, 'x', None),
    ],
)
def test_values_are_refused_where_they_are_certainly_wrong(hint, value, expected):
    with pytest.raises(UserError) if expected else nullcontext() as error:
        check_argument('Part', 'model.part', 'size', value, hint)
    assert not expected or str(error.value) == f'model.part.size must be {expected} (got {value!r})'
