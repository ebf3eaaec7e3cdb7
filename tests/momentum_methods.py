"""MoCo v3, DINO and BootMAE small enough for a test, and batches for them."""

import torch
from mmengine.dataset import BaseDataset
from mmengine.registry import init_default_scope
from mmpretrain.structures import DataSample

from mmlite.registry import DATASETS, MODELS

SIZE = 32  # 4 x 4 patches of 8 pixels
VIT = dict(
    type='mmlite.ViT',
    arch=dict(embed_dims=24, num_layers=2, num_heads=3),
    img_size=SIZE,
    patch_size=8,
)
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


def decoder(out_channels):
    """A decoder of BootMAE."""
    return dict(
        type='mmlite.BootMAEDecoder', in_channels=24, out_channels=out_channels, embed_dims=12,
        num_heads=3,
    )  # fmt: skip


METHODS = dict(
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
        pixel_decoder=decoder(3 * 64),
        feature_decoder=decoder(24),
    ),
)  # fmt: skip


def build(name, **changes):
    """A seeded model of ``METHODS[name]`` in training mode, some of its arguments changed."""
    init_default_scope('mmpretrain')
    torch.manual_seed(0)
    return MODELS.build(dict(METHODS[name], **changes)).train()


def batch(name, images=6, seed=0):
    """Arguments of the method's ``loss``: views, or images and samples with their masks."""
    generator = torch.Generator().manual_seed(seed)

    def draw(size=SIZE):
        return torch.randn(images, 3, size, size, generator=generator)

    if name == 'mocov3':
        return [draw(), draw()], None
    if name == 'dino':
        return [draw(), draw(), draw(16), draw(16), draw(16)], None
    samples = [DataSample() for _ in range(images)]
    for sample in samples:
        sample.set_field(torch.randperm(16, generator=generator)[:8], 'hidden_ids')
    return draw(), samples


@DATASETS.register_module(force=True)
class RandomViews(BaseDataset):
    """Twelve images as the pipeline of a method packs them, without any file."""

    def __init__(self, method, **kwargs):
        self.method = method
        super().__init__(**kwargs)

    def load_data_list(self):
        inputs, samples = batch(self.method, images=12)
        views = inputs if isinstance(inputs, list) else [inputs]
        return [
            dict(
                inputs=[v[i] for v in views] if isinstance(inputs, list) else inputs[i],
                data_samples=samples[i] if samples else DataSample(),
            )
            for i in range(12)
        ]

    def prepare_data(self, idx):
        return {k: v for k, v in self.get_data_info(idx).items() if k != 'sample_idx'}


def loader(name):
    """Batches of six :class:`RandomViews`, two an epoch."""
    return dict(
        batch_size=6,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='default_collate'),
        # serialising collects garbage, which takes a second in a large process
        dataset=dict(type='mmlite.RandomViews', method=name, serialize_data=False),
    )
