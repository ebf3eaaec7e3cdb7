"""What all stages share: the network (3.6M parameters), CIFAR-10's pixels, the runtime."""

_base_ = '../../../../configs/_base_/default_runtime.py'
custom_imports = dict(
    imports=['projects.cifar_mae.discounted_mae', 'projects.cifar_mae.generated_cifar']
)
default_scope = 'mmpretrain'
image_size = 36
model = dict(
    backbone=dict(
        type='mmlite.ViT',
        arch=dict(embed_dims=192, num_layers=12, num_heads=12, mlp_ratio=2),
        img_size=image_size,
        patch_size=3,
    ),
    data_preprocessor=dict(
        mean=[125.307, 122.961, 113.858], std=[62.985, 62.093, 66.708], to_rgb=True
    ),
)
data_root = 'data/cifar10/'
# the files hold RGB; mmcv's transforms work on BGR
to_bgr = dict(type='PILToNumpy', to_bgr=True)
train_dataloader = dict(
    num_workers=8,
    persistent_workers=True,
    drop_last=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='CIFAR10', data_root=data_root, split='train'),
)
train_cfg = dict(type='EpochBasedTrainLoop')
default_hooks = dict(
    logger=dict(log_metric_by_epoch=True), checkpoint=dict(by_epoch=True, interval=10)
)
log_processor = dict(by_epoch=True)
env_cfg = dict(cudnn_benchmark=True)
visualizer = dict(type='UniversalVisualizer', vis_backends=_base_.vis_backends, name='visualizer')
