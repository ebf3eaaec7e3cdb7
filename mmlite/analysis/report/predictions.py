"""Reads the predictions that ``tools/test.py --out`` writes, and what their labels mean."""

import pickle
from typing import NamedTuple

import mmengine
from mmengine.registry import init_default_scope

from mmlite.engine.check_config import check_stage_data
from mmlite.engine.checks.data import datasets
from mmlite.errors import DataError, UserError
from mmlite.registry import DATASETS


def load_predictions(path):
    """What ``tools/test.py --out`` wrote on this machine.

    Args:
        path (str | Path): A pickle file. Only open files of your own: unpickling runs code.

    Returns:
        list[dict]: One result for each picture.

    Raises:
        DataError: If there is no such file, or it holds something else.
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


class Labels(NamedTuple):
    """What the labels of a segmentation data set mean."""

    names: tuple
    """Name of each class."""
    colours: list
    """Its colour, (red, green, blue) in 0 to 255."""
    ignored: int
    """Label of pixels that do not count."""


def segmentation_labels(cfg):
    """Classes, colours and ignored label of the test data of a segmentation config.

    Args:
        cfg (mmengine.config.Config): With ``test_dataloader``. Its files are looked at only where
            the class of the data set wants them.

    Returns:
        Labels: Of the data set, wrappers taken off.

    Raises:
        UserError: If the config is not of a segmentation model or has no test data.
        DataError: If the data set cannot be made or has no classes.
    """
    if cfg.get('default_scope') != 'mmseg' or not cfg.get('test_dataloader'):
        raise UserError(
            f'config {cfg.filename} should be of a segmentation model and have test data'
        )
    init_default_scope('mmseg')
    place, dataset = next(datasets(cfg, 'test'))
    try:
        built = DATASETS.build(dict(dataset, lazy_init=True, pipeline=[]))
    except (AssertionError, ValueError) as error:  # some classes of mmseg assert that files exist
        check_stage_data(cfg, 'test')
        reason = str(error) or 'it wants its files, see data_root, data_prefix and ann_file'
        raise DataError(f'{place} of type {dataset.type} cannot be made: {reason}') from error
    meta = built.metainfo
    if not meta.get('classes'):
        raise DataError(f'{place} has no classes: give metainfo=dict(classes=..., palette=...)')
    return Labels(tuple(meta['classes']), meta['palette'], built.ignore_index)
