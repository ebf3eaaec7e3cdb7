"""Reads files of CIFAR-10's layout that are not the official ones."""

from pathlib import Path

from mmpretrain.datasets import CIFAR10

from mmlite.errors import DataError
from mmlite.registry import DATASETS


@DATASETS.register_module()
class GeneratedCIFAR10(CIFAR10):
    """mmpretrain's ``CIFAR10`` on generated images, see ``make_cifar.py``.

    The reader is the stock one, which refuses all files but the official ones by their checksums;
    here they are not compared. Like the official files, these are pickles: read none that you did
    not make yourself.

    Args:
        data_root (str): Directory that holds ``cifar-10-batches-py``.
        split (str): ``'train'`` or ``'test'``. Defaults to ``'train'``.
        pipeline (Sequence): Transforms. Defaults to none.
        test_mode (bool): See mmengine's ``BaseDataset``. Defaults to False.

    Raises:
        DataError: A file is missing.
    """

    METAINFO = {}  # the names of the classes are read from the files
    train_list = [[name, None] for name, _ in CIFAR10.train_list]
    test_list = [[name, None] for name, _ in CIFAR10.test_list]
    meta = {**CIFAR10.meta, 'md5': None}

    # no ``download`` among the arguments, so that the tools look for the data first
    def __init__(self, data_root='', split='train', pipeline=(), test_mode=False):
        super().__init__(data_root, split, download=False, pipeline=pipeline, test_mode=test_mode)

    def load_data_list(self):
        """Images (32, 32, 3) in RGB order and their labels."""
        folder = Path(self.data_prefix['root']) / self.base_folder
        names = [name for name, _ in self.train_list + self.test_list] + [self.meta['filename']]
        for name in names:
            if not (folder / name).is_file():
                raise DataError(
                    f'{folder / name} is missing; generate it by projects/cifar_mae/make_cifar.py'
                )
        return super().load_data_list()
