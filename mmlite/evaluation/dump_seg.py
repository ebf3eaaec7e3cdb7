"""Writes the predictions of a segmentation model in little room."""

import torch
from mmengine.evaluator import DumpResults

from mmlite.registry import METRICS

LABEL_MAPS = ('gt_sem_seg', 'pred_sem_seg')


@METRICS.register_module()
class DumpSegResults(DumpResults):
    """As mmengine's ``DumpResults``, but of each picture only its labels and where it came from.

    The scores of all classes, which are left out, take 150 numbers a pixel on ADE20K: 200 MB for a
    picture, all of which would be held until the last one. Labels are stored in one byte where they
    fit, two otherwise.

    Args:
        out_file_path (str): The file; must end in ``.pkl`` or ``.pickle``.
        collect_device, collect_dir: As in ``DumpResults``.
    """

    def process(self, data_batch, data_samples):
        """Keep the label maps (1, H, W) of every result, its ``img_path`` and plain entries."""
        super().process(data_batch, [_labels_only(sample) for sample in data_samples])


def _labels_only(sample):
    kept = {key: value for key, value in sample.items() if not hasattr(value, 'keys')}
    for key in LABEL_MAPS:
        if key in sample:
            kept[key] = {'data': _smallest(sample[key]['data'])}
    return kept


def _smallest(labels):
    """Labels in the smallest integer type that holds them."""
    small = not labels.numel() or 0 <= labels.min() <= labels.max() <= 255
    return labels.to(torch.uint8 if small else torch.int16)
