"""Fixtures of every test: few threads, no window, mmengine's global state as it was before."""

import gc
import os
from pathlib import Path

import matplotlib
import pytest
import torch
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer

import mmlite  # noqa: F401  first of all: without it, mmcv.ops cannot be imported
from mmlite.stack import finder

ROOT = Path(__file__).resolve().parents[1]
THREADS = 1  # a worker for each core; small models gain little from more

matplotlib.use('Agg')
torch.set_num_threads(THREADS)
os.environ['OMP_NUM_THREADS'] = str(THREADS)  # of the processes that tests start
os.environ['PYTHONPATH'] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get('PYTHONPATH')]))

# a compiled mmcv makes these superfluous
collect_ignore = [] if finder.stands_in('mmcv._ext') else ['test_stack/test_mmcv_ext.py']


def pytest_addoption(parser):
    parser.addoption('--faults', action='store_true', help='kill trainings at many more moments')


def pytest_configure(config):
    config.addinivalue_line('markers', 'fault: run with --faults only')


def pytest_collection_modifyitems(config, items):
    if not config.getoption('--faults'):
        left_out = [item for item in items if item.get_closest_marker('fault')]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_collection_finish():
    gc.freeze()  # mmengine collects garbage for each data set, a second among all imported modules


@pytest.fixture(autouse=True)
def mmengine_state():
    """Take away the scopes, message hubs, loggers and visualizers that a test leaves behind."""
    managers = (DefaultScope, MessageHub, MMLogger, Visualizer)
    MMLogger._instance_dict.clear()  # one of a module's fixture prints where nobody looks any more
    before = [manager._instance_dict.copy() for manager in managers]
    yield
    for manager, instances in zip(managers, before, strict=True):
        manager._instance_dict.clear()
        manager._instance_dict.update(instances)


@pytest.fixture(autouse=True)
def local_rank(monkeypatch):
    """Set what tools would leave in the environment of later tests."""
    monkeypatch.setenv('LOCAL_RANK', '0')


@pytest.fixture(params=['cpu', 'cuda'] if torch.cuda.is_available() else ['cpu'])
def device(request):
    """Each device of this machine."""
    return request.param
