"""The recipes of MAE-Lite (arXiv 2404.12210, Tables 3 to 6) on real data, one GPU a training.

Learning rates are fitted to one GPU. Classification trains all initializations, random weights too,
with the layer decay of MAE-Lite's code, 0.85. Minutes are estimated: the MACs of a forward pass
(``tools/analysis_tools/get_flops.py``), two operations each, times the images, times three with the
backward pass.
"""

title = 'ImageNet-1K, COCO, ADE20K, LaSOT'
seeds = [0]
figure_images = 1152
device = 'a GPU that sustains 20 TFLOP/s'
archs = {'mmlite.ViT': 'vit', 'mmlite.Hiera': 'hiera'}
tasks = [
    dict(
        name='classification',
        title='ImageNet-1K',
        metric='accuracy/top1',
        label='top-1, %',
        configs=dict(
            vit='configs/cls/vit-tiny_8xb128-coslr-300e_in1k.py',
            hiera='configs/cls/hiera-tiny_8xb128-coslr-300e_in1k.py',
        ),
        options={'optim_wrapper.paramwise_cfg.layer_decay_rate': 0.85},
        flags=['--auto-scale-lr', '--amp'],
        minutes=2400,
        supervised=True,
    ),
    dict(
        name='linear-probe',
        title='ImageNet-1K, linear',
        metric='accuracy/top1',
        label='top-1, %',
        configs=dict(
            vit='configs/cls/vit-tiny_linear_8xb2048-amp-coslr-90e_in1k.py',
            hiera='configs/cls/hiera-tiny_linear_8xb2048-amp-coslr-90e_in1k.py',
        ),
        flags=['--auto-scale-lr'],
        minutes=240,
    ),
    dict(
        name='detection',
        title='COCO',
        metric='coco/bbox_mAP',
        label='box AP, %',
        factor=100,
        configs=dict(
            vit='configs/det/mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px.py',
            hiera='configs/det/mask-rcnn_hiera-tiny-fpn_8xb8-amp-lsj-100e_coco-640px.py',
        ),
        flags=['--auto-scale-lr'],
        minutes=12000,
        predictions=True,
    ),
    dict(
        name='segmentation',
        title='ADE20K',
        metric='mIoU',
        label='mIoU, %',
        configs=dict(
            vit='configs/seg/upernet_vit-tiny_8xb2-amp-160k_ade20k-512x512.py',
            hiera='configs/seg/upernet_hiera-tiny_8xb2-amp-160k_ade20k-512x512.py',
        ),
        flags=['--auto-scale-lr'],
        minutes=540,
        predictions=True,
    ),
    dict(
        name='tracking',
        title='LaSOT',
        metric='sot/AUC',
        label='AUC, %',
        configs=dict(
            vit='configs/track/ostrack_vit-tiny-ce_4xb32-300e_sot-256px.py',
            hiera='configs/track/ostrack_hiera-tiny_4xb32-300e_sot-256px.py',
        ),
        options={  # the recipe validates on GOT-10k
            'val_dataloader.dataset.type': 'mmlite.LaSOTDataset',
            'val_dataloader.dataset.data_root': 'data/LaSOT/',
            'val_dataloader.dataset.split': 'test',
            'train_cfg.val_interval': 300,
        },
        flags=['--auto-scale-lr'],
        minutes=200,
    ),
]
