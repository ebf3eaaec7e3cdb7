"""Models and images of the representation analysis: what its tools take on the command line."""

import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mmengine import registry as root
from mmengine.dataset import Compose
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset

from mmlite.engine.check_config import check_stage_data
from mmlite.engine.checks.data import datasets
from mmlite.engine.checks.types import TypeChecker
from mmlite.engine.cli import check_device, check_out_folder, non_negative_int, positive_int
from mmlite.engine.config_file import SUFFIXES, load_config
from mmlite.errors import DataError, UserError
from mmlite.models import TimmViT
from mmlite.models.weights import load_pretrained
from mmlite.registry import DATASETS, MODELS
from mmlite.utils import IMAGE_SUFFIXES, Progress

from .tapped import TappedModel

OFFICIAL_IMAGES, OFFICIAL_BATCH = 1152, 128
"""The paper's: batches of 128 until more than 1024 images are seen."""
CROP_SHARE = 0.875
"""Side of the crop over the shorter edge of the resized image (224 of 256), as in evaluation."""
LOAD = dict(type='mmlite.LoadImageFromFile')
TIMM = 'timm:'
CONVERSIONS = ('to_rgb', 'bgr_to_rgb', '_channel_conversion', 'channel_conversion')
"""Attributes of the libraries' data preprocessors that say whether channels are swapped."""
MODEL_FORMS = (
    'NAME=CONFIG:CHECKPOINT, NAME=CONFIG (initial weights of training), NAME=timm:MODEL '
    '(weights from timm) or NAME=timm:MODEL:CHECKPOINT; NAME= is optional'
)


def add_options(parser, folder, need_models=True):
    """Add the options of both tools; ``--out`` defaults to ``folder`` below ``work_dirs``."""
    add = parser.add_argument
    add('--models', nargs='+', default=[], required=need_models, metavar='MODEL', help=MODEL_FORMS)
    add(
        '--data', metavar='PATH',
        help='directory of images, or config whose validation data are used; default: the first '
        'config among the models',
    )  # fmt: skip
    add(
        '--num-images', type=non_negative_int, default=OFFICIAL_IMAGES, metavar='N',
        help=f'default: {OFFICIAL_IMAGES}, as in the paper',
    )  # fmt: skip
    add('--batch-size', type=positive_int, default=OFFICIAL_BATCH, metavar='N', help='default: 128')
    add(
        '--official-sampling', action='store_true',
        help='take the first images in the order of the data, which on class-sorted data are of '
        'few classes, instead of random ones',
    )  # fmt: skip
    add('--seed', type=int, default=0, help='of the sample and of random weights; default: 0')
    add(
        '--image-size', type=positive_int, metavar='PIXELS',
        help='side of the central crop that all models see; default: what they are built for',
    )  # fmt: skip
    add(
        '--device', choices=['cpu', 'cuda'],
        default='cuda' if torch.cuda.is_available() else 'cpu', help='default: a GPU if any',
    )  # fmt: skip
    add('--workers', type=non_negative_int, default=2, metavar='N', help='default: 2')
    add('--out', type=Path, default=Path('work_dirs') / folder, help='default: %(default)s')


@dataclass(frozen=True)
class ModelSource:
    """A model on the command line: config or timm's name, and weights.

    Without ``checkpoint``, weights are timm's or the initial ones of training with the config.
    """

    name: str
    config: str | None = None
    timm: str | None = None
    checkpoint: str | None = None

    @classmethod
    def parse(cls, text):
        """Read ``[NAME=]CONFIG[:CHECKPOINT]`` or ``[NAME=]timm:MODEL[:CHECKPOINT]``.

        The name defaults to that of the config or of timm. An empty part is a UserError.
        """
        name, equals, path = text.partition('=')
        if not equals:
            name, path = '', text
        kind = TIMM if path.startswith(TIMM) else ''
        model, colon, checkpoint = path.removeprefix(kind).partition(':')
        if not model or (colon and not checkpoint) or (equals and not name):
            raise UserError(f'{text!r} is not a model; expected {MODEL_FORMS}')
        name = name or (model if kind else Path(model).stem)
        found = dict(timm=model) if kind else dict(config=model)
        return cls(name, checkpoint=checkpoint or None, **found)

    @classmethod
    def parse_all(cls, texts):
        """Read several, see :meth:`parse`, whose names must differ."""
        sources = [cls.parse(text) for text in texts]
        names = [source.name for source in sources]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise UserError(f'two models are called {twice!r}: put NAME= before each')
        return sources


def build_model(source):
    """Build the backbone of a model with its weights, on the CPU.

    Images are normalized as the config's data preprocessor does; weights of another image size are
    resampled; a ``norm`` that the checkpoint lacks keeps its initial values.

    Raises:
        UserError: The config builds no backbone with taps, or timm has no such plain ViT.
        CheckpointError: The checkpoint is missing or of another architecture.
    """
    if source.timm:
        return _build_timm(source)
    cfg = load_config(source.config)
    model, scope = cfg.get('model') or {}, cfg.get('default_scope') or 'mmengine'
    if not isinstance(model.get('backbone'), dict):
        raise UserError(f'{source.config} has no model.backbone')
    preprocessor = model.get('data_preprocessor') or cfg.get('data_preprocessor') or {}
    preprocessor = {'type': 'mmpretrain.ClsDataPreprocessor', **preprocessor}
    checker = TypeChecker(scope)
    checker.walk(model.backbone, 'model.backbone', root.MODELS)
    checker.walk(preprocessor, 'data_preprocessor', root.MODELS)
    with DefaultScope.overwrite_default_scope(scope):
        backbone, preprocessor = MODELS.build(model.backbone), MODELS.build(preprocessor)
    mean = getattr(preprocessor, 'mean', torch.zeros(3)).flatten()
    std = getattr(preprocessor, 'std', torch.ones(3)).flatten()
    swaps = any(getattr(preprocessor, name, False) for name in CONVERSIONS)
    tapped = TappedModel(source.name, backbone, mean, std, rgb=swaps or not _loads_files(cfg))
    if source.checkpoint:
        load_pretrained(backbone, source.checkpoint)
    else:
        with _quiet_initialization():
            backbone.init_weights()
    return tapped


def _build_timm(source):
    """A model of timm, whose normalization is folded into its patch projection."""
    weights = {'checkpoint_path': source.checkpoint} if source.checkpoint else {'pretrained': True}
    backbone = TimmViT(source.timm, **weights)
    if isinstance(backbone.norm, nn.Identity):  # it normalizes after pooling
        backbone = TimmViT(source.timm, out_type='avg_featmap', **weights)
    with _quiet_initialization():
        backbone.init_weights()
    return TappedModel(source.name, backbone, backbone.input_mean, backbone.input_std)


@contextmanager
def _quiet_initialization():
    """Leave out mmengine's log line for each initialized parameter."""
    logger = MMLogger.get_current_instance()

    def is_news(record):
        return ' - torch.Size(' not in record.getMessage()

    logger.addFilter(is_news)
    try:
        yield
    finally:
        logger.removeFilter(is_news)


def _loads_files(cfg):
    """Whether the images of a config come from files, i.e. in BGR, and not as RGB from memory."""
    for stage in ('train', 'val', 'test'):
        dataset = (cfg.get(f'{stage}_dataloader') or {}).get('dataset') or {}
        if 'pipeline' in dataset:
            return _loading_step(dataset) is not None
    return True


def _loading_step(dataset):
    """The transform of a data set's pipeline that reads an image, or None."""
    steps = dataset.get('pipeline') or ()
    return next((step for step in steps if 'LoadImageFromFile' in step['type']), None)


def open_models(texts, args):
    """Build the models of the command line (``args`` of :func:`add_options`) on the device.

    Returns:
        tuple[list[ModelSource], list[TappedModel], int]: Sources, models and the side of the crop
        in pixels. Models built for different sizes without ``--image-size`` are a UserError.
    """
    check_device(args.device)
    check_out_folder('--out', args.out)
    sources, models = ModelSource.parse_all(texts), []
    for number, source in enumerate(sources, 1):
        torch.manual_seed(args.seed)
        models.append(build_model(source).to(torch.device(args.device)))
        print(f'[{number}/{len(sources)}] {source.name}', flush=True)
    sizes = {model.name: model.image_size for model in models}
    if args.image_size is None and len(set(sizes.values())) > 1:
        listed = ', '.join(f'{name} {size}' for name, size in sizes.items())
        raise UserError(
            f'the models are built for images of different sizes ({listed} pixels): choose one by '
            '--image-size'
        )
    return sources, models, args.image_size or sizes[models[0].name]


def open_batches(sources, args, size):
    """Batches of the images that the options ask for, with progress; see :func:`draw_sample`."""
    path = args.data or next((source.config for source in sources if source.config), None)
    if path is None:
        raise UserError('--data is required: models of timm have no validation data')
    loader = draw_sample(
        open_images(path, size), args.num_images, args.batch_size, not args.official_sampling,
        args.seed, args.workers,
    )  # fmt: skip
    return Progress('images', len(loader), 'batches').track(loader)


class CentralCrops(Dataset):
    """Images resized (bicubic) and cropped in the center, not normalized.

    Args:
        records (Sequence[dict] | Dataset): Items, or data sets' ``get_data_info``, with
            ``img_path``, or with ``img``, RGB uint8 (H, W, 3).
        size (int): Side of the crop in pixels.
        load (dict): Transform that reads ``img_path``. Defaults to
            :class:`~mmlite.datasets.transforms.LoadImageFromFile`.
    """

    def __init__(self, records, size, load=LOAD):
        self.records = records
        edge = round(size / CROP_SHARE)
        crop = [
            dict(
                type='mmpretrain.ResizeEdge', scale=edge, backend='pillow', interpolation='bicubic'
            ),
            dict(type='mmpretrain.CenterCrop', crop_size=size),
        ]
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            self.load, self.crop = Compose([load]), Compose(crop)

    def __len__(self):
        return len(self.records)

    def __getitem__(self, index):
        """RGB uint8 tensor (3, size, size)."""
        of_dataset = getattr(self.records, 'get_data_info', None)
        info = of_dataset(index) if of_dataset else self.records[index]
        if 'img' in info:
            image = self.crop(dict(img=info['img']))['img']
        else:
            image = self.crop(self.load(dict(img_path=info['img_path'])))['img'][..., ::-1]
        return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)


def open_images(path, size):
    """Open the images of a directory, or the validation data of a config, as :class:`CentralCrops`.

    A directory is searched at any depth; of the config's ``val_dataloader`` only the loading is
    used. ``size`` is the side of the crop in pixels.

    Raises:
        UserError: The config has no validation data of single images.
        DataError: The directory or the data do not exist or hold no image.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(p for p in path.rglob('*') if p.suffix.lower() in IMAGE_SUFFIXES)
        if not files:
            raise DataError(f'{path} has no image ({", ".join(IMAGE_SUFFIXES)})')
        return CentralCrops([dict(img_path=str(file)) for file in files], size)
    if path.suffix not in SUFFIXES:
        raise DataError(f'{path} is neither a directory of images nor a config')
    cfg = load_config(path)
    if not cfg.get('val_dataloader'):
        raise UserError(
            f'{path} has no validation data: --data must be a directory of images or a config with '
            'val_dataloader'
        )
    check_stage_data(cfg, 'val')
    _, dataset = next(datasets(cfg, 'val'))
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmengine'):
        built = DATASETS.build({**dataset, 'pipeline': []})
    read = getattr(built, 'get_data_info', None)
    if read is None or not {'img', 'img_path'} & read(0).keys():
        raise UserError(
            f'the validation data of {path} ({dataset["type"]}) are not single images: --data must '
            'be a directory of images'
        )
    return CentralCrops(built, size, _loading_step(dataset) or LOAD)


def draw_sample(images, number, batch_size, shuffle=True, seed=0, workers=0):
    """Load uint8 RGB batches (B, 3, size, size) of some images; the last may be smaller.

    Args:
        images (CentralCrops): From :func:`open_images`, at least ``number``.
        number, batch_size, workers (int): Images, images of a batch, processes that read (0).
        shuffle (bool): Take random ones, else the first in order, as the official code of MAE-Lite
            does. Defaults to True.
        seed (int): Of the choice. Defaults to 0.
    """
    if len(images) < number:
        raise UserError(f'--num-images must be <= {len(images)}, the images of the data')
    order = np.arange(len(images))
    if shuffle:
        order = np.random.default_rng(seed).permutation(len(images))
    chosen = Subset(images, order[:number].tolist())
    return DataLoader(chosen, batch_size, num_workers=workers)


def file_name(name):
    """The name of a model as part of a file's name."""
    return re.sub(r'[^\w.-]+', '_', name)
