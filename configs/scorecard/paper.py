"""Table 6 of MAE-Lite (arXiv 2404.12210) on real data, one GPU a training: eleven numbers for each
initialization, beside the paper's (Tables 1, 3, 6 to 8).

Learning rates are fitted to one GPU. Each pre-training has its layer decay on ImageNet-1K and
iNaturalist; the five small sets are searched over the grid of Table S2. Minutes are estimated: the
MACs of a forward pass (``tools/analysis_tools/get_flops.py``), two operations each, times the
images, times three with the backward pass.
"""

title = 'ImageNet-1K, COCO, ADE20K, LaSOT, transfers'
seeds = [0]
inits = ['mae', 'd-mae', 'd2-mae']
figure_images = 1152
device = 'a GPU that sustains 20 TFLOP/s'
archs = {'mmlite.ViT': 'vit', 'mmlite.Hiera': 'hiera'}
paper = dict(  # of ViT-Tiny
    scratch=[75.8, 30.2, 26.1, 9.4, 6.8, 42.7, 57.1, 21.3, 56.1, 32.7, 28.9],
    supervised=[76.5, 96.4, 93.1, 73.5, 85.6, 85.8, 64.7, 41.5, 64.1, 40.4, 35.5],
    dino=[77.2, 95.6, 89.3, 73.6, 84.5, 84.7, 64.7, 39.8, 64.3, 41.4, 36.7],
    mocov3=[76.8, 94.8, 87.8, 73.7, 83.9, 83.9, 63.7, 38.1, 62.9, 39.7, 35.1],
    maskfeat=[77.9, 92.2, 85.5, 72.9, 82.4, 82.6, 64.2, 38.1, 63.8, 41.4, 36.5],
    bootmae=[77.9, 89.4, 79.6, 69.8, 79.4, 80.0, 63.6, 36.4, 63.4, 39.9, 35.4],
    beit=[77.7, 89.2, 78.9, 65.8, 77.6, 79.2, 63.2, 35.7, 62.1, 39.1, 34.7],
    mae=[78.0, 85.8, 76.5, 64.6, 78.8, 78.9, 64.0, 34.5, 61.6, 39.9, 35.4],
    simmim=[77.9, 77.2, 68.9, 55.9, 70.4, 77.7, 63.8, 35.5, 63.4, 39.3, 34.8],
)
paper['d-mae'] = [78.3, 95.2, 89.1, 79.2, 87.5, 85.0, 65.7, 42.9, 65.8, 42.3, 37.3]
paper['d2-mae'] = [78.7, 96.0, 90.4, 80.0, 88.2, 85.2, 66.2, 43.3, 66.1, 42.5, 37.5]
top1 = dict(metric='accuracy/top1', label='top-1, %')
tasks = [
    dict(
        **top1,
        name='classification',
        title='ImageNet-1K',
        configs=dict(
            vit='configs/cls/vit-tiny_8xb128-coslr-300e_in1k.py',
            hiera='configs/cls/hiera-tiny_8xb128-coslr-300e_in1k.py',
        ),
        flags=['--auto-scale-lr', '--amp'],
        minutes=2400,
        supervised=True,
        again=True,
    ),
    *(
        dict(
            **top1,
            name=name,
            title=title,
            configs=dict(vit=f'configs/cls/vit-tiny_1xb512-amp-coslr-{epochs}e_{name}.py'),
            minutes=minutes,
        )
        for name, title, epochs, minutes in (
            ('flowers102', 'Flowers-102', 250, 3),
            ('pets', 'Pets', 150, 3),
            ('aircraft', 'Aircraft', 100, 3),
            ('cars', 'Cars', 100, 4),
            ('cifar100', 'CIFAR-100', 50, 12),
        )
    ),
    dict(
        **top1,
        name='inat18',
        title='iNaturalist 2018',
        configs=dict(vit='configs/cls/vit-tiny_8xb128-coslr-300e_inat18.py'),
        flags=['--auto-scale-lr', '--amp'],
        minutes=820,
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
        minutes=6200,
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
        of='detection',
        name='instances',
        title='COCO, masks',
        metric='coco/segm_mAP',
        label='mask AP, %',
    ),
]
for index, task in enumerate(tasks):
    task['paper'] = dict(vit={name: values[index] for name, values in paper.items()})
# "D2-MAE" of the paper's Hiera-Tiny is D-MAE here
tasks[0]['paper'].update(hiera={'scratch': 75.8, 'mae': 78.5, 'd-mae': 78.9})
tasks[-2]['paper'].update(hiera={'supervised': 37.9, 'd-mae': 43.2})
tasks[-1]['paper'].update(hiera={'supervised': 34.3, 'd-mae': 38.7})
del index, task
