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


def vitdet_names(state):
    """A detector of the suite by detectron2's names, without its pyramid."""
    pairs = (
        (r'backbone\.', 'backbone.net.'),
        (r'rpn_head\.rpn_conv\.(\d)\.conv', r'proposal_generator.rpn_head.conv.conv\1'),
        (r'rpn_head\.rpn_cls', 'proposal_generator.rpn_head.objectness_logits'),
        (r'rpn_head\.rpn_reg', 'proposal_generator.rpn_head.anchor_deltas'),
        (r'roi_head\.bbox_head\.fc_cls', 'roi_heads.box_predictor.cls_score'),
        (r'roi_head\.bbox_head\.fc_reg', 'roi_heads.box_predictor.bbox_pred'),
        (r'roi_head\.bbox_head\.shared_fcs\.0', 'roi_heads.box_head.fc1'),
        (r'roi_head\.mask_head\.upsample', 'roi_heads.mask_head.deconv'),
        (r'roi_head\.mask_head\.conv_logits', 'roi_heads.mask_head.predictor'),
    )
    for i in range(4):
        for ours, theirs in (('conv', ''), ('norm_layer', '.norm')):
            pairs += (
                (rf'roi_head\.bbox_head\.shared_convs\.{i}\.{ours}',
                 f'roi_heads.box_head.conv{i + 1}{theirs}'),
                (rf'roi_head\.mask_head\.convs\.{i}\.{ours}',
                 f'roi_heads.mask_head.mask_fcn{i + 1}{theirs}'),
            )  # fmt: skip
    state = {key: value for key, value in state.items() if not key.startswith('neck.')}
    return _renamed(state, pairs)


def mmseg_names(state):
    """A segmentation model of the suite by the names of mmseg's MAE."""
    pairs = (
        (r'backbone\.patch_embed\.proj\b', 'backbone.patch_embed.projection'),
        (r'blocks\.(\d+)\.norm([12])', r'layers.\1.ln\2'),
        (r'blocks\.(\d+)\.ls([12])\.gamma', r'layers.\1.gamma_\2'),
        (r'blocks\.(\d+)\.mlp\.fc1', r'layers.\1.ffn.layers.0.0'),
        (r'blocks\.(\d+)\.mlp\.fc2', r'layers.\1.ffn.layers.1'),
        (r'blocks\.(\d+)\.attn', r'layers.\1.attn'),
    )
    return _renamed(state, pairs)


def _renamed(state, pairs):
    for pattern, name in pairs:
        state = {re.sub(pattern, name, key): value for key, value in state.items()}
    return state


def vitdet(size, prefix=''):
    state = prefixed(prefix, official(f'vitdet_tiny_{size}'))
    heads = {
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
