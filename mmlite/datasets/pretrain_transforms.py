"""Transforms of pre-training: crops with Pillow's antialiased filters, and blockwise masks."""

import math

import mmcv
import numpy as np
import torch
from mmcv.transforms.utils import cache_randomness
from mmengine.utils import to_2tuple
from mmpretrain.datasets import RandomResizedCrop as BaseRandomResizedCrop
from mmpretrain.datasets.transforms import BEiTMaskGenerator

from mmlite.errors import ArgumentError
from mmlite.registry import TRANSFORMS
from mmlite.utils.names import check_known

INTERPOLATIONS = ('nearest', 'bilinear', 'bicubic', 'lanczos')


@TRANSFORMS.register_module()
class RandomResizedCrop(BaseRandomResizedCrop):
    """Crop a random part of the image and resize it, as torchvision and timm do.

    Required and modified key: ``img`` (H, W, 3). Modified key: ``img_shape``.

    Args:
        scale (int | tuple[int, int]): Size (H, W) of the result in pixels.
        interpolation (str | Sequence[str]): ``'nearest'``, ``'bilinear'``, ``'bicubic'`` or
            ``'lanczos'``; of several, each image gets a random one (MAE-Lite: bilinear or bicubic).
            Defaults to ``'bilinear'``.
        backend (str): ``'pillow'``, whose filters are antialiased, or ``'cv2'``.
            Defaults to ``'pillow'``.
        **kwargs: As in mmpretrain: ``crop_ratio_range``, area of the crop over that of the image,
            by default (0.08, 1); ``aspect_ratio_range``, width over height, by default (3/4, 4/3);
            ``max_attempts`` before the central crop is taken, by default 10.
    """

    def __init__(self, scale, interpolation='bilinear', backend='pillow', **kwargs):
        names = (interpolation,) if isinstance(interpolation, str) else tuple(interpolation)
        for name in names or (None,):
            check_known('interpolation', name, INTERPOLATIONS)
        check_known('backend', backend, ('pillow', 'cv2'))
        super().__init__(scale, interpolation=names[0], backend=backend, **kwargs)
        self.interpolation = names

    @cache_randomness
    def rand_interpolation(self):
        names = self.interpolation  # a single one takes no random number
        return names[np.random.randint(len(names))] if len(names) > 1 else names[0]

    def transform(self, results):
        crop = self.rand_crop(results['img'])
        results['img'] = self.resize(crop, self.scale, self.rand_interpolation())
        results['img_shape'] = results['img'].shape[:2]
        return results

    def rand_crop(self, image):
        top, left, height, width = self.rand_crop_params(image)
        return image[top : top + height, left : left + width]

    def resize(self, image, size, interpolation):
        return mmcv.imresize(
            image, tuple(size[::-1]), interpolation=interpolation, backend=self.backend
        )


@TRANSFORMS.register_module()
class TwoSizeRandomResizedCrop(RandomResizedCrop):
    """The same random crop at two sizes: for the model and for a tokenizer (BEiT, section 2.2).

    mmpretrain's ``RandomResizedCropAndInterpolationWithTwoPic`` with antialiased filters. Required
    key: ``img`` (H, W, 3), which becomes the list of the two crops. Modified key: ``img_shape``,
    of the first.

    Args:
        scale (int | tuple[int, int]): Size (H, W) of the first crop in pixels.
        second_scale (int | tuple[int, int]): Size of the second.
        second_interpolation (str): Defaults to ``'lanczos'``.
        **kwargs: As in :class:`RandomResizedCrop`, for the first.
    """

    def __init__(self, scale, second_scale, second_interpolation='lanczos', **kwargs):
        super().__init__(scale, **kwargs)
        self.second_scale = to_2tuple(second_scale)
        check_known('second_interpolation', second_interpolation, INTERPOLATIONS)
        self.second_interpolation = second_interpolation

    def transform(self, results):
        crop = self.rand_crop(results['img'])
        first = self.resize(crop, self.scale, self.rand_interpolation())
        second = self.resize(crop, self.second_scale, self.second_interpolation)
        results.update(img=[first, second], img_shape=first.shape[:2])
        return results


@TRANSFORMS.register_module()
class BlockwiseMask(BEiTMaskGenerator):
    """Hide rectangular blocks of patches (BEiT, algorithm 1), the same number in every image.

    Added key: ``hidden_ids``, int64 (num_masking_patches,), ascending row-major indices of hidden
    patches; pack it with ``PackInputs(algorithm_keys=['hidden_ids'])``. Blocks may reach the last
    row and column, unlike those of mmpretrain's ``BEiTMaskGenerator``.

    Args:
        input_size (int | tuple[int, int]): Patches (h, w) of an image, 14 for 224 pixels.
        num_masking_patches (int): Number of hidden patches.
        min_num_patches (int): Smallest area of a block. Defaults to 4.
        max_attempts (int): Blocks that are tried before single patches fill up the number.
            Defaults to 1000.
        **kwargs: As in mmpretrain: ``max_num_patches``, the largest area, by default all;
            ``min_aspect``, height over width, by default 0.3; ``max_aspect``, by default its
            inverse.
    """

    def __init__(
        self, input_size, num_masking_patches, min_num_patches=4, max_attempts=1000, **kwargs
    ):
        grid = tuple(to_2tuple(input_size))
        super().__init__(grid, num_masking_patches, min_num_patches, **kwargs)
        if not 0 < num_masking_patches < self.num_patches:
            raise ArgumentError(
                f'num_masking_patches={num_masking_patches} of {self.height}x{self.width} patches: '
                f'at least one must be hidden and one visible, write 1 to {self.num_patches - 1}'
            )
        self.max_attempts = max_attempts

    def transform(self, results):
        results['hidden_ids'] = torch.from_numpy(np.flatnonzero(self.rand_mask()))
        return results

    @cache_randomness
    def rand_mask(self):
        """Sample a mask, bool (h, w), True = hidden."""
        mask = np.zeros((self.height, self.width), dtype=bool)
        left = self.num_masking_patches
        for _ in range(self.max_attempts):
            block = self._rand_block(min(left, self.max_num_patches))
            new = 0 if block is None else np.count_nonzero(~mask[block])
            if 0 < new <= min(left, self.max_num_patches):
                mask[block] = True
                left -= new
            if not left:
                return mask
        visible = np.flatnonzero(~mask)
        mask.flat[np.random.choice(visible, left, replace=False)] = True
        return mask

    def _rand_block(self, largest):
        """Slices of a block that is smaller than the grid, or None."""
        area = np.random.uniform(self.min_num_patches, largest)
        aspect = math.exp(np.random.uniform(*self.log_aspect_ratio))
        height, width = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if height >= self.height or width >= self.width:
            return None
        top = np.random.randint(self.height - height + 1)
        left = np.random.randint(self.width - width + 1)
        return slice(top, top + height), slice(left, left + width)
