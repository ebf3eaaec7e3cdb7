"""Runtime of classification recipes, which count in epochs and keep the best top-1."""

_base_ = './default_runtime.py'
default_scope = 'mmpretrain'
default_hooks = dict(
    logger=dict(log_metric_by_epoch=True),
    checkpoint=dict(by_epoch=True, interval=10, save_best='accuracy/top1'),
    visualization=dict(type='VisualizationHook'),
)
log_processor = dict(by_epoch=True)
visualizer = dict(type='UniversalVisualizer', vis_backends=_base_.vis_backends, name='visualizer')
# otherwise all GPUs would mix their images by one ratio and in one order
randomness = dict(seed=None, diff_rank_seed=True)
