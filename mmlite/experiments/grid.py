"""The trials of a sweep: every combination of initializations, settings and seeds."""

import itertools
import re
from collections import Counter
from dataclasses import dataclass

from mmlite.engine.cli import parse_value
from mmlite.engine.initializations import METHODS, find_init
from mmlite.errors import UserError

SEED = 'seed'
INIT = '--init'
GRID = 'sweep_grid'  # variable of a config: the default grid of its sweeps


@dataclass(frozen=True)
class Trial:
    """One training: name of its directory, labels along the axes, seed, and settings by key."""

    name: str
    labels: tuple
    seed: str | None
    options: dict


def parse_grid(items):
    """Parse ``--grid``, ``KEY=V1,V2``, where a value in brackets is a list."""
    grid = {}
    for item in items:
        key, _, text = item.partition('=')
        values = _parse(f'{text},')
        if not key or not values or '' in values:
            raise UserError(f'--grid {item!r} is not of the form KEY=V1,V2')
        grid[key] = grid.get(key, []) + values
    return grid


def grid_axes(grid):
    """Name of the axis (last part of its key, if unique) -> label and settings of each value.

    ``grid`` maps a dotted key, ``'--epochs'``, ``'--iters'`` or ``'--image-size'`` to values, and a
    name of settings that vary together to a list of dicts of settings.
    """
    last_parts = Counter(key.split('.')[-1].lstrip('-') for key in grid)
    axes = {}
    for key, values in grid.items():
        if not isinstance(values, (list, tuple)) or not values:
            raise UserError(f'{GRID}[{key!r}] must be a list of values (got {values!r})')
        last = key.split('.')[-1].lstrip('-')
        settings = [dict(v) if isinstance(v, dict) else {key: v} for v in values]
        axes[key if last_parts[last] > 1 else last] = [
            (','.join(dict.fromkeys(map(option_text, s.values()))), s) for s in settings
        ]
    return axes


def init_axis(items, backbone):
    """Label and ``--init`` of initializations of ``model.backbone``, see :func:`.find_init`.

    Items are names, checkpoints, or ``NAME=CHECKPOINT`` with any name.
    """
    values = []
    for item in items:
        label, equals, path = item.partition('=')
        if not label or (equals and not path):
            raise UserError(f'--init {item!r} is not of the form NAME=CHECKPOINT or NAME')
        name, path = find_init(path if equals and label not in METHODS else item, backbone)
        values.append((label, {INIT: '='.join(filter(None, (name, path)))}))
    return values


def make_trials(axes, fixed=()):
    """Combine the values of all ``axes``, the last one fastest; ``fixed`` are shared settings."""
    if not axes:
        raise UserError('nothing to sweep: give --init, --seeds or --grid')
    owners = dict.fromkeys(('work_dir', 'resume', 'launcher'), 'the sweep itself')
    owners |= dict.fromkeys(fixed, '--cfg-options')
    for axis, values in axes.items():
        keys = dict.fromkeys(key for _, settings in values for key in settings)
        for key, (other, owner) in itertools.product(keys, owners.items()):
            if f'{key}.'.startswith(f'{other}.') or f'{other}.'.startswith(f'{key}.'):
                raise UserError(f'{axis} sets {key}, but {owner} sets {other}')
        owners.update(dict.fromkeys(keys, axis))
    trials = {}
    for values in itertools.product(*axes.values()):
        labels = {axis: label for axis, (label, _) in zip(axes, values, strict=True)}
        name = '_'.join(f'{_slug(axis)}={_slug(label)}' for axis, label in labels.items())
        if name in trials:
            raise UserError(f'two trials are called {name}: give each value once')
        options = {key: value for _, settings in values for key, value in settings.items()}
        option_words(options)
        seed = labels.pop(SEED, None)
        trials[name] = Trial(name, tuple(labels.values()), seed, options)
    return list(trials.values())


def option_words(options):
    """Write settings as command-line options; a key such as ``--epochs`` is one of its own."""
    for key, value in options.items():
        if _parse(option_text(value)) != value:
            raise UserError(
                f'{key}={value!r} cannot be passed to a training: strings must not contain '
                'commas, brackets or quotes, or look like a number'
            )
    words = [word for key, value in options.items() if key[0] == '-' for word in (key, str(value))]
    settings = [f'{key}={option_text(value)}' for key, value in options.items() if key[0] != '-']
    return [*words, *(['--cfg-options', *settings] if settings else [])]


def option_text(value):
    """Write a value as ``--cfg-options`` reads it."""
    if not isinstance(value, (list, tuple)):
        return str(value)
    inner = ','.join(map(option_text, value))
    return f'[{inner}]' if isinstance(value, list) else f'({inner})'


def _parse(text):
    """The value that ``--cfg-options`` reads; None for brackets that do not match."""
    try:
        return parse_value(text)
    except ValueError:
        return None


def _slug(text):
    return re.sub(r'[^\w.+-]+', '-', text.strip('()[]'))
