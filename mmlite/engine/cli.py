"""Options of the command-line tools, and errors as one sentence."""

import argparse
import ast
import functools
import gc
import json
import math
import os
import re
import signal
import sys
import time
from contextlib import contextmanager, suppress
from itertools import accumulate, pairwise
from pathlib import Path

import torch.distributed as dist
from mmengine.config import DictAction

from mmlite.errors import Stopped, UserError

from .initializations import METHODS

INTERRUPTED = 128 + 2  # the shell's code for a program ended by Ctrl-C


def tool(main):
    """Decorator of a tool's ``main(argv)``: returns the exit code instead of raising.

    A :class:`UserError` becomes ``error: <sentence>`` on stderr and its own exit code, Ctrl-C
    becomes 130 (in training 75, see :class:`~mmlite.engine.hooks.stop.StopHook`). Any other
    exception is a bug and keeps its traceback. The process group of a distributed run is closed.
    """

    @functools.wraps(main)
    def run(argv=None):
        code = 0
        try:
            main(argv)
        except UserError as error:
            code, kind = error.exit_code, '' if isinstance(error, Stopped) else 'error: '
            if str(error):  # of several processes that stop, one speaks
                print(f'{kind}{sentence(error)}', file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            code = INTERRUPTED
        if dist.is_available() and dist.is_initialized():
            # NCCL waits for its peers, who may not have failed
            if code in (0, Stopped.exit_code) or dist.get_backend() == 'gloo':
                close_process_group()
        return code

    return run


def close_process_group():
    """Join the threads of a distributed run, which may abort Python at its end."""
    gc.collect()  # a wrapped model with the last reference would join them and keep Python's lock
    dist.destroy_process_group()


def sentence(error):
    """The message of ``error`` on one line."""
    # a loader's worker process sends its exception as text with the traceback in front
    text = re.split(r'mmlite[.\w]*\.errors\.\w+: ', str(error))[-1]
    return ' '.join(text.split())


QUOTED = re.compile(r"""(?<![^,:({\[ ])(["']).*?\1(?![^,:)}\] ])""")


def parse_value(text):
    """Read a value of ``--cfg-options``, as mmengine does, with spaces and quoted commas kept.

    A value is a number, True, False, None, a string, a list ``a,b`` or ``[a,b]``, a tuple ``(a,b)``
    or, in the form of JSON or Python, a dict. Brackets that do not match are a ValueError.
    """
    items = _split(text)
    if items and items != [text]:
        return [parse_value(item) for item in items]
    text = text.strip()
    ends = text[:1] + text[-1:]
    if ends in ('[]', '()'):
        items = [parse_value(item) for item in _split(text[1:-1])]
        return items if ends == '[]' else tuple(items)
    if ends in ('""', "''") and len(text) > 1:
        text = text[1:-1]
        if text[:1] + text[-1:] in ('[]', '()', '{}'):
            return parse_value(text)
    elif ends == '{}':
        for read in (json.loads, ast.literal_eval):
            with suppress(ValueError, SyntaxError):
                return read(text)
        raise ValueError(f'{text} is not a dict of JSON or Python')
    return DictAction._parse_int_float_bool(text)


def _split(text):
    """Split a text at the commas outside of quotes and brackets, of which the last may trail."""
    masked = QUOTED.sub(lambda found: '"' * len(found[0]), text)
    depths = list(accumulate((mark in '([{') - (mark in ')]}') for mark in masked))
    cuts = [i for i, mark in enumerate(masked) if mark == ',' and depths[i] == 0]
    if (',' in masked or masked[:1] in '([{') and depths and (depths[-1] or min(depths) < 0):
        raise ValueError(f'brackets do not match in {text}')
    items = [text[a + 1 : b] for a, b in pairwise([-1, *cuts, len(text)])]
    return items if items[-1].strip() else items[:-1]


class CfgOptions(argparse.Action):
    """``--cfg-options KEY=VALUE ...``, also given several times; the last item of a key counts."""

    def __call__(self, parser, namespace, values, option_string=None):
        options = dict(getattr(namespace, self.dest) or {})
        for item in values:
            key, equals, text = item.partition('=')
            if not key or not equals:
                raise argparse.ArgumentError(self, f'{item!r} is not of the form key=value')
            try:
                options[key] = parse_value(text)
            except ValueError as error:
                raise argparse.ArgumentError(self, str(error)) from error
        setattr(namespace, self.dest, options)


class Override(argparse.Action):
    """An option that joins ``cfg_options`` under its own name, ``{'--epochs': 3}``."""

    def __call__(self, parser, namespace, values, option_string=None):
        earlier = getattr(namespace, 'cfg_options', None) or {}
        namespace.cfg_options = {**earlier, self.option_strings[0]: values}


def _number(kind, words, passes):
    """An argparse type: a ``kind`` that passes."""

    def convert(text):
        with suppress(ValueError):
            if passes(value := kind(text)):
                return value
        raise argparse.ArgumentTypeError(f'must be {words} (got {text})')

    return convert


positive_int = _number(int, 'an integer >= 1', lambda value: value >= 1)
non_negative_int = _number(int, 'an integer >= 0', lambda value: value >= 0)
positive_float = _number(float, 'a number > 0', lambda value: 0 < value < math.inf)


def add_config_options(parser):
    """Add ``config``, ``--cfg-options`` and the options of :mod:`.overrides`."""
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=CfgOptions,
        metavar='KEY=VALUE',
        help='override settings of the config, e.g. model.backbone.drop_path_rate=0.1 '
        'train_dataloader.batch_size=4; lists as key="[a,b]" or key=a,b',
    )
    for flag, text in (
        ('--epochs', 'train for N epochs; schedules and warm-up follow'),
        ('--iters', 'train for N iterations, for configs that count them'),
        ('--image-size', 'side of the training crop in pixels; padding and windows follow'),
    ):
        parser.add_argument(flag, type=positive_int, action=Override, metavar='N', help=text)
    parser.add_argument(
        '--init', action=Override, metavar='NAME',
        help='initialization of the backbone: a checkpoint, the name of a pre-training with or '
        f'without one, NAME=CHECKPOINT ({", ".join(METHODS)}), or scratch',
    )  # fmt: skip


def add_launch_options(parser):
    """Add ``--work-dir``, ``--launcher`` and ``--local_rank`` to ``parser``."""
    parser.add_argument(
        '--work-dir', help='directory of logs and checkpoints (default: work_dirs/<config name>)'
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='how the processes of a distributed run were started',
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def check_out_file(option, path):
    """Refuse an output file that cannot be written; its directory may be missing."""
    if Path(path).is_dir():
        raise UserError(f'{option} {path} is a directory: name a file')
    check_out_folder(option, path, Path(path).absolute().parent)


def check_out_folder(option, path, folder=None):
    """As :func:`check_out_file`, for a directory of results, which may be missing."""
    folder = folder or Path(path).absolute()
    while not os.path.lexists(folder):
        folder = folder.parent
    if not folder.is_dir():
        raise UserError(f'{option} {path} cannot be written: {folder} is not a directory')
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f'{option} {path} cannot be written: {folder} is not writable')


def export_local_rank(args):
    """Set ``LOCAL_RANK``, which torch and mmengine read, from ``--local_rank`` of old launchers."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))


LOCAL_RANKS = dict(pytorch='LOCAL_RANK', slurm='SLURM_LOCALID', mpi='OMPI_COMM_WORLD_LOCAL_RANK')


@contextmanager
def report_errors_once(launcher, seconds=20):
    """Let only local rank 0 print a :class:`UserError` that every rank raises.

    The others wait (20 seconds by default) until the launcher stops them: if one of them ended
    first, silently, the launcher would stop rank 0 before it prints.
    """
    try:
        yield
    except UserError:
        if launcher != 'none' and os.environ.get(LOCAL_RANKS[launcher], '0') != '0':
            time.sleep(seconds)
        raise


@contextmanager
def stopped_by_signals():
    """Raise SystemExit at SIGTERM and SIGHUP, unless they are ignored, as under nohup."""

    def unwind(number, _frame):
        raise SystemExit(128 + number)

    signals = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in signals}
    for number in signals:
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, unwind)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
