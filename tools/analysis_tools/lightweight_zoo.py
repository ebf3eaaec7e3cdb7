"""Parameters, multiply-adds and latency of MAE-Lite's Table 7 on this device, in one run.

    python tools/analysis_tools/lightweight_zoo.py --csv FILE.csv --plot FILE.png

Every model of the table that timm has, and ViT-Tiny and Hiera-Tiny of this suite, with random
weights (they do not change the speed), beside the accuracy that the paper gives. The models take
turns; median and 95th percentile over all passes count. Four models of the table are not in timm:
their rows have the paper's numbers only.
"""

import argparse
import sys
from pathlib import Path

import torch

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.analysis import zoo, zoo_table
from mmlite.analysis.benchmark import device_name
from mmlite.engine.cli import check_device, check_out_file, tool
from mmlite.errors import UserError

DTYPES = {'fp32': torch.float32, 'fp16': torch.float16, 'bf16': torch.bfloat16}


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        '--models', nargs='+', metavar='NAME',
        help='models of the table, or any other model of timm; default: the whole table',
    )  # fmt: skip
    add('--batch-sizes', nargs='+', type=int, default=[1, 16], metavar='N', help='default: 1 16')
    add('--turns', type=int, default=5, help='how often every model is measured; default: 5')
    add('--seconds', type=float, default=1.0, help='passes of a turn take; default: 1')
    add('--warmup', type=int, default=3, help='passes before each turn; default: 3')
    add(
        '--device', choices=['cpu', 'cuda'],
        default='cuda' if torch.cuda.is_available() else 'cpu', help='default: a GPU if any',
    )  # fmt: skip
    add('--precision', choices=[*DTYPES], default='fp32', help='default: fp32')
    add('--threads', type=int, metavar='N', help="CPU threads; default: torch's own choice")
    add('--csv', type=Path, metavar='FILE', help='write the table')
    add('--plot', type=Path, metavar='FILE', help='write the scatter plot, PNG')
    return parser.parse_args(argv)


def check(args):
    """Refuse what measures nothing or cannot run here."""
    for name in ('batch_sizes', 'turns', 'threads'):
        given = getattr(args, name)
        if given is not None and min(given if isinstance(given, list) else [given]) < 1:
            raise UserError(f'--{name.replace("_", "-")} must be 1 or more')
    for name in ('seconds', 'warmup'):
        if getattr(args, name) < 0:
            raise UserError(f'--{name} is {getattr(args, name)}; give 0 or more')
    check_device(args.device)
    if args.device == 'cpu' and args.precision != 'fp32':
        raise UserError(f'--precision {args.precision} needs a GPU: give fp32')
    if args.plot and args.plot.suffix.lower() != '.png':
        raise UserError(f'--plot {args.plot} must end in .png')
    for option in ('csv', 'plot'):
        if getattr(args, option):
            check_out_file(f'--{option}', getattr(args, option))


def build_all(rows, device, dtype):
    """The models of the rows by name, counted and on the device."""
    contestants = {}
    sizes = {row.model: row.size for row in rows if row.model}
    for number, (name, size) in enumerate(sizes.items(), 1):
        print(f'[{number}/{len(sizes)}] building {name}', flush=True)
        contestants[name] = zoo.Contestant.of(name, size, device, dtype)
    return contestants


def show(rows, batch_sizes):
    """Print the table."""
    names = [' '.join(filter(None, (row['model'], row['pretraining']))) for row in rows]
    width = max(map(len, names))
    heads = ''.join(f'{f"batch {n}":>11}{"p95":>8}' for n in batch_sizes)
    print(f'{"model":<{width}}{"top-1":>7}{"params":>9}{"GMAC":>7}{heads}   (ms)')
    for name, row in zip(names, rows, strict=True):
        line = f'{name:<{width}}{row["paper_top1"] or "-":>7}'
        if row['parameters'] is None:
            print(f'{line}   not in timm')
            continue
        line += f'{row["parameters"] / 1e6:>8.2f}M{row["gmac"]:>7.2f}'
        for n in batch_sizes:
            line += f'{short(row[f"batch{n}_median_ms"]):>11}{short(row[f"batch{n}_p95_ms"]):>8}'
        print(line)


def short(milliseconds):
    """Three digits, or all in front of the point."""
    return f'{milliseconds:.0f}' if milliseconds >= 100 else f'{milliseconds:.3g}'


@tool
def main(argv=None):
    args = parse_args(argv)
    check(args)
    rows = zoo_table.choose_rows(args.models, zoo_table.TABLE)
    if args.threads:
        torch.set_num_threads(args.threads)
    device, dtype = torch.device(args.device), DTYPES[args.precision]
    try:
        contestants = build_all(rows, device, dtype)
        zoo.measure(
            contestants, args.batch_sizes, args.turns, args.seconds, args.warmup, device,
            report=lambda line: print(line, flush=True),
        )  # fmt: skip
    except torch.cuda.OutOfMemoryError as error:
        raise UserError(
            f'the models do not fit into the memory of {device_name(device)}: give smaller '
            f'--batch-sizes or fewer --models'
        ) from error
    cells = zoo.zoo_rows(rows, contestants, args.batch_sizes, device, dtype)
    show(cells, args.batch_sizes)
    if args.csv:
        zoo.write_table(args.csv, cells)
        print(f'{args.csv}: {len(cells)} rows')
    if args.plot:
        zoo.write_whole(args.plot, zoo.draw_zoo(cells, args.batch_sizes))
        print(f'{args.plot}: accuracy against cost')


if __name__ == '__main__':
    sys.exit(main())
