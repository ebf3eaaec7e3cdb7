"""Judgement of a built data set by some of its files."""

import logging
import os
from collections import Counter

import numpy as np
from mmcv.transforms import LoadImageFromFile as LoadImage
from mmengine.logging import print_log

from mmlite.errors import DataError

from ..wrapped import parts
from .images import read_header
from .label_maps import count_values
from .loading import LoadSegAnnotations
from .survey import label_findings

SAMPLE = 32  # files read of each data set


def judge_dataset(dataset, tolerant=False):
    """Refuse a data set whose files contradict it; warn of what looks wrong.

    A sample of :data:`SAMPLE` images or label maps is read; that each label map exists is checked
    for all of them.

    Args:
        dataset (Dataset): Any; wrappers are looked through.
        tolerant (bool): Leave faults of single files to training, which may skip some of them.
            Defaults to False.

    Raises:
        DataError: Names the file, and what is wrong.
    """
    if not len(dataset):
        raise DataError(f'the data set {type(dataset).__name__} is empty')
    for part in parts(dataset):
        if hasattr(part, 'seg_map_suffix') and hasattr(part, 'reduce_zero_label'):
            judge_label_maps(part, tolerant)
        elif not tolerant and hasattr(part, 'cat_ids') and hasattr(part, 'get_data_info'):
            judge_sizes(part)


def sample(dataset):
    """Data infos of some samples, spread over the whole data set."""
    count = len(dataset)
    for index in np.unique(np.linspace(0, count - 1, min(count, SAMPLE)).astype(int)):
        yield dataset.get_data_info(int(index))


def judge_sizes(dataset):
    """Compare stated sizes of images with those of the files."""
    for info in sample(dataset):
        path = info['img_path']
        if '://' in path or not os.path.isfile(path):
            continue  # loading names it
        header = read_header(path)
        stated = info['width'], info['height']
        if stated not in (header[:2], header.shown):
            raise DataError(
                f'{dataset.ann_file}: image {path} is stated to have {stated[0]} x {stated[1]} '
                f'pixels, but has {header.width} x {header.height}'
            )


def judge_label_maps(dataset, tolerant=False):
    """Read some label maps as in training; see :func:`judge_dataset`."""
    names, ignored = dataset.metainfo.get('classes') or (), dataset.ignore_index
    if len(names) > ignored >= 0:
        raise DataError(
            f'{len(names)} classes include the label {ignored}, which is ignored: set ignore_index '
            f'of the data set, the heads and the metric to a value from {len(names)}'
        )
    steps = getattr(dataset.pipeline, 'transforms', ())
    loaders = [step for step in steps if isinstance(step, (LoadImage, LoadSegAnnotations))]
    for step in loaders:
        if isinstance(step, LoadSegAnnotations):
            step.num_classes, step.ignore_index = len(names), ignored
            break
    else:
        return
    if tolerant or not dataset.data_prefix.get('seg_map_path'):
        return
    _check_counterparts(dataset)
    pixels, count = Counter(), 0
    for info in sample(dataset):
        for step in loaders:
            info = step(info)
        pixels.update(count_values(info['gt_seg_map']))
        count += 1
    absent = set(range(len(names))) - set(pixels)
    if absent and (count == len(dataset) or len(set(pixels) - {ignored}) < 2):
        findings = label_findings(pixels, names, ignored=ignored)
        print_log(
            f"'{dataset.data_prefix['seg_map_path']}', {count} of {len(dataset)} label maps, "
            f'reduce_zero_label={bool(dataset.reduce_zero_label)}: {"; ".join(findings)}',
            logger='current',
            level=logging.WARNING,
        )


def _check_counterparts(dataset):
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        path = info['seg_map_path']
        if '://' not in path and not os.path.isfile(path):
            raise DataError(f'image {info["img_path"]} has no label map {path}')


def explain(config, error):
    """Sentence for an exception of a library while a data set was built.

    Args:
        config (dict): Config of the data set.
        error (Exception): What was raised.

    Returns:
        DataError: With the directory and the suffixes where no image was found.
    """
    while 'dataset' in config and 'type' in config['dataset']:
        config = config['dataset']
    prefix = config.get('data_prefix') or {}
    folder = prefix.get('img_path') if isinstance(prefix, dict) else None
    folder = os.path.join(config.get('data_root') or '', folder or '')
    suffix = config.get('img_suffix', '.jpg')
    empty = 'need at least one array' in str(error)
    if empty and config.get('ann_file'):
        return DataError(f"the list '{config['ann_file']}' names no image")
    if empty and os.path.isdir(folder):
        found = Counter(
            os.path.splitext(name)[1] for _, _, files in os.walk(folder) for name in files
        )
        counts = ', '.join(f'{count} {ending}' for ending, count in found.most_common(3))
        return DataError(
            f"'{folder}' has no image that ends in {suffix} (it has {counts or 'no files'}): set "
            'img_suffix of the data set'
        )
    kind = type(error).__name__
    return DataError(f'the data set {config.get("type")} cannot be built: {kind}: {error}')
