"""Checkpoints with the keys and wrappers of the official ones, filled with golden weights."""

import functools
import re

import golden
import torch

from mmlite.weights import convert

_official = functools.cache(golden.weights)


def official(name):
    return dict(_official(name))


def prefixed(prefix, state):
    return {f'{prefix}{key}': value for key, value in state.items()}


def training(weights):
    """What MAE-Lite's trainer saves."""
    junk = dict(optimizer=dict(state={0: torch.zeros(3)}), scheduler=dict(epoch=9), scaler={})
    return dict(start_epoch=400, model=weights, best_top1=78.0, **junk)


def mae_lite(name, **extra):
    return training(prefixed('module.model.', official(name) | extra))


def mae_lite_finetuned():
    index = {f'blocks.{i}.attn.relative_position_index': torch.zeros(197, 197) for i in range(12)}
    return mae_lite('vit_tiny_rpe', **index)


def mae_lite_d2():
    teacher = prefixed('tch_model.', dict(cls_token=torch.ones(1, 1, 768)))
    return training(prefixed('module.', official('d2_mae') | teacher))


def mae_lite_moco():
    encoder = {k: v for k, v in official('vit_tiny').items() if not k.startswith('head.')}
    projector = {'head.0.weight': torch.zeros(8, 192), 'head.1.running_mean': torch.zeros(8)}
    parts = prefixed('base_encoder.', encoder | projector)
    parts |= prefixed('momentum_encoder.', encoder | projector)
    return training(prefixed('module.', parts | {'predictor.0.weight': torch.zeros(8, 8)}))


def mae_lite_plain():
    extra = {'lm_head.weight': torch.zeros(16, 192), 'mask_token': torch.zeros(1, 1, 192)}
    return dict(model=official('vit_tiny') | extra)


def swin_d2():
    teacher = prefixed('tch_model.', dict(mask_token=torch.ones(1, 1, 96)))
    return training(prefixed('module.', official('simmim_swin_d2') | teacher))


def swin_teacher():
    encoder = official('simmim_swin_teacher').items()
    return {key.removeprefix('encoder.'): value for key, value in encoder}


def hiera_mae():
    return dict(model_state=official('hiera_mae_tiny'), epoch=9)


def hiera_by_timm():
    state = official('hiera_tiny').items()
    state = {re.sub(r'^head\.projection\.', 'head.fc.', key): value for key, value in state}
    return {re.sub(r'^norm\.', 'head.norm.', key): value for key, value in state.items()}


def vitdet(size, prefix=''):
    state = prefixed(prefix, official(f'vitdet_tiny_{size}'))
    heads = {
        'proposal_generator.rpn_head.conv.weight': torch.zeros(4, 4, 3, 3),
        'roi_heads.box_head.fc1.bias': torch.zeros(8),
        'pixel_mean': torch.zeros(3, 1, 1),
    }
    return dict(model=state | heads if prefix else state, optimizer={}, iteration=99)


def ostrack():
    counts = {'box_head.conv1_ctr.1.num_batches_tracked': torch.tensor(7)}
    return dict(net=official('ostrack_tiny') | counts, optimizer={}, epoch=300, net_type='OSTrack')


#: Contents, source, options.
FILES = dict(
    mae_lite_finetuned=(mae_lite_finetuned, 'mae-lite', {}),
    mae_lite_mae=(lambda: mae_lite('mae_vit_tiny'), 'mae-lite', {}),
    mae_lite_d2=(mae_lite_d2, 'mae-lite', {}),
    mae_lite_d2_kept=(mae_lite_d2, 'mae-lite', dict(keep_extra=True)),
    mae_lite_moco=(mae_lite_moco, 'mae-lite', {}),
    mae_lite_plain=(mae_lite_plain, 'mae-lite', {}),
    mae_lite_hiera=(lambda: mae_lite('hiera_mae_tiny'), 'mae-lite', {}),
    swin=(lambda: training(prefixed('module.model.', official('simmim_swin'))), 'mae-lite', {}),
    swin_d2=(swin_d2, 'mae-lite', {}),
    swin_d2_kept=(swin_d2, 'mae-lite', dict(keep_extra=True)),
    swin_teacher=(swin_teacher, 'swin', {}),
    mae=(lambda: dict(model=official('mae_vit_tiny')), 'mae', dict(heads=12)),
    deit=(lambda: dict(model=official('vit_tiny'), model_ema={}), 'deit', dict(heads=12)),
    timm=(lambda: official('vit_tiny'), 'timm', dict(heads=12)),
    timm_hiera=(hiera_by_timm, 'timm', {}),
    hiera=(lambda: dict(model_state=official('hiera_tiny')), 'hiera', {}),
    hiera_mae=(hiera_mae, 'hiera', {}),
    hiera_mae_kept=(hiera_mae, 'hiera', dict(keep_extra=True)),
    vitdet_320=(lambda: vitdet(320), 'vitdet', {}),
    vitdet_640=(lambda: vitdet(640, 'backbone.'), 'vitdet', {}),
    ostrack=(ostrack, 'ostrack', {}),
)  # fmt: skip


def converted(name):
    contents, source, options = FILES[name]
    return convert(contents(), source, **options)
