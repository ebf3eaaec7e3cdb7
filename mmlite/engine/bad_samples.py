"""The policy for bad training samples, put between a config and its data sets."""

import copy
from pathlib import Path

from mmengine.dist import barrier, is_main_process

from mmlite.datasets import CocoDataset
from mmlite.datasets.bad_samples import BadSamples
from mmlite.datasets.wrapped import parts
from mmlite.errors import DataError
from mmlite.registry import DATASETS

from .checks.data import datasets

REPORT = 'bad_samples.csv'
"""File in the work directory that names every bad sample."""


def deferring(dataloader):
    """A config of a training loader whose data sets load in spite of wrong annotations.

    Args:
        dataloader (dict | DataLoader): A loader is returned as it is.
    """
    if not isinstance(dataloader, dict):
        return dataloader
    dataloader = copy.deepcopy(dataloader)
    for _, dataset in datasets(dict(train_dataloader=dataloader), 'train'):
        kind = dataset.get('type')
        kind = DATASETS.get(kind) if isinstance(kind, str) else kind
        if isinstance(kind, type) and issubclass(kind, CocoDataset):
            dataset['defer_faults'] = True
    return dataloader


def start_policy(runner, dataset, max_share):
    """Give the policy to the data sets that ask it, and report what is known to be bad already.

    Args:
        runner (Runner): Its work directory gets the report; where it resumes, that of before is
            gone on with.
        dataset (Dataset): Of the training loader.
        max_share (float): See :class:`~mmlite.datasets.bad_samples.BadSamples`.

    Returns:
        BadSamples: The policy.
    """
    policy = BadSamples(Path(runner.work_dir) / REPORT, len(dataset), max_share)
    if is_main_process():
        policy.begin(go_on=runner._resume)
    barrier()
    for part in parts(dataset):
        if hasattr(part, 'bad_samples'):
            part.bad_samples = policy
        for sample, reason in getattr(part, 'bad_annotations', ()):
            policy.note(sample, DataError(reason))
    return policy
