"""Run a training step again that stopped at a NaN or an infinity.

    python tools/analysis_tools/replay.py work_dirs/RUN/failed_step_12 --anomaly

Needs nothing but that folder: no data set, no checkpoint. In a distributed run, each process has
its share in it (rank0 and so on); by default, the first whose loss was not finite is taken. Prints
every loss term now and then, and the parameters whose gradients are not finite. The exit code is 0
if the step fails the same way, bit for bit, and 1 if it does not.
"""

import argparse
import sys

import torch
from mmengine.registry import init_default_scope

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.engine.build import as_device
from mmlite.engine.check_config import check_config
from mmlite.engine.cli import CfgOptions, tool
from mmlite.engine.config_file import load_config
from mmlite.engine.failed_step import CONFIG, machine, read
from mmlite.engine.first_non_finite import explain
from mmlite.engine.hooks.finite import describe
from mmlite.engine.launch import set_amp
from mmlite.engine.replay import Outcome, Replay
from mmlite.errors import DataError


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('folder', metavar='FOLDER', help='failed_step_* of a work_dir, or a rank* in it')
    add(
        '--cfg-options', nargs='+', action=CfgOptions, metavar='KEY=VALUE',
        help='settings of the model to be tried; such a step may well be finite',
    )  # fmt: skip
    add('--device', help='cpu or cuda; default: that of the step, where it is here')
    add(
        '--anomaly', action='store_true',
        help='run once more under autograd.detect_anomaly, and name the module where the first '
        'NaN or infinity appears',
    )  # fmt: skip
    return parser.parse_args(argv)


def configure(folder, options, device):
    """The config of the step for a device."""
    cfg = load_config(folder / CONFIG, options)
    if device.type == 'cpu' and cfg.optim_wrapper.get('type') == 'AmpOptimWrapper':
        print('no GPU: in full precision, where the step was in mixed precision')
        set_amp(cfg, False)
    check_config(cfg, data=False)
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    return cfg


def print_losses(now, then):
    """A line for each loss term of each iteration."""
    print(f'{"":32}{"now":>16}{"then":>16}')
    for before, after in zip(then.losses, now.losses, strict=False):
        for name, value in before.items():
            print(f'{name:32}{after.get(name, float("nan")):>16.9g}{value:>16.9g}')


def print_gradients(now, then):
    """Number and names of the parameters whose gradients are not finite."""
    count = 'gradients that are not finite'
    print(f'{count:32}{len(now.gradients):>16}{len(then.gradients):>16}')
    for name in now.gradients:
        print(f'  {name}')


def verdict(now, then, record, here):
    """Why the step is not the same as then, or None if it is."""
    differing = now.differs(then)
    if now.failed and not differing:
        return None
    if not now.failed:
        text = 'the step is finite now'
    else:
        text = f'the step fails now, too, but with other {" and ".join(differing)}'
    if record['world_size'] > 1:
        text += (
            f'; it was one of {record["world_size"]} processes, which exchange gradients: try the '
            'other rank* beside it'
        )
    if here != record['machine']:
        text += f'; it ran on {record["machine"]}, and now on {here}'
    return text


@tool
def main(argv=None):
    args = parse_args(argv)
    folder, record = read(args.folder)
    there = record['device'] == 'cpu' or torch.cuda.is_available()
    device = as_device(args.device or (record['device'] if there else 'cpu'))
    cfg = configure(folder, args.cfg_options, device)
    replay = Replay(cfg, record, device)
    then, now = Outcome.of_record(record), replay.run()
    print(f'{folder}: {describe(record)}')
    print_losses(now, then)
    print_gradients(now, then)
    if args.anomaly:
        print('\n'.join(explain(replay)))
    reason = verdict(now, then, record, machine(device))
    if reason:
        raise DataError(f'not reproduced: {reason}')
    print('reproduced bit for bit')


if __name__ == '__main__':
    sys.exit(main())
