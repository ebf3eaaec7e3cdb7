"""One recipe over a grid: axes, cells, their command lines and their results."""

import argparse
import functools
import hashlib
import itertools
import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import DictAction

from mmlite.errors import UserError
from mmlite.utils.names import near_names

from .check_config import TOP_LEVEL

SEED = 'seed'
INIT = 'model.backbone.init_cfg'
GRID = 'sweep_grid'
"""Variable of a config: the items of ``--grid`` that a sweep takes where none are given."""
OWNED = frozenset({'work_dir', 'resume', 'launcher'})
"""Top-level keys that the sweep itself decides for every cell."""

AXIS_FORM = '--grid takes KEY=V1,V2,... or NAME:(KEY,KEY+KEY)=(V,V),(V,V),...'


@dataclass(frozen=True)
class Setting:
    """One value of an axis: what tables call it, and its ``KEY=VALUE`` texts."""

    label: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class Axis:
    """What varies between cells, by name."""

    name: str
    settings: tuple[Setting, ...]


@dataclass(frozen=True)
class Cell:
    """One training of the sweep.

    Attributes:
        name (str): Of its folder, e.g. ``'init=mae_lr=0.1_seed=0'``.
        combination (tuple[str, ...]): Labels along every axis but the seed.
        seed (str | None): Label of the seed; None leaves it to the config.
        options (tuple[str, ...]): ``KEY=VALUE`` texts for ``--cfg-options``.
    """

    name: str
    combination: tuple[str, ...]
    seed: str | None
    options: tuple[str, ...]


def parse_value(text):
    """The Python value of ``text``, as ``--cfg-options`` reads it.

    Raises:
        UserError: Brackets are not balanced.
    """
    namespace = argparse.Namespace(parsed=None)
    try:
        DictAction((), 'parsed')(None, namespace, [f'value={text}'])
    except AssertionError as error:
        raise UserError(f'value {text!r} has unbalanced brackets') from error
    return namespace.parsed['value']


def parse_options(texts):
    """``KEY=VALUE`` texts as a dict of parsed values.

    Raises:
        UserError: A text has no key or no ``=``.
    """
    options = {}
    for text in texts:
        key, equals, value = text.partition('=')
        if not key or not equals:
            raise UserError(f'option {text!r} is not of the form key=value')
        options[key] = parse_value(value)
    return options


def parse_axis(text):
    """An axis from an item of ``--grid``.

    ``KEY=V1,V2`` varies one setting. ``(KEY,KEY+KEY)=(V,V),(V,V)`` varies several together, a
    tuple at a time, where ``+`` joins keys that take the same value. ``NAME:`` in front names the
    axis, which is else called by the last part of its keys. A value in brackets is a list.

    Args:
        text (str): E.g. ``'optim_wrapper.optimizer.lr=0.01,0.03'``.

    Returns:
        Axis: With at least one setting.

    Raises:
        UserError: ``text`` has another form, or a tuple another length than its keys.
    """
    head, equals, tail = text.partition('=')
    name, _, keys = head.strip().rpartition(':')
    coupled = keys.startswith('(') and keys.endswith(')')
    joined = _split(keys[1:-1] if coupled else keys, text)
    groups = [[key.strip() for key in group.split('+')] for group in joined]
    if not equals or not all(itertools.chain(*groups)) or len(groups) > 1 and not coupled:
        raise UserError(f'--grid {text!r} is not understood: {AXIS_FORM}')
    settings = []
    for value in _split(tail, text):
        if coupled and not (value.startswith('(') and value.endswith(')')):
            raise UserError(f'--grid {text!r} couples keys, so {value!r} must be a tuple (V,V)')
        parts = _split(value[1:-1], text) if coupled else [value]
        if len(parts) != len(groups):
            raise UserError(f'--grid {text!r}: {value} has {len(parts)} of {len(groups)} values')
        pairs = zip(groups, parts, strict=True)
        options = tuple(f'{key}={part}' for group, part in pairs for key in group)
        settings.append(Setting(value, options))
    return Axis(name or ','.join(group[0].split('.')[-1] for group in groups), tuple(settings))


def init_axis(items, backbone):
    """The axis ``init`` from the items of ``--init``.

    Args:
        items (Sequence[str]): ``NAME=CHECKPOINT``, or ``NAME`` for no checkpoint.
        backbone (dict): ``model.backbone`` of the config. A bare ``NAME`` takes its ``init_cfg``
            away where that loads a checkpoint.

    Raises:
        UserError: A name or path is empty, or ``--cfg-options`` cannot carry a path.
    """
    settings = []
    for item in items:
        name, equals, path = item.partition('=')
        if not name or (equals and not path):
            raise UserError(f'--init {item!r} is not of the form NAME=CHECKPOINT or NAME')
        if equals and parse_value(path) != path:
            raise UserError(
                f'--init {item}: the path of a checkpoint must not hold spaces, commas, brackets '
                'or quotes'
            )
        settings.append(Setting(name, _load(path, backbone) if equals else _unload(backbone)))
    return Axis('init', tuple(settings))


def seed_axis(seeds):
    """The axis of the random seeds (ints)."""
    return Axis(SEED, tuple(Setting(str(seed), (f'randomness.seed={seed}',)) for seed in seeds))


def check_axes(axes, cfg, fixed=()):
    """Check that axes differ from each other and from what is fixed, and that they have effect.

    Args:
        axes (Sequence[Axis]): All axes of the sweep.
        cfg (mmengine.config.Config): The config.
        fixed (Iterable[str]): Keys of ``--cfg-options``.

    Raises:
        UserError: There is no axis; a name or value is given twice; two axes, or an axis and
            ``--cfg-options``, set the same key; or a key is none that the training reads.
    """
    if not axes:
        raise UserError('nothing to sweep: give --init, --seeds or --grid')
    _refuse_repeated(
        [axis.name for axis in axes], 'two axes are called {}: name one by NAME:KEY=...'
    )
    taken = dict.fromkeys(fixed, '--cfg-options')
    for axis in axes:
        labels = [setting.label for setting in axis.settings]
        _refuse_repeated(labels, f'axis {axis.name} has {{}} twice')
        values = [str(parse_options(setting.options)) for setting in axis.settings]
        _refuse_repeated(values, f'two values of axis {axis.name} mean the same: {{}}')
        keys = dict.fromkeys(key for s in axis.settings for key in parse_options(s.options))
        for key in keys:
            _check_key(key, cfg)
            for other, owner in taken.items():
                if key == other or key.startswith(f'{other}.') or other.startswith(f'{key}.'):
                    raise UserError(f'{axis.name} sets {key}, but {owner} sets {other}')
        taken.update(dict.fromkeys(keys, axis.name))


def make_cells(axes):
    """Every combination of the settings of ``axes``, the last axis fastest.

    Raises:
        UserError: Two cells have the same name.
    """
    cells = []
    for settings in itertools.product(*(axis.settings for axis in axes)):
        labels = {axis.name: s.label for axis, s in zip(axes, settings, strict=True)}
        name = '_'.join(f'{_slug(key)}={_slug(label)}' for key, label in labels.items())
        options = tuple(option for setting in settings for option in setting.options)
        seed = labels.pop(SEED, None)
        cells.append(Cell(name, tuple(labels.values()), seed, options))
    _refuse_repeated([cell.name for cell in cells], 'two cells would use the folder {}')
    return cells


def train_command(python, script, config, work_dir, options, flags=(), resume=False):
    """The command line that trains a cell.

    Args:
        python (str): The interpreter.
        script (str | Path): ``tools/train.py``.
        config (str | Path): Config file.
        work_dir (str | Path): Folder of the cell.
        options (Sequence[str]): For ``--cfg-options``.
        flags (Sequence[str]): Further options of the script.
        resume (bool): Whether there is a checkpoint to go on from. Without one, ``--resume`` would
            only keep the script from loading the config's ``load_from``.

    Returns:
        list[str]: The words of the command.
    """
    words = [python, str(script), str(config), '--work-dir', str(work_dir), *flags]
    words += ['--resume'] if resume else []
    return [*words, '--cfg-options', *options] if options else words


def fingerprint(cfg):
    """A hash of a resolved config, to notice that the file or one of its bases changed.

    Its ``sweep_grid`` does not count: a longer grid leaves finished cells as they are.
    """
    settings = {key: value for key, value in cfg.to_dict().items() if key != GRID}
    text = json.dumps(settings, sort_keys=True, default=lambda v: getattr(v, '__name__', '?'))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def identity(options, flags, recipe):
    """What a result belongs to, as plain JSON.

    Args:
        options (Sequence[str]): All ``KEY=VALUE`` texts of the cell.
        flags (Sequence[str]): Further options of the training script.
        recipe (str): :func:`fingerprint` of the config without options.

    Returns:
        dict: ``options`` (parsed values by key), ``recipe`` and ``checkpoint``, a hash of the file
        that the backbone is initialised from (None without such a file).
    """
    named = parse_options(options)
    path = Path(str(named.get(f'{INIT}.checkpoint')))
    digest = file_digest(path) if path.is_file() else None
    named |= dict.fromkeys(flags, True)
    return json.loads(json.dumps(dict(options=named, recipe=recipe, checkpoint=digest)))


def read_same(file, current):
    """Read a JSON file about a cell that holds the cell's :func:`identity`.

    Args:
        file (Path): In the folder of the cell.
        current (dict): The identity of the cell now. A checkpoint that is gone is taken for the
            same.

    Returns:
        dict: What the file holds.

    Raises:
        UserError: The file is of another cell, and how that differs; or it is not the sweep's.
    """
    try:
        recorded = json.loads(file.read_text())
    except json.JSONDecodeError as error:
        raise UserError(f'{file} is no valid JSON: {error}') from error
    if not isinstance(recorded, dict) or current.keys() - recorded.keys():
        raise UserError(f'{file} was not written by a sweep: choose another --work-dir')
    _check_same(recorded, current, file)
    return recorded


def _check_same(recorded, current, file):
    remedy = f'delete {file.parent} to train it anew, or choose another --work-dir'
    old, new = recorded['options'], current['options']
    for key in dict.fromkeys([*new, *old]):
        before, now = (repr(each[key]) if key in each else 'not set' for each in (old, new))
        if before != now:
            raise UserError(f'{file}: {key} was {before} and is now {now}; {remedy}')
    if recorded['recipe'] != current['recipe']:
        raise UserError(f'{file}: the config or one of its bases has changed since; {remedy}')
    if current['checkpoint'] not in (None, recorded['checkpoint']):
        path = new[f'{INIT}.checkpoint']
        raise UserError(f'{file}: the checkpoint {path} has changed since; {remedy}')


def make_slots(jobs, gpus, environ, cores):
    """Environment of each training that runs at the same time as others.

    Args:
        jobs (int | None): How many; None is one a GPU, or one without GPU.
        gpus (Sequence[str]): Names for ``CUDA_VISIBLE_DEVICES``, dealt in turn.
        environ (Mapping[str, str]): The environment to start from.
        cores (int): Processor cores, shared where trainings run on them.

    Returns:
        list[dict[str, str]]: One environment a training.
    """
    count = jobs or max(len(gpus), 1)
    slots = [dict(environ, PYTHONUNBUFFERED='1') for _ in range(count)]
    for index, slot in enumerate(slots):
        if gpus:
            slot['CUDA_VISIBLE_DEVICES'] = gpus[index % len(gpus)]
        elif count > 1:
            slot.setdefault('OMP_NUM_THREADS', str(max(cores // count, 1)))
    return slots


def time_left(durations, running, waiting, jobs):
    """Estimated seconds until the sweep ends.

    Args:
        durations (Sequence[float]): Seconds of whole cells so far.
        running (Sequence[float]): Seconds that cells have been running.
        waiting (int): Cells that have not started.
        jobs (int): Cells that run at once.

    Returns:
        float | None: None before the first duration is known.
    """
    if not durations:
        return None
    mean = sum(durations) / len(durations)
    rest = [max(mean - seconds, 0.0) for seconds in running]
    return max([(sum(rest) + waiting * mean) / jobs, *rest])


def duration(seconds):
    """``seconds`` for people: ``'42 s'``, ``'3 min 05 s'``, ``'2 h 10 min'``."""
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f'{rest} s'
    return (
        f'{minutes // 60} h {minutes % 60:02} min'
        if minutes >= 60
        else f'{minutes} min {rest:02} s'
    )


def last_error(text):
    """The line of a training's output that says why it ended: a tool's sentence, else the last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = [line for line in lines if line.startswith('error: ')]
    return (said or lines or ['it printed nothing'])[-1].removeprefix('error: ')


def _split(text, whole):
    """The parts of ``text`` between commas outside of brackets."""
    parts, depth = [''], 0
    for letter in text:
        depth += (letter in '([') - (letter in ')]')
        if depth < 0:
            break
        if letter == ',' and depth == 0:
            parts.append('')
        else:
            parts[-1] += letter
    parts = [part.strip() for part in parts]
    if depth or not all(parts):
        raise UserError(f'--grid {whole!r} has an empty value or a lone bracket: {AXIS_FORM}')
    return parts


def _load(path, backbone):
    # an own init_cfg goes first, lest keys of another kind of initialisation stay
    clear = (f'{INIT}._delete_=True',) if 'init_cfg' in backbone else ()
    return (*clear, f'{INIT}.type=Pretrained', f'{INIT}.checkpoint={path}')


def _unload(backbone):
    current = backbone.get('init_cfg') or []
    items = [current] if isinstance(current, dict) else current
    kinds = [getattr(item.get('type'), '__name__', item.get('type')) for item in items]
    loads = any(kind in ('Pretrained', 'PretrainedInit') for kind in kinds)
    return (f'{INIT}=None',) if loads else ()


def _check_key(key, cfg):
    head = key.split('.')[0]
    if head in OWNED:
        raise UserError(f'{head} is set by the sweep itself: it cannot be an axis')
    if head in TOP_LEVEL:
        return
    if head in cfg:
        raise UserError(
            f'{head} is a variable of the config, which its other settings have taken their values '
            'from already: name these settings instead, e.g. train_cfg.max_epochs'
        )
    near = near_names(head, TOP_LEVEL)
    hint = f'; near names: {", ".join(near)}' if near else ''
    raise UserError(f'{key} is no setting of a config: no training reads {head!r}{hint}')


def _refuse_repeated(names, message):
    for name, count in Counter(names).items():
        if count > 1:
            raise UserError(message.replace('{}', name))


def _slug(text):
    """``text`` as part of a folder's name that ``--cfg-options`` can carry."""
    return re.sub(r'[^\w.+-]+', '-', text.strip('()[]'))


def file_digest(path):
    """str: The first 16 hexadecimal digits of the SHA-256 of a file."""
    return _digest(path, path.stat().st_mtime_ns)


@functools.cache
def _digest(path, _modified):
    """SHA-256 of a file; ``_modified`` makes a changed file another entry of the cache."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:16]
