"""Compact files of segmentation predictions."""

import torch
from mmengine.evaluator import DumpResults

from mmlite.registry import METRICS


@METRICS.register_module()
class DumpSegResults(DumpResults):
    """As mmengine's ``DumpResults``, but with label maps and plain entries only, not all scores.

    Args:
        out_file_path (str): File to write, ending in ``.pkl`` or ``.pickle``.
        collect_device, collect_dir: As in ``DumpResults``.
    """

    def process(self, data_batch, data_samples):
        """Keep the label maps (1, H, W) of every result, its ``img_path`` and plain entries."""
        super().process(data_batch, [_compact(sample) for sample in data_samples])


def _compact(sample):
    kept = {key: value for key, value in sample.items() if not hasattr(value, 'keys')}
    for key in {'gt_sem_seg', 'pred_sem_seg'} & sample.keys():
        labels = sample[key]['data']
        small = not labels.numel() or 0 <= labels.min() <= labels.max() <= 255
        kept[key] = {'data': labels.to(torch.uint8 if small else torch.int16)}
    return kept
