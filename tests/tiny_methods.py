"""Pre-training methods small enough for a test, and batches for them."""

import golden
import torch
from mmengine.logging import MessageHub
from mmengine.registry import init_default_scope
from mmpretrain.structures import DataSample

from mmlite.registry import MODELS

SIZE = 32  # 4 x 4 patches of 8 pixels
VIT = dict(
    type='mmlite.ViT',
    arch=dict(embed_dims=24, num_layers=2, num_heads=3),
    img_size=SIZE,
    patch_size=8,
)
VIT_64 = dict(VIT, img_size=64, patch_size=16, out_type='raw')  # 4 x 4 patches, too
IDS = torch.tensor([[0, 3, 7, 8, 15], [1, 2, 3, 9, 10]])  # hidden patches of two images
HIERA = dict(
    type='mmlite.Hiera',
    arch=dict(embed_dims=8, num_layers=(1, 1, 1, 1), num_heads=1),
    img_size=SIZE,
    out_type='avg_featmap',
)


def perceptron(channels, out_channels, layers):
    """A projector or predictor of MoCo v3."""
    return dict(
        type='NonLinearNeck', in_channels=channels, hid_channels=32, out_channels=out_channels,
        num_layers=layers, with_bias=False, with_last_bn=True, with_last_bn_affine=False,
        with_last_bias=False, with_avg_pool=False, norm_cfg=dict(type='SyncBN'),
    )  # fmt: skip


BOOT_DECODER = dict(type='mmlite.BootMAEDecoder', embed_dims=12, num_heads=3)
VQ = dict(type='mmlite.DiscreteTokenizer', vocab_size=16, embed_dims=4, channels=(8, 8, 8), depth=1)
L1 = dict(type='PixelReconstructionLoss', criterion='L1', channel=3)
L2 = dict(type='PixelReconstructionLoss', criterion='L2')
MEAN_STD = dict(mean=[120.0, 110.0, 100.0], std=[60.0, 50.0, 40.0])

METHODS = dict(
    simmim=dict(
        type='mmlite.SimMIM',
        backbone=dict(VIT_64, pos_embed='sincos', weight_init='beit'),
        neck=dict(type='SimMIMLinearDecoder'),
        head=dict(type='SimMIMHead', loss=L1),
    ),
    maskfeat=dict(
        type='mmlite.MaskFeat',
        backbone=VIT_64,
        neck=dict(type='LinearNeck', norm_cfg=None),
        head=dict(type='MIMHead', loss=L2),
        target_generator=dict(type='mmlite.HOGTarget'),
        data_preprocessor=MEAN_STD,
    ),
    beit=dict(
        type='mmlite.BEiT',
        backbone=dict(VIT_64, layer_scale_init_value=0.1, weight_init='beit'),
        head=dict(type='mmlite.TokenHead', num_embed=16),
        target_generator=VQ,
        data_preprocessor=dict(
            type='TwoNormDataPreprocessor', second_mean=[127.5] * 3, second_std=[127.5] * 3,
            **MEAN_STD,
        ),
    ),
    tokenizer=dict(VQ, vocab_size=32),
    mocov3=dict(
        type='mmlite.MoCoV3',
        backbone=dict(VIT, out_type='cls_token', pos_embed='sincos', weight_init='moco'),
        neck=perceptron(24, 16, 3),
        head=dict(type='mmlite.MoCoV3Head', predictor=perceptron(16, 16, 2)),
    ),
    dino=dict(
        type='mmlite.DINO',
        backbone=dict(VIT, out_type='cls_token', drop_path_rate=0.1),
        neck=dict(
            type='mmlite.DINOProjector', in_channels=24, out_channels=40, hidden_channels=32,
            bottleneck_channels=16,
        ),
        head=dict(type='mmlite.DINOLoss', out_channels=40),
    ),
    bootmae=dict(
        type='mmlite.BootMAE',
        backbone=dict(VIT, out_type='raw', pos_embed='sincos', weight_init='moco'),
        pixel_decoder=BOOT_DECODER,
        feature_decoder=BOOT_DECODER,
    ),
)  # fmt: skip


MOMENTUM = ('mocov3', 'dino', 'bootmae')
#: Learning rate, steps, and the share of the first loss that is left after them.
LEARNING = dict(
    simmim=(1e-2, 30, 0.5), maskfeat=(1e-2, 15, 0.3), beit=(1e-2, 20, 0.3),
    tokenizer=(1e-2, 25, 0.7), mocov3=(2e-3, 20, 0.5), dino=(2e-3, 20, 0.6),
    bootmae=(2e-3, 20, 0.8),
)  # fmt: skip


def build(name, **changes):
    """A seeded model of ``METHODS[name]`` in training mode, some of its arguments changed."""
    init_default_scope('mmpretrain')
    torch.manual_seed(0)
    model = MODELS.build(dict(METHODS[name], **changes)).train()
    if name not in MOMENTUM:
        model.init_weights()
    return model


def at(iteration, last=400):
    """Set the training progress to ``iteration`` of ``last``."""
    MessageHub.get_instance('a run').update_info_dict(dict(iter=iteration, max_iters=last))


def images(height=64, width=None, batch=2):
    """Normalized noise."""
    return golden.images(height, width, batch)


def samples(ids=IDS):
    """Data samples with ``hidden_ids``."""
    packed = [DataSample() for _ in ids]
    for sample, hidden in zip(packed, ids, strict=True):
        sample.set_field(hidden, 'hidden_ids')
    return packed


def masked_tokens(model, images, hidden):
    """Normalized patch tokens of images, row by row; ``hidden`` are cells or a mask of each."""
    tokens = model.backbone.patch_embed(images).flatten(2).transpose(1, 2).clone()
    for row, cells in zip(tokens, hidden, strict=True):
        row[cells] = model.mask_token[0, 0]
    tokens, _ = model.backbone.encode(model.backbone.add_positions(tokens, (4, 4)), context=(4, 4))
    return model.backbone.norm(tokens)[:, 1:]


def hidden_pixels(hidden, grid=(4, 4)):
    """Pixels (B, 3, H, W) of hidden patches (B, h * w), bool, of 16 x 16 pixels."""
    mask = hidden.view(-1, 1, *grid).repeat_interleave(16, 2).repeat_interleave(16, 3)
    return mask.expand(-1, 3, -1, -1)


def batch(name, images=6, seed=0):
    """Arguments of the method's ``loss``, of which something can be learned."""
    generator = torch.Generator().manual_seed(seed)

    def noise(*size):
        return torch.randn(images, 3, *size, generator=generator)

    if name == 'simmim':
        return (noise(1, 1).expand(-1, -1, 64, 64),)
    if name == 'tokenizer':
        return (noise(4, 4).repeat_interleave(8, 2).repeat_interleave(8, 3),)
    if name == 'maskfeat':
        stripes = torch.sin(torch.arange(64.0) * 0.8).expand(3, 64, 64)
        return torch.stack([stripes, stripes.transpose(1, 2)]), samples()
    if name == 'beit':
        level = torch.linspace(-2, 2, images).view(images, 1, 1, 1)
        return [noise(64, 64), level.expand(-1, 3, 32, 32)], samples([IDS[0]] * images)
    if name == 'mocov3':
        return [noise(SIZE, SIZE), noise(SIZE, SIZE)], None
    if name == 'dino':
        return [noise(side, side) for side in (SIZE, SIZE, 16, 16, 16)], None
    ids = [torch.randperm(16, generator=generator)[:8] for _ in range(images)]
    return noise(SIZE, SIZE), samples(ids)


def train(loss, parameters, lr, steps):
    """Losses of some steps of AdamW; ``loss()`` computes that of a fixed batch."""
    optimizer = torch.optim.AdamW([p for p in parameters if p.requires_grad], lr=lr)
    seen = []
    for _ in range(steps):
        value = loss()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        seen.append(value.item())
    return seen


def silent(model):
    """Trainable parameters without a gradient, and frozen ones with one."""
    return [
        name
        for name, p in model.named_parameters()
        if p.requires_grad != (p.grad is not None and bool(p.grad.any()))
    ]
