"""The model zoo: the metafiles beside the configs, an index of them, and a page with their numbers.

A ``metafile.yml`` has the form of OpenMMLab's model index: collections, and models with their
config, cost and results. A metric whose name ends in ``(paper)`` is a target, any other one is
measured by us.
"""

import math
import textwrap
from dataclasses import dataclass
from pathlib import Path

import yaml  # a requirement of mmengine

from mmlite.errors import DataError

INDEX = 'model-index.yml'
PAGE = 'docs/model_zoo.md'
COMMAND = 'python tools/model_zoo.py'
PAPER = ' (paper)'
GENERATED = 'shapes'
"""Folder below ``configs/`` of recipes for generated data, where nothing has a target."""

KINDS = {
    'a text': lambda value: isinstance(value, str) and bool(value.strip()),
    'a text or a list of texts': lambda value: all(
        map(KINDS['a text'], value if isinstance(value, list) and value else [value])
    ),
    'a mapping': lambda value: isinstance(value, dict),
    'a list': lambda value: isinstance(value, list),
    'a list or null': lambda value: value is None or isinstance(value, list),
    'a number': lambda value: type(value) in (int, float) and math.isfinite(value),
    'a positive whole number': lambda value: type(value) is int and value > 0,
}
"""What a value must be, in words -> whether it is."""


@dataclass(frozen=True)
class Entry:
    """A model of a metafile.

    Attributes:
        name (str): Of the config, without suffix.
        config (str): Path of the config below the root of the repository.
        readme (str): Path of its collection's README.
        backbone (str): E.g. ``'ViT-Tiny'``.
        training (str): E.g. ``'300 epochs'``.
        parameters (int): Number of parameters.
        flops (int): Multiply-adds.
        results (tuple[tuple[str, str, float]]): Data set, metric and value of each result.
    """

    name: str
    config: str
    readme: str
    backbone: str
    training: str
    parameters: int
    flops: int
    results: tuple

    @property
    def folder(self):
        """The config's task: the first folder below ``configs/``."""
        return Path(self.config).parts[1]


def read_zoo(root):
    """All metafiles below ``configs/``, checked.

    Args:
        root (str | Path): Of the repository.

    Returns:
        dict[str, list[Entry]]: Path of each metafile below the root -> its models, in order.

    Raises:
        DataError: A metafile cannot be read, lacks a key, has a value of a wrong type or names a
            file that does not exist; a name is there twice; a config lies beside a metafile, but
            is not in it.
    """
    root = Path(root)
    paths = sorted(
        path.relative_to(root).as_posix() for path in root.glob('configs/*/**/metafile.yml')
    )
    if not paths:
        raise DataError(f'no metafile.yml below {root / "configs"}')
    seen, zoo = set(), {}
    for path in paths:
        content = _load(root, path)
        readmes = dict(_collections(root, content, path, seen))
        zoo[path] = list(_entries(root, content, path, readmes, seen))
    _refuse_missing_recipes(root, zoo)
    return zoo


def _load(root, path):
    """The content of a YAML file."""
    try:
        return yaml.safe_load((root / path).read_text(encoding='utf-8'))
    except yaml.MarkedYAMLError as error:
        line = f', line {error.problem_mark.line + 1}' if error.problem_mark else ''
        raise DataError(f'{path}{line} is no valid YAML: {error.problem}') from error
    except (yaml.YAMLError, ValueError, OSError) as error:  # ValueError: no UTF-8, no such date
        raise DataError(f'{path} cannot be read: {error}') from error


def _take(mapping, key, kind, where):
    """The value of ``key``, which must be of a kind of :data:`KINDS`."""
    if not isinstance(mapping, dict):
        raise DataError(f'{where} must be a mapping with the key {key}, not {mapping!r:.60}')
    if key not in mapping:
        raise DataError(f'{where}: {key} is missing')
    value = mapping[key]
    if not KINDS[kind](value):
        raise DataError(f'{where}: {key} must be {kind}, not {value!r:.60}')
    return value


def _take_file(root, mapping, key, where):
    """The path that ``key`` gives, of a file that exists."""
    path = _take(mapping, key, 'a text', where)
    if not (root / path).is_file():
        raise DataError(f'{where}: {key} {path} does not exist')
    return path


def _named(content, key, path, seen):
    """The items of a list with their names, which no other metafile has, and where they stand."""
    kind = key.lower().removesuffix('s')
    for number, item in enumerate(_take(content, key, 'a list', path), 1):
        name = _take(item, 'Name', 'a text', f'{path}, {kind} {number}')
        if (kind, name) in seen:
            raise DataError(f'{path}: {kind} {name} is there twice')
        seen.add((kind, name))
        yield name, item, f'{path}, {kind} {name}'


def _collections(root, content, path, seen):
    """Name and README of the collections of a metafile."""
    for name, item, where in _named(content, 'Collections', path, seen):
        metadata = _take(item, 'Metadata', 'a mapping', where)
        for key in ('Training Data', 'Training Techniques'):
            _take(metadata, key, 'a text or a list of texts', f'{where}, Metadata')
        paper = _take(item, 'Paper', 'a mapping', where)
        for key in ('Title', 'URL'):
            _take(paper, key, 'a text', f'{where}, Paper')
        yield name, _take_file(root, item, 'README', where)


def _entries(root, content, path, readmes, seen):
    """The models of a metafile."""
    for name, model, where in _named(content, 'Models', path, seen):
        collection = _take(model, 'In Collection', 'a text', where)
        if collection not in readmes:
            known = ', '.join(readmes) or 'nothing'
            raise DataError(f'{where}: In Collection is {collection}, but Collections has {known}')
        config = _take_file(root, model, 'Config', where)
        expected = f'{Path(path).parent.as_posix()}/{name}.py'
        if config != expected:
            raise DataError(f'{where}: Config is {config}, by folder and Name it is {expected}')
        yield Entry(
            name=name,
            config=config,
            readme=readmes[collection],
            results=tuple(_results(model, where, Path(config).parts[1] == GENERATED)),
            **_metadata(_take(model, 'Metadata', 'a mapping', where), f'{where}, Metadata'),
        )


def _metadata(metadata, where):
    """What a model's metadata say of an :class:`Entry`."""
    if 'Training Data' in metadata:  # other than the collection's
        _take(metadata, 'Training Data', 'a text or a list of texts', where)
    unit = 'Iterations' if 'Iterations' in metadata else 'Epochs'
    count, _, parameters, flops = (
        _take(metadata, key, 'a positive whole number', where)
        for key in (unit, 'Batch Size', 'Parameters', 'FLOPs')
    )
    return dict(
        backbone=_take(metadata, 'Backbone', 'a text', where),
        training=f'{count:,} {unit.lower()}',
        parameters=parameters,
        flops=flops,
    )


def _results(model, where, generated):
    """Data set, metric and value of each result of a model."""
    for number, result in enumerate(_take(model, 'Results', 'a list or null', where) or [], 1):
        place = f'{where}, result {number}'
        _take(result, 'Task', 'a text', place)
        dataset = _take(result, 'Dataset', 'a text', place)
        if dataset.startswith('generated') != generated:
            raise DataError(
                f'{place}: Dataset is {dataset!r}, but results on generated data, and no others, '
                f'belong to configs/{GENERATED} and have a Dataset that begins with "generated"'
            )
        metrics = _take(result, 'Metrics', 'a mapping', place)
        for metric in metrics:
            value = _take(metrics, metric, 'a number', place)
            if generated and str(metric).endswith(PAPER):
                raise DataError(f'{place}: {metric}: the paper has no results on generated data')
            yield dataset, str(metric), value


def _refuse_missing_recipes(root, zoo):
    """Every config beside a metafile is in it, but for those that only test on other data."""
    for path, entries in zoo.items():
        listed = {entry.config for entry in entries}
        folder = Path(path).parent
        for config in sorted((root / folder).glob('*.py')):
            name = (folder / config.name).as_posix()
            if folder.parts[1] != GENERATED and '_test-' not in name and name not in listed:
                raise DataError(f'{path} has no model for {name}')


SECTIONS = {
    'pretrain': (
        'Pre-training',
        'Parameters: what is trained, decoder and heads included. GMAC: one forward pass in '
        'training, with that of a teacher or tokeniser; `benchmark_pretrain.py` counts it. The '
        "paper's accuracies are those after fine-tuning.",
    ),
    'cls': (
        'Classification',
        'GMAC: one picture of 224 pixels; `get_flops.py` counts it. Transfers start from random '
        "weights here, probes from none in particular; the README has the paper's numbers from all "
        'pre-trainings.',
    ),
    'det': (
        'Detection and instance segmentation',
        'GMAC: one picture of 640 pixels with 1000 regions, mask head not run; `get_flops.py` '
        "counts it. The README has the paper's numbers from supervised weights.",
    ),
    'seg': (
        'Semantic segmentation',
        "GMAC: one picture of 512 pixels; `get_flops.py` counts it. UperNet's auxiliary head, "
        "which only training runs, is in neither count. The README has the paper's numbers from "
        'supervised weights and other pre-trainings.',
    ),
    'track': (
        'Single-object tracking',
        'Parameters: what is trained. GMAC: one frame, attention products included; '
        "`get_flops.py` counts it. The README has the paper's numbers from other pre-trainings.",
    ),
    GENERATED: (
        'On generated data',
        'Small versions of the recipes on generated pictures, measured by us: they say that the '
        'tools learn, and nothing about real data sets.',
    ),
}
"""Folder below ``configs/`` -> title and explanation of its section, in the page's order."""

INTRODUCTION = f"""# Model zoo

Written by `{COMMAND}` from the `metafile.yml` beside the configs: change those, then run it.

- **paper**: targets, the numbers of MAE-Lite
  ([arXiv 2404.12210](https://arxiv.org/abs/2404.12210)) for this very recipe, weights that it
  starts from included. None of them is ours. An empty cell: its tables have none.
- **ours**: measured by us on the real data. An empty cell: not trained on them.
- Parameters and GMAC (10^9 multiply-adds) are counted from the configs.
"""


def render_index(zoo):
    """The root's index of metafiles.

    Args:
        zoo (dict[str, list[Entry]]): From :func:`read_zoo`.

    Returns:
        str: YAML in the form of OpenMMLab's ``model-index.yml``.
    """
    return '\n'.join([f'# Written by {COMMAND}.', 'Import:', *(f'  - {path}' for path in zoo), ''])


def render_page(zoo):
    """The page with a table for every task.

    Args:
        zoo (dict[str, list[Entry]]): From :func:`read_zoo`.

    Returns:
        str: Markdown with links that are relative to ``docs/``.
    """
    tasks = {folder: [] for folder in SECTIONS}
    for entries in zoo.values():
        for entry in entries:
            tasks.setdefault(entry.folder, []).append(entry)
    return '\n'.join([INTRODUCTION, *(_section(*task) for task in tasks.items() if task[1])])


def _section(folder, entries):
    """Title, explanation and table of a task."""
    title, text = SECTIONS.get(folder, (folder, ''))
    readmes = dict.fromkeys(entry.readme for entry in entries)
    links = ', '.join(f'[{path.removesuffix("/README.md")}](../{path})' for path in readmes)
    text = textwrap.fill(
        f'{text} More: {links}.', 100, break_long_words=False, break_on_hyphens=False
    )
    last = ['ours, on generated data'] if folder == GENERATED else ['paper', 'ours']
    header = ['config', 'backbone', 'training', 'parameters', 'GMAC', *last]
    rows = [header, ['---'] * len(header), *(_cells(entry, len(last) == 2) for entry in entries)]
    return '\n'.join([f'## {title}', '', text, '', *map(_line, rows), ''])


def _line(cells):
    """A row of a table; an empty cell is one space, as in the other tables of the repository."""
    return '|' + '|'.join(f' {cell} ' if cell else ' ' for cell in cells) + '|'


def _cells(entry, with_paper):
    """A model as a row of the table."""
    paper = [(d, m.removesuffix(PAPER), v) for d, m, v in entry.results if m.endswith(PAPER)]
    ours = [result for result in entry.results if not result[1].endswith(PAPER)]
    return [
        f'[{entry.name}](../{entry.config})',
        entry.backbone,
        entry.training,
        f'{entry.parameters / 1e6:.2f}M',
        f'{entry.flops / 1e9:.2f}',
        *([_numbers(paper)] if with_paper else []),
        _numbers(ours),
    ]


def _numbers(results):
    """Results in one cell: a line for each data set."""
    datasets = {}
    for dataset, metric, value in results:
        datasets.setdefault(dataset, []).append(f'{metric} {value}')
    return '<br>'.join(f'{name}: {", ".join(values)}' for name, values in datasets.items())


def write_zoo(root, zoo):
    """Write index and page.

    Args:
        root (str | Path): Of the repository.
        zoo (dict[str, list[Entry]]): From :func:`read_zoo`.

    Raises:
        DataError: If a file cannot be written.
    """
    for name, text in _files(zoo):
        path = Path(root, name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        except OSError as error:
            raise DataError(f'cannot write {path}: {error.strerror}') from error


def check_zoo(root, zoo):
    """Refuse an index or page that is not what :func:`write_zoo` would write.

    Args:
        root (str | Path): Of the repository.
        zoo (dict[str, list[Entry]]): From :func:`read_zoo`.

    Raises:
        DataError: Names the file.
    """
    for name, text in _files(zoo):
        path = Path(root, name)
        if not path.is_file():
            raise DataError(f'{name} does not exist: run {COMMAND}')
        if path.read_bytes().replace(b'\r\n', b'\n') != text.encode():
            raise DataError(f'{name} is out of date: run {COMMAND}')


def _files(zoo):
    """Name and content of what is written."""
    return (INDEX, render_index(zoo)), (PAGE, render_page(zoo))
