"""MoCo v3 on the four other data sets of Table 2: 400 epochs of each, as its caption says, and as
many iterations as on ImageNet-1K (500,400 of 1024 images).

``tools/sweep.py`` takes the grid from here."""

_base_ = './mocov3_vit-tiny_8xb128-amp-coslr-400e_in1k.py'
images = 'train_dataloader.dataset'
sets = (
    ({f'{images}.ann_file': 'meta/train_10percent.txt'}, 4003),
    ({f'{images}.ann_file': 'meta/train_1percent.txt'}, 41700),
    ({f'{images}.ann_file': 'meta/train_longtailed.txt'}, 4428),
    ({f'{images}.data_root': 'data/imagenet21k/'}, 39),
)
sweep_grid = {
    'data': [
        dict(
            data,
            **{
                'train_cfg.max_epochs': epochs,
                'param_scheduler.0.end': warm_up,
                'param_scheduler.1.begin': warm_up,
                'param_scheduler.1.end': epochs,
            },
        )
        for data, count in sets
        for epochs, warm_up in ((400, 40), (count, round(count / 10)))
    ]
}
