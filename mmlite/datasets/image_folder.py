"""Images of a directory."""

from mmpretrain.datasets import CustomDataset

from mmlite.registry import DATASETS
from mmlite.utils import IMAGE_SUFFIXES


@DATASETS.register_module()
class ImageFolder(CustomDataset):
    """mmpretrain's ``CustomDataset`` for lists with or without labels.

    With ``with_label=False``, images may be anywhere below ``data_prefix``, in directories of their
    classes or without directories, and a label that ``ann_file`` has after a path is left out: the
    same lists serve pre-training and fine-tuning.

    Args:
        **kwargs: As in ``CustomDataset``.
    """

    def load_data_list(self):
        """Image paths, with labels where they are read."""
        samples = super().load_data_list()
        if self.ann_file and not self.with_label:
            for sample in samples:
                path, _, label = sample['img_path'].rpartition(' ')
                if label.isdecimal() and path.lower().endswith(IMAGE_SUFFIXES):
                    sample['img_path'] = path
        return samples
