"""Models and images of the representation analysis: what its tools take on the command line."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mmengine import registry as root
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision import transforms

from mmlite.engine.build import as_device
from mmlite.engine.check_config import check_stage_data
from mmlite.engine.checks.data import datasets
from mmlite.engine.checks.types import TypeChecker
from mmlite.engine.cli import check_out_folder, non_negative_int, positive_int
from mmlite.engine.config_file import SUFFIXES, load_config
from mmlite.engine.initializations import METHODS
from mmlite.errors import DataError, UserError
from mmlite.models import TimmViT
from mmlite.models.weights import load_pretrained
from mmlite.registry import DATASETS, MODELS, TRANSFORMS
from mmlite.utils import IMAGE_SUFFIXES, Progress

from .tapped import TappedModel

# the paper's: batches of 128 until more than 1024 images are seen
OFFICIAL_IMAGES, OFFICIAL_BATCH = 1152, 128
CROP_SHARE = 0.875  # of the shorter edge, 224 of 256, as in evaluation
LOAD = dict(type='mmlite.LoadImageFromFile')
# attributes of the libraries' data preprocessors that say whether channels are swapped
CONVERSIONS = ('to_rgb', 'bgr_to_rgb', '_channel_conversion', 'channel_conversion')
MODEL = re.compile(r'(?:([^=:]+)=)?(timm:)?([^:]+)(?::(.+))?')
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
    """A model on the command line; without ``checkpoint``, with timm's or initial weights."""

    name: str
    config: str | None = None
    timm: str | None = None
    checkpoint: str | None = None

    @classmethod
    def parse(cls, text):
        """Read one of :data:`MODEL_FORMS`; the name defaults to that of the config or of timm."""
        match = MODEL.fullmatch(text)
        if not match or text[-1] in '=:':
            raise UserError(f'{text!r} is not a model; expected {MODEL_FORMS}')
        name, timm, model, checkpoint = match.groups()
        if timm:
            return cls(name or model, timm=model, checkpoint=checkpoint)
        return cls(name or Path(model).stem, config=model, checkpoint=checkpoint)


def build_model(source):
    """Build the backbone of a model with its weights and normalization, on the CPU.

    With a checkpoint and a name of :data:`~mmlite.engine.initializations.METHODS`, it has the form
    of that pre-training, e.g. the LayerScale of ``'beit'``.
    """
    if source.timm:
        return _build_timm(source)
    form = {'--init': f'{source.name}={source.checkpoint}', 'load_from': None}
    known = source.checkpoint and source.name in METHODS
    cfg = load_config(source.config, form if known else {})
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
    read = [d for stage in ('train', 'val', 'test') for _, d in datasets(cfg, stage)]
    read = [dataset for dataset in read if 'pipeline' in dataset]
    # images of files are BGR, those that a data set holds in memory RGB
    rgb = swaps or bool(read and not _loading_step(read[0]))
    tapped = TappedModel(source.name, backbone, mean, std, rgb)
    if source.checkpoint:
        load_pretrained(backbone, source.checkpoint)
    else:
        backbone.init_weights()
    return tapped


def _build_timm(source):
    """A model of timm, whose normalization is folded into its patch projection."""
    weights = {'checkpoint_path': source.checkpoint} if source.checkpoint else {'pretrained': True}
    backbone = TimmViT(source.timm, **weights)
    if isinstance(backbone.norm, nn.Identity):  # it normalizes after pooling
        backbone = TimmViT(source.timm, out_type='avg_featmap', **weights)
    backbone.init_weights()
    return TappedModel(source.name, backbone, backbone.input_mean, backbone.input_std)


def _loading_step(dataset):
    """The transform of a data set's pipeline that reads an image, or None."""
    steps = dataset.get('pipeline') or ()
    return next((step for step in steps if 'LoadImageFromFile' in step['type']), None)


def open_models(texts, args):
    """Build the models of the command line; returns sources, models and the side of the crop."""
    as_device(args.device)
    check_out_folder('--out', args.out)
    MMLogger.get_current_instance().setLevel('WARNING')  # no line for each initialized parameter
    sources, models, sizes = [ModelSource.parse(text) for text in texts], [], {}
    for number, source in enumerate(sources, 1):
        if source.name in sizes:
            raise UserError(f'two models are called {source.name!r}: put NAME= before each')
        torch.manual_seed(args.seed)
        models.append(build_model(source).to(torch.device(args.device)))
        sizes[source.name] = models[-1].image_size
        print(f'[{number}/{len(sources)}] {source.name}', flush=True)
    if args.image_size is None and len(set(sizes.values())) > 1:
        listed = ', '.join(f'{name} {size}' for name, size in sizes.items())
        raise UserError(
            f'the models are built for images of different sizes ({listed} pixels): choose one by '
            '--image-size'
        )
    return sources, models, args.image_size or models[0].image_size


def open_batches(sources, args, size):
    """RGB uint8 batches (B, 3, size, size) of the images that are asked for, with progress."""
    path = args.data or next((source.config for source in sources if source.config), None)
    if path is None:
        raise UserError('--data is required: models of timm have no validation data')
    images, number = open_images(path, size), args.num_images
    if len(images) < number:
        raise UserError(f'--num-images must be <= {len(images)}, the images of the data')
    order = np.arange(len(images))
    if not args.official_sampling:
        order = np.random.default_rng(args.seed).permutation(len(images))
    chosen = Subset(images, order[:number].tolist())
    loader = DataLoader(chosen, args.batch_size, num_workers=args.workers)
    return Progress('images', len(loader), 'batches').track(loader)


class CentralCrops(Dataset):
    """Images resized (bicubic) and cropped in the center: RGB uint8 tensors (3, size, size).

    ``records`` are items, or data sets' ``get_data_info``, with ``img_path``, which the transform
    ``load`` reads, or with ``img``, RGB uint8 (H, W, 3).
    """

    def __init__(self, records, size, load=LOAD):
        self.records = records
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            self.load = TRANSFORMS.build(load)
        edge = round(size / CROP_SHARE)
        resize = transforms.Resize(edge, transforms.InterpolationMode.BICUBIC)
        crop = transforms.CenterCrop(size)
        self.crop = transforms.Compose([resize, crop, transforms.PILToTensor()])

    def __len__(self):
        return len(self.records)

    def __getitem__(self, index):
        of_dataset = getattr(self.records, 'get_data_info', None)
        info = of_dataset(index) if of_dataset else self.records[index]
        if 'img' in info:
            image = info['img']
        else:
            image = self.load(dict(img_path=info['img_path']))['img'][..., ::-1]
        return self.crop(Image.fromarray(np.ascontiguousarray(image)))


def open_images(path, size):
    """Open a directory of images, at any depth, or the validation data of a config."""
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


def file_name(name):
    """The name of a model as part of a file's name."""
    return re.sub(r'[^\w.-]+', '_', name)
