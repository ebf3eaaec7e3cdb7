"""A classifier of three classes that trains in seconds: shared by tests of the tools."""

from pathlib import Path

from mmlite.datasets.shapes import Job, generate, task_spec

RECIPES = Path(__file__).resolve().parents[1] / 'configs' / 'shapes' / 'cls'
RECIPE = RECIPES / 'vit-tiny_8xb128-coslr-300e_in1k_shapes.py'
SMALL = """
_base_ = '{recipe}'
model = dict(
    data_preprocessor=dict(num_classes=3),
    backbone=dict(arch=dict(_delete_=True, embed_dims=24, num_layers=2, num_heads=3), img_size=32),
    head=dict(in_channels=24, num_classes=3),
)
train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[1].update(scale=32)
test_pipeline[1].update(scale=36)
test_pipeline[2].update(crop_size=32)
alone = dict(num_workers=0, persistent_workers=False)
train_dataloader = dict(
    alone, batch_size=6, dataset=dict(data_root='{data}', pipeline=train_pipeline)
)
val_dataloader = dict(alone, dataset=dict(data_root='{data}', pipeline=test_pipeline))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=2, val_interval=1)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=1)
param_scheduler[1].update(begin=1, end=2)
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=1, max_keep_ckpts=-1))
randomness = dict(seed=0)
"""


def write(folder, recipe=RECIPE, name='small.py'):
    """Write a config that inherits a recipe of ViT-Tiny, and its data if they are not there."""
    data = folder / 'data'
    if not data.exists():
        spec = task_spec('cls', size=48, classes=3)
        generate(Job('cls', data, spec, 0, train=12, val=6))
    config = folder / name
    config.write_text(SMALL.format(recipe=recipe, data=data))
    return config
