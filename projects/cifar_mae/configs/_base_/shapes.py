"""Settings for generated images in CIFAR-10's files and a minute on two CPU cores."""

make_data = (
    'python projects/cifar_mae/make_cifar.py --out data/shapes-cifar --train 2000 --test 500'
)
small_width = 96
small_arch = dict(embed_dims=small_width, num_layers=4, num_heads=6)
small_set = dict(type='mmlite.GeneratedCIFAR10', data_root='data/shapes-cifar/')
small_loader = dict(batch_size=64, num_workers=1, dataset=small_set)
small_wrapper = dict(type='OptimWrapper', optimizer=dict(lr=1e-3))
small_scale_lr = dict(base_batch_size=64)
