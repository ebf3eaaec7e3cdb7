"""Hyper-parameters of every recipe against ``data/paper_values.csv``, from papers and their code.

A row is a config, a key, a value and its source. A change of a recipe's number fails with the name
of the source; the table changes only if the source says so.

A key may go through a list by the type of an element, end in an argument that the class has as a
default, or begin with one of ``SHORT``. ``first rate`` and ``last rate`` are learning rates of the
schedule in the upper layers.
"""

import ast
import csv
import inspect
from functools import cache
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmlite.registry import MODELS

TESTS = Path(__file__).parent
SHORT = {
    'image': 'train_dataloader.dataset.pipeline',
    'adam': 'optim_wrapper.optimizer',
    'rule': 'optim_wrapper.paramwise_cfg',
    'schedule': 'param_scheduler',
    'batch': 'auto_scale_lr.base_batch_size',
    'epochs': 'train_cfg.max_epochs',
}
with (TESTS / 'data' / 'paper_values.csv').open(newline='', encoding='utf-8') as file:
    ROWS = [list(row.values()) for row in csv.DictReader(file)]


@cache
def read(name):
    return Config.fromfile(TESTS.parent / 'configs' / f'{name}.py')


def find(node, key):
    """The setting of a key, or the default of the class that would take it, or None."""
    for step in key.split('.'):
        if isinstance(node, list) and not step.isdecimal():
            (node,) = (item for item in node if item['type'].split('.')[-1] == step)
        elif isinstance(node, list):
            node = node[int(step)]
        elif step in (node or {}):
            node = node[step]
        else:
            kind = MODELS.get(node['type']) if 'type' in (node or {}) else None
            arguments = inspect.signature(kind).parameters if kind else {}
            node = arguments[step].default if step in arguments else None
    return node


def rate(cfg, which):
    """The first or last learning rate of the upper layers; a factor of 1e-6 stands for 0."""
    first, last = cfg.param_scheduler[:2]
    lr = cfg.optim_wrapper.optimizer.lr
    if which == 'first':
        return lr * first.start_factor if first.start_factor > 1e-6 else 0.0
    return last['eta_min'] if 'eta_min' in last else lr * last.eta_min_ratio


def plain(value):
    """Lists for tuples and rounded numbers, so that values compare whatever computed them."""
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return float(f'{value:.9g}')
    return value.to_dict() if hasattr(value, 'to_dict') else value


@pytest.mark.parametrize(
    ('name', 'key', 'value', 'source'), ROWS, ids=[f'{row[0]}: {row[1]}' for row in ROWS]
)
def test_value_is_that_of_the_source(name, key, value, source):
    cfg = read(name)
    init_default_scope(cfg.default_scope)
    if key.endswith(' rate'):
        got = rate(cfg, key.split()[0])
    else:
        head, _, rest = key.partition('.')
        got = find(cfg, f'{SHORT.get(head, head)}{"." * bool(rest)}{rest}')
    wanted = ast.literal_eval(value)
    assert plain(got) == plain(wanted), f'{name}: {key} is {got!r}; {source} has {wanted!r}'
