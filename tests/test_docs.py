"""The documentation: what it names exists, and its errors are those that tools give."""

import functools
import glob
import importlib
import itertools
import json
import os
import re
import shlex
import shutil
from contextlib import redirect_stdout, suppress
from io import StringIO
from pathlib import Path

import pretrain_recipes
import pytest
import torch
from mmengine import registry as root_registries
from mmengine.config import Config
from mmengine.registry import Registry, init_default_scope
from run_tool import TOOLS, run_tool

from mmlite.cli import COMMANDS
from mmlite.engine.check_config import check_config
from mmlite.registry import MODELS

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*sorted((ROOT / 'docs').glob('*.md')), ROOT / 'README.md']
OWN = [page for page in PAGES if page.name not in ('model_zoo.md', 'zoo.md')]
EXAMPLE = re.compile(r'(?:[Ss]ave\s+(?:this|it)\s+as\s+)`([^`]+\.py)`')
"""Files that the reader is told to write."""
FENCE = re.compile(r'^```(\w+)\n(.*?)^```', re.MULTILINE | re.DOTALL)
TOP = ('benchmarks', 'configs', 'mmlite', 'projects', 'tests', 'tools')
PATH = re.compile(rf'(?<![\w./$-])(?:{"|".join(TOP)})/[\w.,{{}}*/$-]*')
METAVARIABLE = re.compile(r'\b(?!README)[A-Z][A-Z_]{2,}\b|\$\w+')
NAME = re.compile(r'(?<![\w./])mmlite(?:\.\w+)+')

pages = pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
own_pages = pytest.mark.parametrize('page', OWN, ids=lambda page: page.name)


def text_of(page):
    return page.read_text(encoding='utf-8')


def blocks(page, *languages):
    return [code for language, code in FENCE.findall(text_of(page)) if language in languages]


@pages
def test_relative_links_lead_to_files(page):
    text = FENCE.sub('', text_of(page))
    for target in re.findall(r'\]\(([^)\s]+)\)', text):
        if '://' not in target:
            file = page.parent / target.split('#')[0]
            assert file.exists() and file.resolve().is_relative_to(ROOT), target


def is_there(path):
    """Whether a path exists, where ``...`` stands for anything and braces for alternatives."""
    if path.count('{') != path.count('}'):
        return False
    choices = [part.split(',') for part in re.split(r'[{}]', path.replace('...', '*'))]
    for parts in itertools.product(*(p if i % 2 else [','.join(p)] for i, p in enumerate(choices))):
        if not glob.glob(str(ROOT / ''.join(parts))):
            return False
    return True


@pages
def test_paths_exist(page):
    text = text_of(page)
    missing = re.findall(r'config not found: ([^;\s]+)', text)  # by commands that are to fail
    linkless = re.sub(r'\]\([^)]*\)', ']', text)  # links are for the other test
    found = {re.sub(r'(?<!\.)[.,]$', '', path) for path in PATH.findall(linkless)}
    found = {METAVARIABLE.sub('*', path) for path in found - {*EXAMPLE.findall(text), *missing}}
    assert not sorted(path for path in found if not is_there(path))


@own_pages
def test_names_exist(page):
    known = {
        name
        for root in vars(root_registries).values()
        if isinstance(root, Registry) and 'mmlite' in root.children
        for name in root.children['mmlite'].module_dict
    }
    text = FENCE.sub(lambda block: '' if block[1] == 'console' else block[0], text_of(page))
    names = (name.rpartition('.') for name in NAME.findall(text))
    assert not {
        f'{head}.{last}'
        for head, _, last in names
        if not (head == 'mmlite' and last in known or has_attribute(head, last))
    }


def has_attribute(module, name):
    """Whether ``module.name`` is a module or something in one."""
    for importable in (f'{module}.{name}', module):
        try:
            found = importlib.import_module(importable)
        except ImportError:
            continue
        return importable != module or hasattr(found, name)
    return False


def commands(page):
    """Tool, its subcommand if it has one, and options of each command that a page shows."""
    text = '\n'.join([*blocks(page, 'bash', 'console'), *re.findall(r'`([^`\n]+)`', text_of(page))])
    text = re.sub(r'\\\n', ' ', text)
    for line in text.splitlines():
        for part in re.split(r'&&|;|\|', re.sub(r'\s#.*', '', line)):
            match = re.search(
                r'(?:python|bash) (?:tools|projects)/\S+\.(?:py|sh)'
                r'|^\s*mmlite (?:(?:data|check) (?=[a-z]))?[a-z]+',
                part,
            )
            if match:
                command = match[0].split('mmlite ')[-1].strip()
                tool = f'tools/{COMMANDS[command]}' if command in COMMANDS else match[0].split()[1]
                rest = part[match.end() :]
                options = re.findall(r'(?<=\s)--?[a-zA-Z][\w-]*', rest)
                yield tool, tuple(re.findall(r'^\s+([a-z_]+)(?!\S)', rest)), options


RUN = {'dist_train.sh': 'train.py', 'dist_test.sh': 'test.py'}
RUN |= {'slurm_train.sh': 'train.py', 'slurm_test.sh': 'test.py', 'quickstart.sh': 'train.py'}
RUN |= {'slurm_batch.sh': 'train.py'}
OPTIONS = {'run_tests.sh': {'-k', '-x', '-q', '-n', '--faults'}}
"""Scripts that run no Python tool -> their options; those of pytest are some of many."""


@functools.cache
def options_of(tool, command):
    """All options in the help of a tool, or of a command of it."""
    path = ROOT / tool
    path = path.with_name(RUN.get(path.name, path.name))
    with redirect_stdout(StringIO()) as text, suppress(SystemExit):
        run_tool(os.path.relpath(path.with_suffix(''), TOOLS), *command, '--help')
    return set(re.findall(r'--?[a-zA-Z][\w-]*', text.getvalue()))


@pages
def test_options_are_known(page):
    unknown = []
    for tool, command, options in commands(page):
        if options:
            known = OPTIONS.get(Path(tool).name) or options_of(tool, command)
            unknown += [f'{tool} {option}' for option in options if option not in known]
    assert not unknown


EXAMPLES = [
    pytest.param(path, code, id=path)
    for page in OWN
    for path, code in re.findall(
        EXAMPLE.pattern + r'[^`]*?```python\n(.*?)^```', text_of(page), re.MULTILINE | re.DOTALL
    )
]


@pytest.mark.parametrize(('path', 'code'), EXAMPLES)
def test_example_configs_work(path, code, tmp_path, monkeypatch):
    monkeypatch.setattr('mmlite.engine.check_config.LOGGERS', {})  # their packages are optional
    folder = ROOT / path
    file = tmp_path / folder.name
    file.write_text(code.replace("_base_ = './", f"_base_ = '{folder.parent}/"))
    cfg = Config.fromfile(file)
    cfg.optim_wrapper.type = 'OptimWrapper'  # AMP needs a GPU
    check_config(cfg, 'train', data=False)
    if cfg.get('test_dataloader'):
        check_config(cfg, 'test', data=False)
    init_default_scope(cfg.default_scope)
    with torch.device('meta'):
        MODELS.build(cfg.model)


# ---- the page about errors --------------------------------------------------------------------


FAQ = ROOT / 'docs' / 'faq.md'
CASES = [
    (command, sentence)
    for block in blocks(FAQ, 'console')
    for command, sentence in re.findall(r'^\$ python tools/(.*)\nerror: (.*)$', block, re.MULTILINE)
]
RECIPE = 'mae/mae_vit-tiny_8xb512-amp-coslr-400e_in1k_shapes.py'


class Program:
    """What no checkpoint should be."""

    def __reduce__(self):
        return os.system, ('true',)


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    """A folder with what the commands need: configs, a few pictures, checkpoints."""
    place = tmp_path_factory.mktemp('faq')
    (place / 'configs').symlink_to(ROOT / 'configs')
    for task, folder, options in (
        ('det', 'shapes', '--classes 4 --train 16'),
        ('cls', 'shapes-cls', '--classes 12 --train 64'),  # a batch at least
    ):
        options += f' --val 24 --size 96 --workers 1 --tasks {task} --out {place}/data/{folder}'
        assert run_tool('dataset_converters/make_shapes', *options.split()) == 0
    cls = place / 'data/shapes-cls/imagenet'
    (place / 'data/shapes/imagenet').symlink_to(cls)
    shutil.copytree(cls / 'val', place / 'data/other/val')
    shutil.rmtree(place / 'data/other/val/crescent')
    picture = next((cls / 'train/crescent').iterdir()).read_bytes()
    broken = place / 'data/broken/train/crescent/broken.jpg'
    broken.parent.mkdir(parents=True)
    broken.write_bytes(picture[: len(picture) // 2])
    annotations = place / 'data/shapes/coco/annotations'
    edited = json.loads((annotations / 'instances_train2017.json').read_text())
    edited['annotations'][0]['category_id'] = 99
    (annotations / 'edited.json').write_text(json.dumps(edited))
    (place / 'my-experiment.py').write_text(
        "_base_ = 'configs/det/mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px.py'\n"
        'model = dict(backbone=dict(drop_path_rate=0.1)\n'
    )
    model = pretrain_recipes.build(RECIPE)
    meta = dict(backbone=model.backbone.describe())
    (place / 'work_dirs/mae').mkdir(parents=True)
    state = dict(state_dict=model.state_dict(), meta=meta)
    torch.save(state, place / 'work_dirs/mae/epoch_20.pth')
    torch.save(dict(state_dict={}, program=Program()), place / 'download.pth')
    return place


@pytest.mark.parametrize(('command', 'sentence'), CASES, ids=lambda text: text[:40])
def test_errors_are_quoted_exactly(command, sentence, place, capsys, monkeypatch):
    monkeypatch.chdir(place)
    for module in ('checks.devices', 'launch'):
        monkeypatch.setattr(f'mmlite.engine.{module}.get_device', lambda: 'cpu')
    tool, *words = shlex.split(command)
    assert run_tool(tool.removesuffix('.py'), *words) in (1, 2)
    assert f'error: {sentence}' in capsys.readouterr().err.splitlines()


def test_examples_and_errors_are_found():
    assert len(EXAMPLES) >= 5 and len(CASES) >= 20
