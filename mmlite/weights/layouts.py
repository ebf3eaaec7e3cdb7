"""Names of weights in the files of each code base, and rules for every name."""

import re
from dataclasses import dataclass

from mmlite.errors import CheckpointError
from mmlite.models.weights import summarise

SOURCES = ('mae-lite', 'mae', 'deit', 'timm', 'hiera', 'swin', 'ostrack', 'vitdet', 'mmseg')

MOVE, EXTRA, DROP, REFUSE = 'move', 'extra', 'drop', 'refuse'

ENCODER_KEYS = (
    r'(cls_token|pos_embed|patch_embed\.proj\.(weight|bias)|(fc_)?norm\.(weight|bias)'
    r'|blocks\.\d+\.((norm[12]|attn\.(qkv|proj)|mlp\.fc[12]|proj)\.(weight|bias)|ls[12]\.gamma'
    r'|attn\.(relative_position_bias_table|rel_pos_[hw]|q_bias|v_bias)))'
)
#: Pattern of a whole key, what to do with it, and its new name or the reason; the first that fits.
ENCODER_RULES = (
    (ENCODER_KEYS, MOVE, r'backbone.\1'),
    (r'(blocks\.\d+)\.gamma_([12])', MOVE, r'backbone.\1.ls\2.gamma'),
    (r'rel_pos_bias\.(relative_position_bias_table)', MOVE, r'backbone.\1'),
    (r'head\.norm\.(weight|bias)', MOVE, r'backbone.norm.\1'),  # timm's Hiera
    (r'head\.(?:projection\.|fc\.)?(weight|bias)', MOVE, r'head.fc.\1'),
    (r'.*\brelative_position_index', DROP, 'index buffers, computed when needed'),
    (r'(?:decoder_|encoder_norm\.|multi_scale_fusion_heads\.).*|mask_token', EXTRA,
     'decoder of pre-training'),
    (r'dist_token', DROP,
     'distillation token with its row of pos_embed: the features change without it'),
    (r'head_dist\..*', DROP, 'second classifier of distillation'),
    (r'reg_token|register_tokens|storage_tokens', REFUSE, 'register tokens'),
    (r'(?:norm|ln)_pre\..*', REFUSE, 'a norm before the blocks'),
    (r'pos_embed_win', REFUSE, 'window positions beside a global table of another resolution'),
    (r'pos_embed.+|.*segment_pos_embed', REFUSE, 'a further position embedding'),
    (r'(?:blocks|patch_embed)\..*', REFUSE, 'a part of another kind of encoder'),
)  # fmt: skip
REMAINDER = (r'.*', DROP, 'not part of the backbone')

#: Layers in front of the two convolutions of each level of ViTDet's pyramid.
PYRAMID_SCALES = {'2': 4, '3': 1, '4': 0, '5': 1}


def _pyramid_name(match):
    """detectron2 keeps a convolution and its norm in one module, we have two in a row."""
    level, index, norm, leaf = match.groups()
    scales, index = PYRAMID_SCALES[level], int(index)
    index += max(index - scales, 0) + bool(norm)
    return f'neck.levels.{int(level) - 2}.{index}.{leaf}'


def _detector_name(match):
    """detectron2 counts layers of the heads from 1, mmdet from 0."""
    box, number, norm, leaf = match.group('box', 'number', 'norm', 'leaf')
    layers = dict(
        conv='bbox_head.shared_convs', fc='bbox_head.shared_fcs', mask_fcn='mask_head.convs'
    )
    inner = '' if box == 'fc' else 'norm_layer.' if norm else 'conv.'
    return f'roi_head.{layers[box]}.{int(number) - 1}.{inner}{leaf}'


def count_blocks(names):
    """Names, by key, of a file with stages, whose blocks are counted through all of them.

    ``layers.1.blocks.0`` of Swin becomes ``blocks.2`` if ``layers.0`` has two blocks, and the
    merging after a stage a part of its last block. Other names stay.
    """
    pattern = r'((?:.*\.)?)layers\.(\d+)\.(?:blocks\.(\d+)|(downsample))\.(.+)'
    found = {key: match for key, name in names.items() if (match := re.fullmatch(pattern, name))}
    depths = {}
    for prefix, stage, block, _, _ in (match.groups() for match in found.values()):
        depth = depths.setdefault(prefix, {})
        depth[int(stage)] = max(depth.get(int(stage), 0), int(block or 0) + 1)

    def counted(prefix, stage, block, merging, rest):
        before = sum(depth for other, depth in depths[prefix].items() if other < int(stage))
        index = before + (depths[prefix][int(stage)] - 1 if merging else int(block))
        return f'{prefix}blocks.{index}.{"downsample." if merging else ""}{rest}'

    return names | {key: counted(*match.groups()) for key, match in found.items()}


@dataclass(frozen=True)
class Layout:
    """Names of weights in the files of one code base, without ``module.``.

    ``mark`` is the pattern of the start of a key that tells it from the layouts that follow.
    ``sources`` may have it: none where such files have or need no conversion. ``encoder`` is the
    pattern, without groups, of the prefix of the encoder's keys. ``rules`` are asked before
    :data:`ENCODER_RULES`; a name may be a function of the match.
    """

    title: str
    mark: str
    sources: tuple = ()
    encoder: str = ''
    rules: tuple = ()


LAYOUTS = (
    Layout(
        'Swin', r'(model\.)?(encoder\.)?blocks\.\d+\.downsample\.', ('mae-lite', 'swin'),
        r'(?:model\.)?(?:encoder\.)?',
        (
            (r'(?:model\.)?(?:encoder\.)?(mask_token|patch_embed\.norm\.(?:weight|bias)'
             r'|blocks\.\d+\.downsample\.(?:norm\.(?:weight|bias)|reduction\.weight))', MOVE,
             r'backbone.\1'),
            (r'.*\.attn_mask', DROP, 'masks of shifted windows, computed when needed'),
            (r'(?:model\.)?encoder\.norm\..*|(?:model\.)?decoder(?:_pred)?\..*', EXTRA,
             'decoder of pre-training and the norm before it'),
            (r'(?:tch_model|attn_adapter)\..*', EXTRA, 'teacher and adapter of distillation'),
        ),
    ),
    Layout(
        "detectron2's ViTDet", r'(backbone\.)?(net\.patch_embed\.|simfp_\d)', ('vitdet',),
        r'(?:backbone\.)?net\.',
        (
            (r'(?:backbone\.)?simfp_([2-5])\.(\d+)\.(norm\.)?(weight|bias)', MOVE, _pyramid_name),
            (r'(?:backbone\.)?simfp_.*', REFUSE, 'a pyramid level of another form'),
            (r'proposal_generator\.rpn_head\.conv\.conv(\d)\.(weight|bias)', MOVE,
             r'rpn_head.rpn_conv.\1.conv.\2'),
            (r'proposal_generator\.rpn_head\.conv\.(weight|bias)', MOVE,
             r'rpn_head.rpn_conv.\1'),
            (r'proposal_generator\.rpn_head\.objectness_logits\.(.*)', MOVE,
             r'rpn_head.rpn_cls.\1'),
            (r'proposal_generator\.rpn_head\.anchor_deltas\.(.*)', MOVE, r'rpn_head.rpn_reg.\1'),
            (r'roi_heads\.(?:box|mask)_head\.(?P<box>conv|fc|mask_fcn)(?P<number>\d)\.'
             r'(?P<norm>norm\.)?(?P<leaf>weight|bias)', MOVE, _detector_name),
            (r'roi_heads\.box_predictor\.cls_score\.(.*)', MOVE, r'roi_head.bbox_head.fc_cls.\1'),
            (r'roi_heads\.box_predictor\.bbox_pred\.(.*)', MOVE, r'roi_head.bbox_head.fc_reg.\1'),
            (r'roi_heads\.mask_head\.deconv\.(.*)', MOVE, r'roi_head.mask_head.upsample.\1'),
            (r'roi_heads\.mask_head\.predictor\.(.*)', MOVE,
             r'roi_head.mask_head.conv_logits.\1'),
        ),
    ),
    Layout(
        'OSTrack', r'box_head\.|(backbone\.)?pos_embed_[zx]', ('ostrack',), r'backbone\.',
        (
            (r'backbone\.(pos_embed_[zx])', MOVE, r'\1'),
            (r'backbone\.cls_token', DROP, 'class token, which the tracker does not use'),
            (r'box_head\.conv([1-5])_(ctr|offset|size)\.(.*)', MOVE,
             lambda match: f'head.{match[2]}.{int(match[1]) - 1}.{match[3]}'),
            (r'box_head\..*', REFUSE, 'a head of another form than the centre head'),
        ),
    ),
    Layout(
        "MAE-Lite, or have Lightning's prefix 'model.'",
        r'model\.patch_embed\.|base_encoder\.|tch_model\.|attn_adapter\.',
        ('mae-lite',), r'(?:model|base_encoder)\.',
        (
            (r'base_encoder\.head\..*', DROP, 'projector of MoCo-v3'),
            (r'(?:momentum_encoder|predictor)\..*', DROP, 'momentum encoder, predictor of MoCo-v3'),
            (r'(?:tch_model|attn_adapter)\..*', EXTRA, 'teacher and adapter of distillation'),
        ),
    ),
    Layout('those of mmlite itself, which need no conversion', r'backbone\.blocks\.'),
    Layout(
        "mmseg's BEiT or MAE", r'backbone\.layers\.\d+\.ln1\.', ('mmseg',), r'backbone\.',
        (
            (r'(backbone\.patch_embed\.proj)ection(\..*)', MOVE, r'\1\2'),
            (r'backbone\.layers\.(\d+)\.ln([12]\..*)', MOVE, r'backbone.blocks.\1.norm\2'),
            (r'backbone\.layers\.(\d+)\.gamma_([12])', MOVE, r'backbone.blocks.\1.ls\2.gamma'),
            (r'backbone\.layers\.(\d+)\.ffn\.layers\.0\.0(\..*)', MOVE,
             r'backbone.blocks.\1.mlp.fc1\2'),
            (r'backbone\.layers\.(\d+)\.ffn\.layers\.1(\..*)', MOVE,
             r'backbone.blocks.\1.mlp.fc2\2'),
            (r'backbone\.layers\.(\d+\.attn\.(?:(?:qkv|proj)\..*|[qv]_bias'
             r'|relative_position_bias_table))', MOVE, r'backbone.blocks.\1'),
            (r'(neck\..*|decode_head\..*)', MOVE, r'\1'),
        ),
    ),
    Layout('an OpenMMLab transformer', r'(backbone\.)?layers\.\d+\.(ln1|norm1)\.'),
    Layout('Hiera', r'blocks\.\d+\.proj\.', ('hiera', 'timm')),
    Layout('MAE', r'decoder_embed\.', ('mae',)),
    Layout('a distilled DeiT', r'dist_token', ('deit', 'timm')),
    Layout('a plain ViT', r'blocks\.\d+\.attn\.qkv\.', ('mae-lite', 'mae', 'deit', 'timm')),
)  # fmt: skip


def recognise(keys, source):
    """The layout of weights: the first whose mark is among their names, if ``source`` has it."""
    layout = next((i for i in LAYOUTS if any(re.match(i.mark, key) for key in keys)), None)
    if layout is None:
        looks = f'are those of no source: {summarise(keys)}'
    elif source not in layout.sources:
        named = f' (source {" or ".join(layout.sources)})' if layout.sources else ''
        looks = f'look like {layout.title}{named}'
    else:
        return layout
    raise CheckpointError(f'it is not a {source} checkpoint: its keys {looks}')


def all_rules(layout, names):
    """Every rule (pattern, verb, new name or reason) for the keys of a file without ``module.``."""
    inner = list(ENCODER_RULES)
    blocks = {}
    for name in names:
        match = re.match(rf'(?:{layout.encoder})blocks\.(\d+)\.(.+)\.(?:weight|bias)', name)
        if match:
            blocks.setdefault(int(match[1]), set()).add(match[2])
    if blocks and blocks[max(blocks)] == {'norm1', 'attn.qkv'}:
        reason = 'attention-only block of D2-MAE'
        inner.insert(0, (rf'blocks\.{max(blocks)}\..*', EXTRA, reason))
    if any(re.search(r'\b(attn_pool|pre_logits)\.', name) for name in names):
        reason = 'classifier after layers that are not part of the backbone'
        inner.insert(0, (r'head\.(?:fc\.)?(?:weight|bias)', DROP, reason))
    prefixed = [(f'(?:{layout.encoder})(?:{pattern})', *rest) for pattern, *rest in inner]
    return [*layout.rules, *prefixed, REMAINDER]
