"""Models for the layer analysis, from a config and a checkpoint or from timm."""

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine import registry as root
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from torch import nn

from mmlite.engine.checks.types import TypeChecker
from mmlite.engine.config_file import load_config
from mmlite.errors import UserError
from mmlite.models import TimmViT
from mmlite.models.weights import load_pretrained
from mmlite.registry import MODELS

from .layers import TappedModel

TIMM = 'timm:'
CONVERSIONS = ('to_rgb', 'bgr_to_rgb', '_channel_conversion', 'channel_conversion')
"""Attributes of the libraries' data pre-processors that say whether channels are swapped."""

UNTYPED = dict(type='mmpretrain.ClsDataPreprocessor')
"""What mmpretrain takes for a pre-processor without a type."""


@dataclass(frozen=True)
class ModelSource:
    """Where a model comes from.

    Attributes:
        name (str): For tables and figures.
        config (str | None): Config file; None for a model of timm.
        timm (str | None): timm's name of the model.
        checkpoint (str | None): Weights; None for those of timm, or for those that training with
            the config starts from.
    """

    name: str
    config: str | None = None
    timm: str | None = None
    checkpoint: str | None = None

    @classmethod
    def parse(cls, text):
        """Read ``[NAME=]CONFIG[:CHECKPOINT]`` or ``[NAME=]timm:MODEL[:CHECKPOINT]``.

        The name defaults to that of the config or of timm.

        Raises:
            UserError: If a part is empty.
        """
        name, equals, place = text.partition('=')
        if not equals:
            name, place = '', text
        kind = TIMM if place.startswith(TIMM) else ''
        model, colon, checkpoint = place.removeprefix(kind).partition(':')
        if not model or (colon and not checkpoint) or (equals and not name):
            raise UserError(
                f'{text!r} names no model: write NAME=CONFIG:CHECKPOINT, NAME=CONFIG for the '
                f'weights that training starts from, or NAME=timm:MODEL'
            )
        name = name or (model if kind else Path(model).stem)
        found = dict(timm=model) if kind else dict(config=model)
        return cls(name, checkpoint=checkpoint or None, **found)

    @classmethod
    def parse_all(cls, texts):
        """Read several, see :meth:`parse`.

        Raises:
            UserError: If two have the same name.
        """
        sources = [cls.parse(text) for text in texts]
        names = [source.name for source in sources]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise UserError(f'two models are called {twice!r}: write NAME=... in front of each')
        return sources


def build_model(source):
    """Build the backbone of a model, and nothing else of it, with its weights.

    Args:
        source (ModelSource): Of a config, any whose model has a ``backbone`` with taps.

    Returns:
        TappedModel: On the CPU, normalising images as the config's data pre-processor does. Weights
        of another image size are resampled; a ``norm`` that the checkpoint lacks stays fresh (ones
        and zeros), as where a pre-trained model gets the ``fc_norm`` of fine-tuning.

    Raises:
        UserError: If the config cannot be read or builds no such backbone, or timm has no such
            plain ViT.
        CheckpointError: If the checkpoint is missing or of another architecture.
    """
    if source.timm:
        return _build_timm(source)
    cfg = load_config(source.config)
    model, scope = cfg.get('model') or {}, cfg.get('default_scope') or 'mmengine'
    if not isinstance(model.get('backbone'), dict):
        raise UserError(f'{source.config} has no model.backbone, whose layers could be read')
    preprocessor = model.get('data_preprocessor') or cfg.get('data_preprocessor') or {}
    preprocessor = {**UNTYPED, **preprocessor}
    checker = TypeChecker(scope)
    checker.walk(model.backbone, 'model.backbone', root.MODELS)
    checker.walk(preprocessor, 'data_preprocessor', root.MODELS)
    with DefaultScope.overwrite_default_scope(scope):
        backbone = MODELS.build(model.backbone)
        mean, std, swaps = _normalisation(preprocessor)
    tapped = TappedModel(source.name, backbone, mean, std, rgb=swaps or not loads_files(cfg))
    if source.checkpoint:
        load_pretrained(backbone, source.checkpoint)
    else:
        with quiet_initialisation():
            backbone.init_weights()
    return tapped


def _build_timm(source):
    """A model of timm, whose normalisation is folded into its patch projection."""
    weights = {'checkpoint_path': source.checkpoint} if source.checkpoint else {'pretrained': True}
    backbone = TimmViT(source.timm, **weights)
    if isinstance(backbone.norm, nn.Identity):  # it normalises behind the pooling
        backbone = TimmViT(source.timm, out_type='avg_featmap', **weights)
    with quiet_initialisation():
        backbone.init_weights()
    return TappedModel(source.name, backbone, backbone.input_mean, backbone.input_std)


@contextmanager
def quiet_initialisation():
    """Leave out the lines that mmengine logs about each parameter that is initialised."""
    logger = MMLogger.get_current_instance()

    def is_news(record):
        return ' - torch.Size(' not in record.getMessage()

    logger.addFilter(is_news)
    try:
        yield
    finally:
        logger.removeFilter(is_news)


def _normalisation(cfg):
    """Mean and deviation in 0 to 255, and whether the pre-processor swaps BGR to RGB."""
    preprocessor = MODELS.build(cfg)
    mean = getattr(preprocessor, 'mean', torch.zeros(3))
    std = getattr(preprocessor, 'std', torch.ones(3))
    swaps = any(getattr(preprocessor, name, False) for name in CONVERSIONS)
    return mean.flatten(), std.flatten(), swaps


def loads_files(cfg):
    """Whether the images of a config come from files, i.e. in BGR, and not as RGB from memory."""
    for stage in ('train', 'val', 'test'):
        dataset = (cfg.get(f'{stage}_dataloader') or {}).get('dataset') or {}
        if 'pipeline' in dataset:
            return loading_step(dataset) is not None
    return True


def loading_step(dataset):
    """The transform of a data set's pipeline that reads an image, None where there is none."""
    steps = dataset.get('pipeline') or ()
    return next((step for step in steps if 'LoadImageFromFile' in step['type']), None)
