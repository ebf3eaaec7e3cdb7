"""MAE on the four other data sets of Table 2, 400 epochs of each, as its caption says. The leaves
of one data set each train for as many iterations as on ImageNet-1K instead.

``tools/sweep.py`` takes the grid from here."""

_base_ = './mae_vit-tiny_8xb512-amp-coslr-400e_in1k.py'
images = 'train_dataloader.dataset'
sweep_grid = {
    'data': [
        *(
            {f'{images}.ann_file': f'meta/train_{part}.txt'}
            for part in ('10percent', '1percent', 'longtailed')
        ),
        {f'{images}.data_root': 'data/imagenet21k/'},
    ]
}
