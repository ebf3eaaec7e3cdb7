"""Predictions that ``tools/test.py --out`` wrote, and the meaning of their labels."""

import pickle

import mmengine
from mmengine.registry import init_default_scope

from mmlite.datasets.transforms import LoadImageFromFile
from mmlite.engine.check_config import check_stage_data
from mmlite.engine.checks.data import datasets
from mmlite.errors import DataError, UserError
from mmlite.registry import DATASETS


def load_predictions(path):
    """Load the output of ``tools/test.py --out``, one dict for each image, or raise a DataError.

    Only open files of your own: unpickling runs code.
    """
    try:
        results = mmengine.load(path)
    except FileNotFoundError as error:
        raise DataError(
            f'predictions {path} not found: write them with tools/test.py CONFIG CHECKPOINT --out'
        ) from error
    except (OSError, EOFError, TypeError, ValueError, pickle.UnpicklingError) as error:
        raise DataError(f'predictions {path} cannot be read: {error}') from error
    if not isinstance(results, list) or not all(isinstance(item, dict) for item in results):
        raise DataError(f'predictions {path} should be a list of results of tools/test.py --out')
    if not results:
        raise DataError(f'predictions {path} hold no result')
    return results


def load_image(path):
    """Load an image file as RGB uint8 (H, W, 3); a DataError names one that cannot be read."""
    return LoadImageFromFile()({'img_path': str(path)})['img'][..., ::-1]


def segmentation_meta(cfg):
    """Class names, RGB colors and ignored label of a segmentation config's test data."""
    if cfg.get('default_scope') != 'mmseg' or not cfg.get('test_dataloader'):
        raise UserError(
            f'config {cfg.filename} should be of a segmentation model and have test data'
        )
    init_default_scope('mmseg')
    key, dataset = next(datasets(cfg, 'test'))
    try:
        built = DATASETS.build(dict(dataset, lazy_init=True, pipeline=[]))
    except (AssertionError, ValueError) as error:  # some classes of mmseg assert that files exist
        check_stage_data(cfg, 'test')
        reason = str(error) or 'it needs its files, see data_root, data_prefix and ann_file'
        raise DataError(f'{key} of type {dataset.type} cannot be built: {reason}') from error
    if not built.metainfo.get('classes'):
        raise DataError(f'{key} has no classes: give metainfo=dict(classes=..., palette=...)')
    return tuple(built.metainfo['classes']), built.metainfo['palette'], built.ignore_index
