"""Class folders, as mmpretrain's ``CustomDataset`` reads them.

Importing this module makes its readers skip hidden directories and files, such as those of Jupyter
and macOS, warn of images that they leave out because of their suffix, and refuse directories
without an image, class names that are not those of the folders, and lists of another form.
"""

import logging
import re
from collections import Counter
from pathlib import PurePath

import numpy as np
from mmengine.fileio import list_from_file
from mmengine.logging import print_log
from mmpretrain.datasets import CustomDataset, custom

from mmlite.errors import DataError

from .record import is_hidden

find_folders, find_samples = custom.find_folders, CustomDataset._find_samples
load_data_list = CustomDataset.load_data_list


def _find_folders(root, backend=None):
    """Names of the class folders, and name -> label."""
    names = [name for name in find_folders(root, backend)[0] if not is_hidden(name)]
    return names, {name: label for label, name in enumerate(names)}


def _is_valid_file(self, filename):
    """Whether a file is an image of the data set; others are counted by their suffix."""
    if is_hidden(filename):
        return False
    valid = filename.lower().endswith(self.extensions)
    if not valid:
        self.__dict__.setdefault('left_out', Counter())[PurePath(filename).suffix.lower()] += 1
    return valid


def _find_samples(self):
    """Find the samples; see mmpretrain."""
    root, given = self.img_prefix, self.CLASSES
    try:
        samples = find_samples(self)
    except (AssertionError, RuntimeError) as error:
        folders = getattr(self, 'folder_to_idx', ())
        if folders and given and len(folders) != len(given):
            raise DataError(
                f"'{root}' has {len(folders)} class folders, but {type(self).__name__} names "
                f"{len(given)} classes; for data of your own write type='CustomDataset', without "
                'metainfo.classes'
            ) from error
        where = ' in directories of classes' if self.with_label else ''
        suffixes = ', '.join(sorted(self.extensions))
        raise DataError(f"'{root}' has no image{where} ({suffixes})") from error
    finally:
        left_out = self.__dict__.pop('left_out', {})
        if left_out:
            counts = ', '.join(
                f'{count} {suffix or "without"}' for suffix, count in left_out.items()
            )
            print_log(
                f"'{root}': files left out because of their suffix: {counts}; those that "
                'extensions=(...) of the data set names are read',
                logger='current',
                level=logging.WARNING,
            )
    if self.with_label and given is not None and given != type(self).METAINFO.get('classes'):
        for folder, name in zip(sorted(self.folder_to_idx), given, strict=True):
            if folder != name:
                raise DataError(
                    f"images of the folder '{folder}' in '{root}' would have the class {name!r}: "
                    'labels count the folders in alphabetical order. Set metainfo.classes to their '
                    'names in this order, or leave it out'
                )
    return samples


def _load_data_list(self):
    """Load paths and labels; see mmpretrain. Those of a list are kept in ``labels``, int64 (N,)."""
    try:
        samples = load_data_list(self)
    except ValueError as error:
        for number, line in enumerate(list_from_file(self.ann_file), 1):
            if not re.fullmatch(r'.+ -?\d+', line.strip()):
                raise DataError(
                    f"{self.ann_file}, line {number}: '{line.strip()}' is not of the form PATH "
                    'LABEL with an integer as LABEL'
                ) from error
        raise
    if self.ann_file and self.with_label:
        self.labels = np.array([sample['gt_label'] for sample in samples])
    return samples


custom.find_folders = _find_folders
CustomDataset.is_valid_file = _is_valid_file
CustomDataset._find_samples = _find_samples
CustomDataset.load_data_list = _load_data_list
