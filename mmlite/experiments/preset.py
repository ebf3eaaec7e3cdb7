"""Presets of a scorecard, and the weights that it judges."""

from dataclasses import dataclass, field
from pathlib import Path

from mmlite import stack
from mmlite.engine.config_file import load_config
from mmlite.engine.initializations import METHODS, find_init
from mmlite.errors import CheckpointError, UserError
from mmlite.utils import near_names, sha256
from mmlite.utils.paths import suite_path
from mmlite.weights.published import find_named, resolve

from .page import BASELINES

KIND = 'mmlite.ViT'  # of the initializations that are given by name


@dataclass(frozen=True)
class Task:
    """A downstream task; see docs/scorecard.md for the keys of a preset."""

    name: str
    title: str
    config: Path
    metric: str
    label: str
    factor: float = 1.0
    options: dict = field(default_factory=dict)
    flags: tuple = ()
    supervised: bool = False
    again: bool = False
    predictions: bool = False
    minutes: float = 0.0
    of: str | None = None
    paper: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Preset:
    """Tasks, the seeds of each, the number of images of the figures, and names to judge."""

    name: str
    title: str
    tasks: tuple
    seeds: tuple
    device: str
    figure_images: int
    inits: tuple = ()


@dataclass(frozen=True)
class Init:
    """Weights that are judged: their name, file, recorded architecture and hash."""

    name: str
    path: Path
    backbone: dict
    digest: str


def preset_names():
    """Names of the presets that come with the suite."""
    return sorted(path.stem for path in suite_path('configs', 'scorecard').glob('*.py'))


def load_preset(name, kind=KIND, tasks=(), seeds=()):
    """Read the recipes of a preset, by its name or file, for a backbone of type ``kind``.

    A task that has none is left out, as are those not in ``tasks`` if any are given; ``seeds`` are
    taken in place of the preset's.
    """
    file = Path(name) if name.endswith('.py') else suite_path('configs', 'scorecard', f'{name}.py')
    if not file.is_file():
        raise UserError(f'there is no preset {name!r}: give a file or {", ".join(preset_names())}')
    cfg = load_config(file)
    missing = [key for key in ('title', 'archs', 'tasks', 'seeds') if key not in cfg]
    if missing:
        raise UserError(f'preset {name} has no {", ".join(missing)}: see docs/scorecard.md')
    if kind not in cfg.archs:
        raise UserError(f'{name} has no recipes for {kind}, only for {", ".join(cfg.archs)}')
    known = [task.name for task in cfg.tasks if 'of' not in task]
    for unknown in (task for task in tasks if task not in known):
        near = near_names(unknown, known) or known
        raise UserError(f'{name} has no task {unknown!r}: choose from {", ".join(near)}')
    chosen, parents = [], {task.name: task.to_dict() for task in cfg.tasks}
    for task in cfg.tasks:
        fields = {**parents.get(task.get('of'), {}), **task.to_dict()}
        recipe = fields.pop('configs', {}).get(cfg.archs[kind])
        paper = fields.pop('paper', {}).get(cfg.archs[kind], {})
        if recipe and (not tasks or {task.name, task.get('of')} & set(tasks)):
            try:  # a recipe below the suite, or an absolute path
                chosen.append(Task(config=suite_path(recipe), paper=paper, **fields))
            except TypeError as error:
                reason = str(error).removeprefix('Task.__init__() ')
                raise UserError(f'preset {name}, task {task.name}: {reason}') from error
    if not chosen:
        raise UserError(f'{name} has no recipe of {", ".join(tasks)} for {kind}')
    return Preset(
        file.stem, cfg.title, tuple(chosen), tuple(seeds or cfg.seeds),
        cfg.get('device', 'two CPU cores'), cfg.get('figure_images', 0),
        tuple(cfg.get('inits', ())),
    )  # fmt: skip


def read_inits(items, dry_run=False):
    """Read the checkpoints to judge.

    Each is ``NAME=PATH``, a path, whose directory gives the name, a name of
    :data:`~mmlite.engine.initializations.METHODS`, which stands for the checkpoint of ViT-Tiny, or
    one of published weights. A dry run needs no file of the latter two.
    """
    inits = {}
    for item in items:
        name, equals, path = item.rpartition('=')
        known = item in METHODS
        path = Path((name and path) or find_init(item, dict(type=KIND))[1] or item)
        if weights := find_named(path):
            path = weights.path if dry_run else resolve(weights.name)
            name, known = name or weights.name.partition('/')[2], True
        name = name or (item if known else path.resolve().parent.name)
        if name in BASELINES:
            raise UserError(f'{item}: {name!r} is a baseline of every scorecard, name it otherwise')
        if name in inits:
            raise UserError(f'two checkpoints are called {name!r}: give them as NAME=CHECKPOINT')
        if dry_run and known and not path.is_file():
            inits[name] = Init(name, path, dict(type=KIND), None)
            continue
        backbone = (stack.load(path).get('meta') or {}).get('backbone')
        if not backbone:
            raise CheckpointError(
                f'{path} does not record its backbone: convert it by '
                'tools/model_converters/convert.py'
            )
        inits[name] = Init(name, path, backbone, sha256(path)[:16])
    return list(inits.values())
