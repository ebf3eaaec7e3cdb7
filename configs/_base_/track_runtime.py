"""Runtime of tracking recipes, which count in epochs."""

_base_ = './default_runtime.py'
default_scope = 'mmengine'
default_hooks = dict(
    logger=dict(log_metric_by_epoch=True),
    checkpoint=dict(by_epoch=True, interval=10),
)
log_processor = dict(by_epoch=True)
visualizer = dict(type='Visualizer', vis_backends=_base_.vis_backends, name='visualizer')
