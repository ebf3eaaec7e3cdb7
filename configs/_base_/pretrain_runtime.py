"""Runtime of pre-training recipes, which count in epochs."""

_base_ = './default_runtime.py'
default_scope = 'mmpretrain'
default_hooks = dict(
    logger=dict(log_metric_by_epoch=True),
    checkpoint=dict(by_epoch=True, interval=10),
)
custom_hooks = [*_base_.custom_hooks, dict(type='mmlite.FrozenTeacherHook')]
log_processor = dict(by_epoch=True)
visualizer = dict(type='UniversalVisualizer', vis_backends=_base_.vis_backends, name='visualizer')
