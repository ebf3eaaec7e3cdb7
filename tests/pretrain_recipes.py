"""The pre-training recipes for generated images, with models and batches that need no data."""

from functools import cache
from pathlib import Path

import torch
from mmengine.dataset import default_collate
from mmengine.registry import init_default_scope

from mmlite.analysis.benchmark import RandomImages
from mmlite.engine.launch import read_config
from mmlite.registry import MODELS

ROOT = Path(__file__).parents[1] / 'configs/shapes/pretrain'
RECIPES = [path.relative_to(ROOT).as_posix() for path in sorted(ROOT.rglob('*.py'))]


def build(recipe):
    """The model of a recipe, with random weights (a teacher's, too)."""
    torch.manual_seed(0)
    cfg = read_config(ROOT / recipe)
    init_default_scope(cfg.default_scope)
    return MODELS.build(cfg.model)


@cache
def samples(recipe, count=2):
    """Noise that went through the recipe's own pipeline."""
    cfg = read_config(ROOT / recipe)
    init_default_scope(cfg.default_scope)
    images = RandomImages(cfg.train_dataloader.dataset.pipeline)
    return [images[index] for index in range(count)]


def batch(model, recipe, count=2, first=0):
    """Arguments of ``model.loss``: a batch after the data pre-processor."""
    chosen = samples(recipe, first + count)[first:]
    return model.data_preprocessor(default_collate(chosen), True)
