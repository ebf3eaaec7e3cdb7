"""Images for the layer analysis: central crops of a folder or of a config's validation data."""

from pathlib import Path

import numpy as np
import torch
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope
from torch.utils.data import DataLoader, Dataset, Subset

from mmlite.datasets.subsets import EXTENSIONS
from mmlite.engine.check_config import check_stage_data
from mmlite.engine.checks.data import datasets
from mmlite.engine.config_file import SUFFIXES, load_config
from mmlite.errors import DataError, UserError
from mmlite.registry import DATASETS

from .layer_models import loading_step

CROP_SHARE = 0.875
"""Side of the crop over the shorter edge of the resized image (224 of 256), as in evaluation."""
LOAD = dict(type='mmlite.LoadImageFromFile')


class CentralCrops(Dataset):
    """Images resized (bicubic) and cropped in the centre, not normalised.

    Args:
        records (Sequence[dict]): Each with ``img_path``, or with ``img``, RGB uint8 (H, W, 3).
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
        record = dict(self.records[index])
        if 'img' in record:
            image = self.crop(record)['img']
        else:
            image = self.crop(self.load(record))['img'][..., ::-1]
        return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)


def open_images(place, size):
    """Images of a folder, or the validation data of a config.

    Args:
        place (str | Path): A folder, searched for images at any depth; or a config file, whose
            ``val_dataloader`` names the data. Its pipeline is not used, save for how it loads.
        size (int): Side of the central crop in pixels.

    Returns:
        CentralCrops: In the order of the paths or of the data set, which is by class for most.

    Raises:
        UserError: If the config has no validation data of single images.
        DataError: If the folder or the data do not exist or hold no image.
    """
    place = Path(place)
    if place.is_dir():
        files = sorted(p for p in place.rglob('*') if p.suffix.lower() in EXTENSIONS)
        if not files:
            raise DataError(f'folder {place} has no image ({", ".join(EXTENSIONS)})')
        return CentralCrops([dict(img_path=str(file)) for file in files], size)
    if place.suffix not in SUFFIXES:
        raise DataError(f'{place} is neither a folder of images nor a config')
    cfg = load_config(place)
    if not cfg.get('val_dataloader'):
        raise UserError(
            f'{place} has no validation data: give --data a folder of images or a config with '
            f'val_dataloader'
        )
    check_stage_data(cfg, 'val')
    return _open_dataset(cfg, place, size)


def _open_dataset(cfg, place, size):
    """The first validation set of a config, without its pipeline."""
    _, dataset = next(datasets(cfg, 'val'))
    load = loading_step(dataset) or LOAD
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmengine'):
        built = DATASETS.build({**dataset, 'pipeline': []})
    read = getattr(built, 'get_data_info', None)
    if read is None or not {'img', 'img_path'} & read(0).keys():
        raise UserError(
            f'the validation data of {place} ({dataset["type"]}) are no single images: give --data '
            f'a folder of images'
        )
    return CentralCrops(_Records(built), size, load)


class _Records:
    """What a data set of OpenMMLab knows of its images, by index."""

    def __init__(self, dataset):
        self.dataset = dataset

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index):
        info = self.dataset.get_data_info(index)
        return {key: info[key] for key in ('img', 'img_path') if key in info}


def draw_sample(images, number, batch_size, shuffle=True, seed=0, workers=0):
    """Batches of some of the images.

    Args:
        images (CentralCrops): From :func:`open_images`.
        number (int): Images to take; a last batch may be smaller.
        batch_size (int): Images of a batch.
        shuffle (bool): Take random ones, in random order, else the first as they come, as the
            official code of MAE-Lite does: on class-sorted data those are of few classes.
            Defaults to True.
        seed (int): Of the choice. Defaults to 0.
        workers (int): Processes that read. Defaults to 0.

    Returns:
        DataLoader: Of uint8 RGB batches (B, 3, size, size).

    Raises:
        UserError: If there are fewer images.
    """
    if len(images) < number:
        raise UserError(
            f'the data have {len(images)} images, fewer than the {number} asked for: give '
            f'--num-images {len(images)} or less'
        )
    order = np.arange(len(images))
    if shuffle:
        order = np.random.default_rng(seed).permutation(len(images))
    chosen = Subset(images, order[:number].tolist())
    return DataLoader(chosen, batch_size, num_workers=workers)
