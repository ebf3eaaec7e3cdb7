"""Changes that turn a transfer to a small data set into linear probing: SGD without weight decay,
100 epochs, a wide range of learning rates, both kinds of features. The paper does not say how it
probes."""

linear_train_cfg = dict(max_epochs=100)
linear_wrapper = dict(clip_grad=None, paramwise_cfg=None)
linear_schedule = [
    dict(
        type='LinearLR', start_factor=1e-6, by_epoch=True, begin=0, end=10,
        convert_to_iter_based=True,
    ),
    dict(
        type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, begin=10, end=100,
        convert_to_iter_based=True,
    ),
]  # fmt: skip
linear_grid = {
    'optim_wrapper.optimizer.lr': [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0],
    'model.backbone.out_type': ['avg_featmap', 'cls_token'],
}
