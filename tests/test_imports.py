"""Imports point one way, and no module imports one that imports it."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LEVELS = [
    {'errors'}, {'utils'}, {'stack'}, {'registry'}, {'models', 'datasets'}, {'weights'},
    {'evaluation', 'visualization'}, {'engine'}, {'deploy', 'analysis'}, {'apis'},
    {'experiments'}, {'cli'},
]  # fmt: skip
"""Each may import those before it."""
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


MODULES = {name_of(path): path for path in (ROOT / 'mmlite').rglob('*.py')}


def imports(module):
    """Modules of the suite that a module imports, at its top or in a function."""
    path = MODULES[module]
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.ImportFrom):
            base = '.'.join(package[: len(package) + 1 - node.level] if node.level else ())
            source = '.'.join(filter(None, (base, node.module)))
            names = [f'{source}.{alias.name}' for alias in node.names]
            yield from (name if name in MODULES else source for name in names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


GRAPH = {name: {found for found in imports(name) if found in MODULES} for name in MODULES}


def room(module):
    return module.split('.')[1] if '.' in module else None


def test_imports_point_one_way():
    assert set(LEVEL) <= {room(module) for module in MODULES}
    assert not [
        f'{module} imports {other}'
        for module, others in GRAPH.items()
        for other in others
        if LEVEL.get(room(other), -1) > LEVEL.get(room(module), 99)
        or {room(module), room(other)} == {'models', 'datasets'}
    ]


def test_no_cycles():
    assert len(list(TopologicalSorter(GRAPH).static_order())) == len(MODULES)


def test_tasks_do_not_import_each_other():
    """Pre-training and tracking share layers and backbones only."""
    tasks = {'mmlite.models.pretrain', 'mmlite.models.track'}
    for module, others in GRAPH.items():
        own = next((task for task in tasks if module.startswith(task)), None)
        if own:
            (foreign,) = tasks - {own}
            assert not [other for other in others if other.startswith(foreign)], module
