"""Class folders, as mmpretrain's ``CustomDataset`` reads them.

Importing this module makes its readers skip hidden directories and files, such as those of Jupyter
and macOS, warn of images that they leave out because of their suffix, and refuse class names that
are not those of the folders.
"""

import logging
from collections import Counter
from pathlib import PurePath

from mmengine.logging import print_log
from mmpretrain.datasets import CustomDataset, custom

from mmlite.errors import DataError
from mmlite.utils import IMAGE_SUFFIXES

find_folders, find_samples = custom.find_folders, CustomDataset._find_samples


def _find_folders(root, backend=None):
    """Names of the class folders, and name -> label."""
    names = [name for name in find_folders(root, backend)[0] if not name.startswith('.')]
    return names, {name: label for label, name in enumerate(names)}


def _is_valid_file(self, filename):
    """Whether a file is an image of the data set; others are counted by their suffix."""
    path = PurePath(filename)
    if path.name.startswith('.'):
        return False
    valid = filename.lower().endswith(self.extensions)
    suffix = path.suffix.lower()
    if not valid and suffix in IMAGE_SUFFIXES:
        self.__dict__.setdefault('left_out', Counter())[suffix] += 1
    return valid


def _find_samples(self):
    """Find the samples; see mmpretrain."""
    own = type(self).METAINFO.get('classes')
    given = self.CLASSES
    try:
        samples = find_samples(self)
    except AssertionError as error:
        raise DataError(f"'{self.img_prefix}': {error}") from error
    finally:
        left_out = self.__dict__.pop('left_out', {})
        if left_out:
            counts = ', '.join(f'{count} {suffix}' for suffix, count in left_out.items())
            print_log(
                f"'{self.img_prefix}': images left out because of their suffix: {counts}; "
                f'extensions={tuple(sorted((*self.extensions, *left_out)))} of the data set '
                'includes them',
                logger='current',
                level=logging.WARNING,
            )
    if self.with_label and given is not None and given != own:
        check_names(self.img_prefix, sorted(self.folder_to_idx), given)
    return samples


def check_names(root, folders, names):
    """Refuse class names that are not those of the folders in their order."""
    for folder, name in zip(folders, names, strict=False):
        if folder != name:
            raise DataError(
                f"images of the folder '{folder}' in '{root}' would have the class {name!r}: "
                'labels count the folders in alphabetical order. Set metainfo.classes to their '
                'names in this order, or leave it out'
            )


custom.find_folders = _find_folders
CustomDataset.is_valid_file = _is_valid_file
CustomDataset._find_samples = _find_samples
