"""Run a training step again that stopped at a NaN or an infinity.

    python tools/analysis_tools/replay.py work_dirs/RUN/failed_step_12

Needs only that directory: no data set, no checkpoint. Prints loss terms now and then, and what is
not finite first. The exit code is 0 if the step fails in the same way, bit for bit, else 1.
"""

import argparse
import sys

import torch
from mmengine.registry import init_default_scope

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.engine.check_config import check_config
from mmlite.engine.cli import CfgOptions, tool
from mmlite.engine.config_file import load_config
from mmlite.engine.launch import set_amp
from mmlite.engine.nonfinite.hook import describe
from mmlite.engine.nonfinite.replay import Replay
from mmlite.engine.nonfinite.step import CONFIG, read
from mmlite.errors import DataError


def difference(losses, gradients, record):
    """What differs from the recorded step, or None if it fails in the same way, bit for bit."""
    if gradients is None:
        return 'the step is finite now'
    # as text, a NaN equals a NaN
    parts = ['loss terms'] if str(losses) != str(record['losses']) else []
    parts += ['gradients'] if sorted(gradients) != sorted(record['gradients']) else []
    return f'the step fails now, too, but with other {" and ".join(parts)}' if parts else None


@tool
def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('directory', help='failed_step_* of a work_dir, or a rank* in it')
    parser.add_argument(
        '--cfg-options', nargs='+', action=CfgOptions, metavar='KEY=VALUE',
        help='settings of the model to be tried; such a step may well be finite',
    )  # fmt: skip
    args = parser.parse_args(argv)
    directory, record = read(args.directory)
    device = record['device'] if torch.cuda.is_available() else 'cpu'
    cfg = load_config(directory / CONFIG, args.cfg_options)
    if device == 'cpu' and cfg.optim_wrapper.get('type') == 'AmpOptimWrapper':
        print('no GPU: in full precision, where the step was in mixed precision')
        set_amp(cfg, False)
    check_config(cfg, data=False)
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    replay = Replay(cfg, record, device)
    losses, gradients = replay.run()
    print(f'{directory}: {describe(record)}')
    print(f'{"":32}{"now":>16}{"then":>16}')
    for now, then in zip(losses, record['losses'], strict=False):
        for name, value in then.items():
            print(f'{name:32}{now.get(name, float("nan")):>16.9g}{value:>16.9g}')
    for name in gradients or ():
        print(f'gradient is not finite: {name}')
    print('\n'.join(replay.explain()))
    reason = difference(losses, gradients, record)
    if reason:
        several = '; processes exchange gradients: try the other rank*'
        raise DataError(
            f'not reproduced: {reason}{several if record["world_size"] > 1 else ""}; another '
            'device, processor or version of torch may change the last bits'
        )
    print('reproduced bit for bit')


if __name__ == '__main__':
    sys.exit(main())
