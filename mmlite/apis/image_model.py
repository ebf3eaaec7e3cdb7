"""From a config and weights to a model for images, its test pipeline and the names of classes."""

import copy
from dataclasses import dataclass
from pathlib import Path

from mmengine import registry as root
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope
from torch import nn

from mmlite.datasets.subsets import find_classes
from mmlite.datasets.transforms import LoadImageFromFile
from mmlite.engine.build import config_name, init_model, open_config
from mmlite.engine.checks.classes import class_folder
from mmlite.engine.checks.data import datasets
from mmlite.engine.checks.types import TypeChecker, find
from mmlite.errors import UserError
from mmlite.registry import DATASETS

from .tasks import INFERENCERS, find_task


@dataclass
class ImageModel:
    """A model with what leads to it.

    Args:
        network (nn.Module): In evaluation mode, on its device.
        scope (str): Default scope of its config, under which it is called.
        pipeline (Compose): The test pipeline behind the loading of images, without annotations.
        load (LoadImageFromFile): Reads image files as the test pipeline does.
        to_float32 (bool): Whether the pipeline takes images as float32.
        rgb (bool): Whether the pipeline takes images in RGB order: its data come from memory.
        classes (tuple[str] | None): Names of the classes, None where nothing names them.
        palette (list | None): (red, green, blue) of each class.
    """

    network: nn.Module
    scope: str
    pipeline: Compose
    load: LoadImageFromFile
    to_float32: bool
    rgb: bool
    classes: tuple | None
    palette: list | None


def load_image_model(config, weights, device, task):
    """Build a model, load its weights and put it into evaluation mode.

    Args:
        config (str | Path | Config): A config file or an open config, which stays as it is.
        weights (str | Path | None): Checkpoint; None for the ``load_from`` of the config.
        device (str | torch.device | None): None for CUDA where there is a GPU.
        task (str): A key of :data:`~.tasks.INFERENCERS`.

    Returns:
        ImageModel: The model.

    Raises:
        UserError: If the config, the device or the weights are missing or wrong, or the config is
            of another task.
        CheckpointError: If the weights are not exactly those of the model.
    """
    cfg = open_config(config)
    found = find_task(cfg)
    if found != task:
        raise UserError(f'{config_name(cfg)} is for {found}: give it to {INFERENCERS[found]}')
    weights = weights or cfg.get('load_from')
    if not weights:
        raise UserError(f'no weights are given: {task} needs the checkpoint of its training')
    place, dataset = _test_dataset(cfg)
    scope = cfg.get('default_scope') or 'mmengine'
    TypeChecker(scope).walk(dataset.pipeline, place, root.TRANSFORMS)
    loading, steps = _split(dataset.pipeline)
    with DefaultScope.overwrite_default_scope(scope):
        network = init_model(cfg, weights, device)
        pipeline = Compose(steps)
        classes, palette = _classes(network.dataset_meta, dataset, scope)
    load, to_float32 = _loader(loading or {}, config_name(cfg))
    rgb = loading is None  # only data sets that come out of memory have no loading, and are RGB
    mean = getattr(network.data_preprocessor, 'mean', None)
    if rgb and mean is not None and mean.numel() == 1:
        raise UserError(
            f'{config_name(cfg)} is for images of one channel: inferencers are for colour images'
        )
    return ImageModel(network, scope, pipeline, load, to_float32, rgb, classes, palette)


def _test_dataset(cfg):
    """The first data set with a pipeline, of testing or else validation, and where that is."""
    for stage in ('test', 'val'):
        for place, dataset in datasets(cfg, stage):
            if dataset.get('pipeline'):
                return f'{place}.pipeline', copy.deepcopy(dataset)
    raise UserError(
        f'{config_name(cfg)} has no pipeline in its test_dataloader: it tells how images are '
        'prepared for the model'
    )


def _split(pipeline):
    """The step that loads images or None, and the steps without it and without annotations."""
    loading, steps = None, []
    for step in pipeline:
        kind = step['type']
        name = kind.rpartition('.')[2] if isinstance(kind, str) else kind.__name__
        if name.startswith('LoadImageFrom'):
            loading = step
        elif not (name.startswith('Load') and 'Annotation' in name):
            steps.append(step)
    return loading, steps


def _loader(loading, config):
    """What reads files as a step of a pipeline does, and whether it makes float32 of them."""
    colours = loading.get('color_type', 'color')
    if colours != 'color':
        raise UserError(
            f'{config} loads images with color_type={colours!r}: inferencers are for colour images'
        )
    kept = {key: loading[key] for key in ('imdecode_backend', 'backend_args') if key in loading}
    return LoadImageFromFile(**kept), bool(loading.get('to_float32', False))


def _classes(recorded, dataset, scope):
    """Names and colours of the classes: of the checkpoint, or else of the config's data set."""
    sources = [
        source
        for source in (recorded, _dataset_meta(dataset, scope))
        if isinstance(source.get('classes'), (list, tuple))
    ]
    if not sources:
        return None, None
    classes = tuple(sources[0]['classes'])
    for source in sources:
        palette = source.get('palette')
        if tuple(source['classes']) == classes and isinstance(palette, (list, tuple)):
            if len(palette) == len(classes):
                return classes, [tuple(colour) for colour in palette]
    return classes, None


def _dataset_meta(dataset, scope):
    """What a data set knows of its classes, also where its files are not on this machine."""
    try:
        meta = DATASETS.build({**dataset, 'pipeline': [], 'lazy_init': True}).metainfo
    except Exception:  # data sets fail in many ways where files are missing, and names may be known
        kind = dataset['type']
        kind = find(kind, root.DATASETS, scope) if isinstance(kind, str) else kind
        meta = {**(getattr(kind, 'METAINFO', None) or {}), **(dataset.get('metainfo') or {})}
    folder = class_folder(dataset, scope)
    if not meta.get('classes') and folder and Path(folder).is_dir():
        meta = dict(meta, classes=find_classes(folder))  # as where the folders are read for testing
    return meta
