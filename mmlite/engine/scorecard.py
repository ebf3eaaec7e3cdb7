"""What a scorecard runs: the trainings, evaluations and figures that judge pre-trained weights."""

import functools
import hashlib
import json
import math
import shlex
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.registry import init_default_scope

from mmlite import stack
from mmlite.errors import CheckpointError, DataError, UserError
from mmlite.models.weights import check_architecture
from mmlite.registry import MODELS
from mmlite.utils.names import near_names

from . import launch
from .check_config import check_stage_data
from .config_file import load_config
from .sweep import GRID, file_digest, make_cells, parse_axis, parse_options
from .sweep_results import metrics_of

ROOT = Path(__file__).resolve().parents[2]
PRESETS = ROOT / 'configs' / 'scorecard'
BASELINES = SCRATCH, SUPERVISED = 'scratch', 'supervised'
"""Names of the baselines: random weights, and those of the classifier trained from them."""


SIMILARITY = (
    'Similarity of layers',
    "CKA of every layer of the pre-trained weights with every layer of the first picture's model, "
    'on validation images: 1 (bright) means equal up to rotation and scale.',
)
ATTENTION = (
    'Attention',
    'How far (distance) and how evenly (entropy) the heads of each block attend in the pre-trained '
    'weights: a box over the heads of a block.',
)
"""Title and explanation of the figures."""


@dataclass(frozen=True)
class Task:
    """One downstream task of a preset.

    Attributes:
        name (str): Of its folder.
        title (str): For people.
        config (Path): Recipe for the backbone in question.
        metric (str): Key in the log of the validation.
        label (str): The metric for people, with its unit.
        factor (float): From the log's numbers to those of the table.
        options (tuple[str, ...]): ``KEY=VALUE`` texts for the recipe.
        flags (tuple[str, ...]): Of ``tools/sweep.py``, e.g. ``'--auto-scale-lr'``.
        supervised (bool): Its training from random weights is the supervised baseline of the tasks
            behind it.
        pictures (bool): Predictions are drawn.
        minutes (float | None): Of one training on two CPU cores, roughly.
        gmac (float | None): 10^9 multiply-adds of a forward pass of one image.
        images (int | None): Images that a training goes through.
        passes (float): What an image costs in forward passes: 3 with the backward pass, which costs
            two, and 1 where only a linear layer learns.
    """

    name: str
    title: str
    config: Path
    metric: str
    label: str
    factor: float = 1.0
    options: tuple = ()
    flags: tuple = ()
    supervised: bool = False
    pictures: bool = False
    minutes: float | None = None
    gmac: float | None = None
    images: int | None = None
    passes: float = 3.0

    def gpu_hours(self, tflops):
        """Expected hours of one training on a GPU that sustains ``tflops`` TFLOP/s, or None.

        A multiply-add counts as two operations.
        """
        if not (self.gmac and self.images):
            return None
        return self.passes * 2 * self.gmac * 1e9 * self.images / (tflops * 1e12 * 3600)


@dataclass(frozen=True)
class Preset:
    """A list of tasks, the seeds that each is trained with, and how many images figures are of."""

    name: str
    title: str
    tasks: tuple
    seeds: tuple
    digest: str
    figure_images: int = 0


@dataclass(frozen=True)
class Start:
    """Weights that are judged.

    Attributes:
        name (str): In tables and folders.
        path (Path): The checkpoint.
        backbone (dict): What it records about its architecture.
        digest (str): Of the file.
    """

    name: str
    path: Path
    backbone: dict
    digest: str


@dataclass(frozen=True)
class Step:
    """A program that is run.

    Attributes:
        title (str): For people.
        command (tuple[str, ...]): Its words.
        output (Path | None): A file that is there when it is done; None for programs that know
            themselves what is done.
    """

    title: str
    command: tuple
    output: Path | None = None

    def text(self):
        """The command as it would be typed."""
        return shlex.join(('python', *self.command[1:]))


def preset_names():
    """list[str]: Names of the presets that come with the suite."""
    return sorted(path.stem for path in PRESETS.glob('*.py'))


def load_preset(name, kind, tasks=(), seeds=()):
    """Read a preset.

    Args:
        name (str): Name of a preset of the suite, or a file.
        kind (str): ``type`` of the backbone that a checkpoint records.
        tasks (Sequence[str]): Names of those to keep; all by default.
        seeds (Sequence[int]): In place of the preset's.

    Returns:
        Preset: Its tasks have the recipes of that backbone; a task that has none is left out.

    Raises:
        UserError: There is no such preset or task, or it has no recipe for the backbone.
    """
    file = Path(name) if name.endswith('.py') else PRESETS / f'{name}.py'
    if not file.is_file():
        raise UserError(f'there is no preset {name!r}: give a file or {", ".join(preset_names())}')
    cfg = load_config(file)
    missing = [key for key in ('title', 'archs', 'tasks', 'seeds') if key not in cfg]
    if missing:
        raise UserError(f'preset {name} has no {", ".join(missing)}: see configs/scorecard')
    if kind not in cfg.archs:
        raise UserError(f'{name} has no recipes for {kind}, only for {", ".join(cfg.archs)}')
    known = [task.name for task in cfg.tasks]
    for wanted in tasks:
        if wanted not in known:
            near = near_names(wanted, known) or known
            raise UserError(f'{name} has no task {wanted!r}: choose from {", ".join(near)}')
    arch = cfg.archs[kind]
    chosen = [t for t in cfg.tasks if arch in t.configs and (not tasks or t.name in tasks)]
    if not chosen:
        raise UserError(f'{name} has no recipe of {", ".join(tasks)} for {kind}')
    text = json.dumps(cfg.to_dict(), sort_keys=True)
    return Preset(
        file.stem,
        cfg.title,
        tuple(_task(task, arch) for task in chosen),
        tuple(seeds or cfg.seeds),
        hashlib.sha256(text.encode()).hexdigest()[:16],
        cfg.get('figure_images', 0),
    )


def _task(task, arch):
    fields = {key: value for key, value in task.items() if key != 'configs'}
    fields |= {key: tuple(task.get(key, ())) for key in ('options', 'flags')}
    return Task(config=ROOT / task.configs[arch], **fields)


def read_starts(items):
    """The checkpoints to judge.

    Args:
        items (Sequence[str]): ``NAME=CHECKPOINT``, or a path, whose folder gives the name.

    Returns:
        list[Start]: In order.

    Raises:
        UserError: Two have one name, or a name is taken by a baseline.
        CheckpointError: A file is missing, does not record its backbone, or has another one than
            the first.
    """
    starts = []
    for item in items:
        name, equals, path = item.rpartition('=')
        path = Path(path)
        name = name if equals else path.resolve().parent.name
        if name in BASELINES:
            raise UserError(f'{item}: {name!r} is a baseline of every scorecard, name it otherwise')
        if name in [start.name for start in starts]:
            raise UserError(f'two checkpoints are called {name!r}: give them as NAME=CHECKPOINT')
        starts.append(_read_start(name, path))
    first = starts[0]
    for start in starts[1:]:
        if _architecture(start) != _architecture(first):
            raise CheckpointError(
                f'{start.path} holds {_architecture(start)}, but {first.path} holds '
                f'{_architecture(first)}: one scorecard compares weights of one architecture'
            )
    return starts


def _read_start(name, path):
    if not path.is_file():
        wrong = 'is a folder, not a checkpoint' if path.is_dir() else 'does not exist'
        raise CheckpointError(f'{path} {wrong}')
    meta = stack.load(path).get('meta') or {}
    if not meta.get('backbone'):
        raise CheckpointError(
            f'{path} does not record its backbone: convert it by tools/model_converters/convert.py'
        )
    return Start(name, path, meta['backbone'], file_digest(path))


def _architecture(start):
    keys = ('type', 'embed_dims', 'num_layers', 'num_heads')
    return ', '.join(f'{key}={start.backbone[key]}' for key in keys if key in start.backbone)


def task_config(task, work_dir):
    """The config of a task with its options."""
    return launch.read_config(task.config, str(work_dir), parse_options(task.options))


def check_start(task, start):
    """Check that weights fit the backbone of a task.

    Raises:
        CheckpointError: Names what differs.
    """
    cfg = load_config(task.config)
    init_default_scope(cfg.default_scope)
    with torch.device('meta'):
        backbone = MODELS.build({**cfg.model.backbone, 'init_cfg': None})
    check_architecture(backbone, dict(meta=dict(backbone=start.backbone)), start.path)


def missing_data(task, work_dir):
    """Why a task cannot run here, or how its data are made.

    Returns:
        tuple[str | None, str | None]: The sentence about what is missing, and the command that
        makes it where the recipe has one.

    Raises:
        UserError: The recipe has another mistake.
    """
    cfg = task_config(task, work_dir)
    try:
        for stage in ('train', 'val'):
            check_stage_data(cfg, stage)
    except DataError as error:
        return str(error), cfg.get('make_data')
    return None, None


@functools.cache
def grid_of(config):
    """Settings of a recipe's ``sweep_grid`` as in the names of their folders.

    Returns:
        tuple[str, ...]: Each with ``_`` at its end; ``''`` alone without a grid.
    """
    axes = [parse_axis(item) for item in load_config(config).get(GRID) or ()]
    return tuple(f'{cell.name}_' if axes else '' for cell in make_cells(axes))


def reached(task, cell):
    """What a training reached in the metric of its task, None before its end."""
    file = cell / 'result.json'
    if not file.is_file():
        return None
    found = metrics_of(json.loads(file.read_text())).get(task.metric)
    return task.factor * found['final'] if found else None


@dataclass
class Plan:
    """A scorecard: what is judged, by what, and where results go.

    Args:
        preset (Preset): The tasks.
        starts (list[Start]): The weights.
        folder (Path): Work directory.
        jobs (int | None): Trainings at once, see ``tools/sweep.py``.
    """

    preset: Preset
    starts: list
    folder: Path
    jobs: int | None = None

    def sweep_folder(self, task):
        """Where the trainings of a task are."""
        return self.folder / task.name

    def cell(self, task, start, seed=None):
        """Work directory of one training; the first seed by default.

        Where the recipe has a grid (``sweep_grid``), it is that of the setting with the highest
        mean over the seeds for this start.
        """
        seed = self.preset.seeds[0] if seed is None else seed
        settings = grid_of(task.config)
        best = settings[0]
        if len(settings) > 1:
            best = max(settings, key=lambda setting: self._mean(task, start, setting))
        return self._folder(task, start, best, seed)

    def _folder(self, task, start, setting, seed):
        return self.sweep_folder(task) / f'init={start}_{setting}seed={seed}'

    def _mean(self, task, start, setting):
        """Over the seeds that are finished; below everything before the first one is."""
        cells = (self._folder(task, start, setting, seed) for seed in self.preset.seeds)
        found = [value for cell in cells if (value := reached(task, cell)) is not None]
        return statistics.fmean(found) if found else -math.inf

    def supervised(self):
        """Checkpoint of the supervised baseline, None before it is trained."""
        task = next((task for task in self.preset.tasks if task.supervised), None)
        pointer = self.cell(task, SCRATCH) / 'last_checkpoint' if task else None
        if pointer is None or not (pointer.parent / 'result.json').is_file():
            return None
        return pointer.parent / Path(pointer.read_text().strip()).name

    def inits(self, task):
        """Name -> checkpoint, None for random weights: what a task starts from, baselines first."""
        inits = {SCRATCH: None}
        supervised = None if task.supervised else self.supervised()
        if supervised is not None:
            inits[SUPERVISED] = supervised
        return inits | {start.name: start.path for start in self.starts}

    def training(self, task):
        """The step that trains a task from all starts."""
        inits = [
            name if path is None else f'{name}={path}' for name, path in self.inits(task).items()
        ]
        folder = str(self.sweep_folder(task))
        words = [
            'tools/sweep.py', str(relative(task.config)), '--work-dir', folder,
            '--metric', task.metric, '--init', *inits, '--seeds', *map(str, self.preset.seeds),
        ]  # fmt: skip
        words += [*task.flags, *(['--jobs', str(self.jobs)] if self.jobs else [])]
        words += ['--cfg-options', *task.options] if task.options else []
        return self._step(f'{task.title}: training', words)

    def predictions(self, task, start):
        """File of the predictions that are drawn."""
        return self.cell(task, start) / 'predictions.pkl'

    def evaluation(self, task, start):
        """The step that writes predictions of a trained task."""
        cell = self.cell(task, start)
        checkpoint = cell / Path((cell / 'last_checkpoint').read_text().strip()).name
        output = self.predictions(task, start)
        words = [
            'tools/test.py', str(relative(task.config)), str(checkpoint),
            '--work-dir', str(cell / 'test'), '--out', str(output),
        ]  # fmt: skip
        words += ['--cfg-options', *task.options] if task.options else []
        return self._step(f'{task.title}: predictions of {start}', words, output)

    def figures(self):
        """The steps that draw how the weights work, before any fine-tuning.

        Returns:
            list[tuple[str, str, Step]]: Title, explanation and step; the step's output is a PNG.
            Empty for a preset without ``figure_images``.
        """
        if not self.preset.figure_images:
            return []
        config = str(relative(self.preset.tasks[0].config))
        models = [f'{start.name}={config}:{start.path}' for start in self.starts]
        supervised = self.supervised()
        if supervised is not None:
            models.insert(0, f'{SUPERVISED}={config}:{supervised}')
        similarity = ['compare_layers.py', '--reference', models[0], '--models', *models[1:]]
        attention = ['attention_stats.py', '--models', f'{SCRATCH}={config}', *models]
        found = []
        if len(models) > 1:
            found.append((*SIMILARITY, self._figure('similarity of layers', similarity, 'cka.png')))
        found.append((*ATTENTION, self._figure('attention of heads', attention, 'attention.png')))
        return found

    def _figure(self, title, words, file):
        output = self.folder / 'figures' / file
        script, *rest = words
        count = str(self.preset.figure_images)
        batch = str(min(self.preset.figure_images, 128))
        rest += ['--num-images', count, '--batch-size', batch, '--out', str(output.parent)]
        return self._step(title, [f'tools/analysis_tools/{script}', *rest], output)

    def drawing(self, command):
        """The step that makes the data of a task, from its recipe's ``make_data``."""
        return self._step('drawing pictures', shlex.split(command)[1:])

    def _step(self, title, words, output=None):
        script, *rest = words
        return Step(title, (sys.executable, str(relative(ROOT / script)), *rest), output)

    def settings(self):
        """What a folder belongs to, as plain JSON."""
        return dict(
            preset=self.preset.name,
            preset_digest=self.preset.digest,
            seeds=list(self.preset.seeds),
            starts={start.name: start.digest for start in self.starts},
        )


def relative(path):
    """``path`` as it is typed in the current folder, where it lies below it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def check_folder(folder, settings):
    """Refuse a folder of another scorecard. More or fewer checkpoints are no difference.

    Args:
        folder (Path): Work directory.
        settings (dict): See :meth:`Plan.settings`.

    Raises:
        UserError: Names the first setting that differs.
    """
    file = folder / 'settings.json'
    if not file.is_file():
        return
    try:
        earlier = json.loads(file.read_text())
    except json.JSONDecodeError as error:
        raise UserError(f'{file} is no valid JSON: {error}') from error
    remedy = 'choose another --work-dir, or give --anew, which moves this one aside'
    for key in ('preset', 'preset_digest', 'seeds'):
        if earlier.get(key) != settings[key]:
            if key == 'preset_digest':
                raise UserError(
                    f'{file}: the preset {settings["preset"]} has changed since; {remedy}'
                )
            raise UserError(
                f'{file}: {key} was {earlier.get(key)} and is now {settings[key]}; {remedy}'
            )
    for name, digest in settings['starts'].items():
        if earlier.get('starts', {}).get(name, digest) != digest:
            raise UserError(f'{file}: {name} was another checkpoint; {remedy}')


def move_aside(folder):
    """Rename a folder to the first free ``<folder>.N``; returns the new name, None without one."""
    if not folder.exists():
        return None
    number = next(n for n in range(1, 10_000) if not Path(f'{folder}.{n}').exists())
    return folder.rename(f'{folder}.{number}')
