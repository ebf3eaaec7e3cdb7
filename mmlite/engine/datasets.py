"""Data sets of a run, judged when they are built: before the first step, in every phase."""

from contextlib import contextmanager

from mmengine.registry import DATASETS as ROOT
from mmengine.registry import init_default_scope

from mmlite.datasets.bad_samples import as_data_error
from mmlite.datasets.formats.judge import explain, judge_dataset
from mmlite.datasets.wrapped import parts
from mmlite.errors import DataError, UserError
from mmlite.utils.names import listed

from .cli import report_errors_once

STAGES = ('train', 'val', 'test')


def judge_loaders(runner):
    """Judge the data set of every data loader that ``runner`` builds.

    Raises:
        DataError: From building a loader: the data set cannot be built, is empty, contradicts its
            files, or has other classes than the data set that was built before it.
    """
    build, seen = runner.build_dataloader, []
    tolerant = bool((runner.cfg.get('train_cfg') or {}).get('max_bad_share'))

    def build_dataloader(dataloader, *args, **kwargs):
        with report_errors_once(runner.cfg.get('launcher', 'none')):
            with readable_errors(dataloader):
                loader = build(dataloader, *args, **kwargs)
            judge_dataset(loader.dataset, tolerant)
            check_names(loader.dataset, seen)
        return loader

    runner.build_dataloader = build_dataloader


@contextmanager
def readable_errors(dataloader):
    """Turn exceptions of libraries while a data loader is built into a :class:`DataError`."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:  # data sets raise whatever they like
        dataset = dataloader.get('dataset') if isinstance(dataloader, dict) else None
        raise explain(dataset or {}, error) from error


def check_names(dataset, seen):
    """Refuse a data set whose class names are those of an earlier one in another order."""
    for part in parts(dataset):
        names = (getattr(part, 'metainfo', None) or {}).get('classes')
        if not isinstance(names, (list, tuple)) or hasattr(part, 'datasets'):
            continue
        for other in seen:
            if list(names) != list(other) and (
                set(names) == set(other) or hasattr(part, 'folder_to_idx')
            ):
                raise DataError(
                    f'the classes of two data sets differ: {listed(map(repr, other), 5)} and '
                    f'{listed(map(repr, names), 5)}; labels must mean the same in all of them'
                )
        seen.append(tuple(names))


def judge_config(cfg):
    """Build and judge the data sets of a config, and load every sample.

    Args:
        cfg (mmengine.config.Config): A resolved config.

    Yields:
        str: A line for each data set.

    Raises:
        DataError: The first fault.
    """
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    seen = []
    for stage in STAGES:
        loader = cfg.get(f'{stage}_dataloader')
        if not loader:
            continue
        with readable_errors(loader):
            dataset = ROOT.build(loader['dataset'])
        judge_dataset(dataset)
        check_names(dataset, seen)
        for index in range(len(dataset)):
            try:
                dataset[index]
            except Exception as error:
                raise as_data_error(f'{stage} sample {index}', error) from error
        yield f'{stage}: {len(dataset)} samples load, {len(seen[-1]) if seen else 0} classes'
