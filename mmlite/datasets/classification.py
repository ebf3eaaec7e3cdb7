"""Data sets of classification: any directory of images, and iNaturalist."""

import json
import os

from mmpretrain.datasets import BaseDataset, CustomDataset

from mmlite.errors import DataError
from mmlite.registry import DATASETS
from mmlite.utils import IMAGE_SUFFIXES

from .formats import folders  # noqa: F401  (class folders are judged)


@DATASETS.register_module()
class ImageFolder(CustomDataset):
    """mmpretrain's ``CustomDataset`` for lists with or without labels.

    With ``with_label=False``, images may be anywhere below ``data_prefix``, in directories of their
    classes or without directories, and a label that ``ann_file`` has after a path is left out: the
    same lists serve pre-training and fine-tuning. ``extensions`` are by default all that the suite
    reads.
    """

    def __init__(self, *args, extensions=IMAGE_SUFFIXES, **kwargs):
        super().__init__(*args, extensions=extensions, **kwargs)

    def load_data_list(self):
        samples = super().load_data_list()
        if self.ann_file and not self.with_label:
            for sample in samples:
                path, _, label = sample['img_path'].rpartition(' ')
                if label.isdecimal() and path.lower().endswith(IMAGE_SUFFIXES):
                    sample['img_path'] = path
        return samples


@DATASETS.register_module()
class INaturalist(BaseDataset):
    """Species of iNaturalist 2017, 2018 or 2019 (arXiv 1707.06642) in the layout of its archives.

    ``<data_root>/train2018.json`` and ``val2018.json``, in COCO's form, name the images by their
    path below the root, ``train_val2018/<group>/<category>/<image>.jpg``. A label is the
    ``category_id``.

    Args:
        data_root (str): Directory of the annotation files.
        ann_file (str): One of them.
        **kwargs: As in mmpretrain's ``BaseDataset``.

    Raises:
        DataError: The file cannot be read or is not in that form, an image has no category, or a
            category is not one of those that the file lists, 0 to C - 1.
    """

    def __init__(self, data_root, ann_file, **kwargs):
        super().__init__(ann_file=ann_file, data_root=data_root, **kwargs)

    def load_data_list(self):
        try:
            with open(self.ann_file, encoding='utf-8') as file:
                content = json.load(file)
            categories = sorted(content['categories'], key=lambda item: item['id'])
            classes = tuple(str(item['name']) for item in categories)
            labels = {item['image_id']: item['category_id'] for item in content['annotations']}
            images = [(image['id'], image['file_name']) for image in content['images']]
        except OSError as error:
            raise DataError(f'{self.ann_file} cannot be read: {error.strerror}') from error
        except json.JSONDecodeError as error:
            raise DataError(f'{self.ann_file} is not valid JSON: {error}') from error
        except (KeyError, TypeError) as error:
            raise DataError(
                f'{self.ann_file} is not an annotation file of iNaturalist with labels: it needs '
                f'images, annotations and categories'
            ) from error
        self._metainfo.setdefault('classes', classes)
        samples = []
        for image, name in images:
            label = labels.get(image)
            if label is None:
                raise DataError(f"{self.ann_file}: image '{name}' has no annotation")
            if not 0 <= label < len(classes):
                raise DataError(
                    f"{self.ann_file}: image '{name}' has category {label}, but there are "
                    f'{len(classes)}, 0 to {len(classes) - 1}'
                )
            samples.append(dict(img_path=os.path.join(self.img_prefix, name), gt_label=label))
        return samples
