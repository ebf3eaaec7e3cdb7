"""Loading of annotations that OpenMMLab's loaders lose silently."""

import copy

from mmcv.transforms import LoadAnnotations as BaseLoadAnnotations
from mmdet.datasets.transforms import LoadAnnotations as LoadInstances
from mmengine import fileio

from mmlite.errors import DataError
from mmlite.registry import TRANSFORMS

from .label_maps import check_labels, decode_label_map, reduce_zero

load_masks = LoadInstances._load_masks


def _load_masks(self, results):
    """Load the masks of an image as polygons, as bitmaps if one is run lengths (RLE).

    mmdet ignores every object with run lengths if ``poly2mask=False``.
    """
    if any(isinstance(item.get('mask'), dict) for item in results['instances']):
        self = copy.copy(self)  # other images keep their polygons
        self.poly2mask = True
    load_masks(self, results)


LoadInstances._load_masks = _load_masks


@TRANSFORMS.register_module()
class LoadSegAnnotations(BaseLoadAnnotations):
    """Load the label map of an image for semantic segmentation.

    As mmseg's ``LoadAnnotations``, whose configs it serves, but labels of 16 bits stay as they are
    (mmseg casts 299 to 43), and the size and the labels are checked.

    Required keys: ``img_path``, ``seg_map_path``, ``ori_shape``, ``reduce_zero_label``,
    ``label_map``. Added key: ``gt_seg_map`` (H, W).

    Args:
        reduce_zero_label (bool, optional): Must be that of the data set, which decides.
        backend_args (dict, optional): File backend, see :func:`mmengine.fileio.get`.
        imdecode_backend (str): Without effect; Pillow decodes.

    Attributes:
        num_classes (int, optional), ignore_index (int): Labels are 0 to ``num_classes`` - 1 or
            ``ignore_index``. Set where the data set is judged.

    Raises:
        DataError: From a call; names the label map.
    """

    def __init__(self, reduce_zero_label=None, backend_args=None, imdecode_backend='pillow'):
        super().__init__(
            with_bbox=False,
            with_label=False,
            with_seg=True,
            imdecode_backend=imdecode_backend,
            backend_args=backend_args,
        )
        self.reduce_zero_label = reduce_zero_label
        self.num_classes, self.ignore_index = None, 255

    def transform(self, results):
        path, zero = results.get('seg_map_path'), bool(results['reduce_zero_label'])
        if path is None:
            raise DataError(
                f'image {results["img_path"]} has no label map: set data_prefix.seg_map_path of '
                'the data set, or take LoadAnnotations out of its pipeline'
            )
        if self.reduce_zero_label not in (None, zero):
            raise DataError(
                f'reduce_zero_label={zero} of the data set, but LoadAnnotations has '
                f'reduce_zero_label={self.reduce_zero_label}: set the first only'
            )
        try:
            labels = decode_label_map(fileio.get(path, backend_args=self.backend_args))
            shape = tuple(results.get('ori_shape', labels.shape))[:2]
            if labels.shape != shape:
                raise DataError(
                    f'its size is {labels.shape[1]} x {labels.shape[0]}, but image '
                    f'{results["img_path"]} has {shape[1]} x {shape[0]} pixels'
                )
            if zero:
                labels = reduce_zero(labels, self.ignore_index)
            mapping = results.get('label_map')
            classes = len(mapping) if mapping else self.num_classes
            if classes:
                check_labels(labels, classes, self.ignore_index, zero)
        except FileNotFoundError as error:
            raise DataError(f'label map {path} does not exist') from error
        except DataError as error:
            raise DataError(f'label map {path} cannot be used: {error}') from error
        if mapping:
            original = labels.copy()
            for old, new in mapping.items():
                labels[original == old] = new
        results['gt_seg_map'] = labels
        results['seg_fields'].append('gt_seg_map')
        return results
