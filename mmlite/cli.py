"""The console command ``mmlite``: the programs of ``tools/`` under one name, from any directory."""

import ast
import runpy
import sys

from .utils.paths import suite_path

COMMANDS = {
    'train': 'train.py',
    'test': 'test.py',
    'predict': 'demo/image.py',
    'track': 'demo/track.py',
    'export': 'deploy/export_tracker.py',
    'bench': 'analysis_tools/benchmark.py',
    'convert': 'model_converters/convert.py',
    'publish': 'model_converters/publish.py',
    'weights': 'model_converters/weights.py',
    'browse': 'analysis_tools/browse_dataset.py',
    'report': 'analysis_tools/report.py',
    'new': 'new.py',
    'sweep': 'sweep.py',
    'scorecard': 'scorecard.py',
    'data check': 'dataset_converters/check_data.py',
    'data import': 'dataset_converters/import_data.py',
    'data shapes': 'dataset_converters/make_shapes.py',
    'data subset': 'dataset_converters/make_subset.py',
    'config': 'analysis_tools/print_config.py',
    'flops': 'analysis_tools/get_flops.py',
    'score': 'analysis_tools/score_tracker.py',
    'run': 'run.py',
    'check': 'check_stack.py',
    'check zoo': 'check_zoo.py',
}
"""Command -> program below ``tools/``."""


def main(argv=None):
    """Run a command, by default of the process; returns its exit code, 2 for a wrong command."""
    from . import __version__

    argv = sys.argv[1:] if argv is None else list(argv)
    words = 2 if ' '.join(argv[:2]) in COMMANDS else 1
    command, options = ' '.join(argv[:words]) or '--help', argv[words:]
    if command in ('-h', '--help'):
        print(usage())
        return 0
    if command == '--version':
        print(f'mmlite {__version__}')
        return 0
    if command not in COMMANDS:
        print(f'error: unknown command {command!r}\n\n{usage()}', file=sys.stderr)
        return 2
    sys.argv = [f'mmlite {command}', *options]  # argparse names the program by it
    program = runpy.run_path(str(suite_path('tools', COMMANDS[command])))
    return program['main']()


def usage():
    """Return the help text: each command with the first line of its program's docstring."""
    lines = ['usage: mmlite COMMAND [options]', '', 'commands (mmlite COMMAND --help):']
    for command, file in COMMANDS.items():
        source = suite_path('tools', file).read_text(encoding='utf-8')
        summary = ast.get_docstring(ast.parse(source)).splitlines()[0]
        lines.append(f'  {command:<12} {summary}')
    return '\n'.join(lines)
