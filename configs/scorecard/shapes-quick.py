"""Every task on generated images, one training each: an hour or more for one checkpoint on two
cores, most of it shared by all checkpoints of a scorecard. Minutes are those of one training on one
thread, measured beside other programs on an Intel Xeon."""

title = 'Generated images, quick'
seeds = [0]
figure_images = 256
archs = {'mmlite.ViT': 'vit', 'mmlite.Hiera': 'hiera'}
recipes = 'configs/shapes'
tasks = [
    dict(
        name='classification',
        title='Classification',
        metric='accuracy/top1',
        label='top-1, %',
        configs=dict(
            vit=f'{recipes}/cls/vit-tiny_8xb128-coslr-300e_in1k_shapes.py',
            hiera=f'{recipes}/cls/hiera-tiny_8xb128-coslr-300e_in1k_shapes.py',
        ),
        options={
            'train_cfg.max_epochs': 4,
            'param_scheduler.1.end': 4,
        },
        minutes=2.5,
        supervised=True,
    ),
    dict(
        name='linear-probe',
        title='Linear probe',
        metric='accuracy/top1',
        label='top-1, %',
        configs=dict(
            vit=f'{recipes}/cls/vit-tiny_linear_8xb2048-amp-coslr-90e_in1k_shapes.py',
        ),
        minutes=5,
    ),
    dict(
        name='detection',
        title='Detection',
        metric='coco/bbox_mAP',
        label='box AP, %',
        factor=100,
        configs=dict(
            vit=f'{recipes}/det/mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px_shapes.py',
            hiera=f'{recipes}/det/mask-rcnn_hiera-tiny-fpn_8xb8-amp-lsj-100e_coco-640px_shapes.py',
        ),
        options={
            'train_cfg.max_iters': 300,
            'param_scheduler.1.end': 300,
            'train_cfg.val_interval': 100,
        },
        minutes=6,
        predictions=True,
    ),
    dict(
        name='segmentation',
        title='Segmentation',
        metric='mIoU',
        label='mIoU, %',
        configs=dict(
            vit=f'{recipes}/seg/semfpn_vit-tiny_8xb2-amp-160k_ade20k-512x512_shapes.py',
            hiera=f'{recipes}/seg/semfpn_hiera-tiny_8xb2-amp-160k_ade20k-512x512_shapes.py',
        ),
        options={
            'train_cfg.max_iters': 200,
            'param_scheduler.1.end': 200,
            'train_cfg.val_interval': 100,
        },
        minutes=3,
        predictions=True,
    ),
    dict(
        name='tracking',
        title='Tracking',
        metric='sot/AUC',
        label='AUC, %',
        configs=dict(
            vit=f'{recipes}/track/ostrack_vit-tiny-ce_4xb32-300e_sot-256px_shapes.py',
            hiera=f'{recipes}/track/ostrack_hiera-tiny_4xb32-300e_sot-256px_shapes.py',
        ),
        options={
            'train_cfg.max_epochs': 4,
            'train_cfg.val_interval': 4,
            'param_scheduler.0.milestones': [3],
            'param_scheduler.0.end': 4,
        },
        minutes=10,
    ),
]
