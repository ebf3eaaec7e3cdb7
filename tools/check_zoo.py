"""Build, train and test the models of mmdet, mmseg and mmpretrain for a step.

    mmlite check zoo --library mmseg --out zoo.md

One config of every family (a directory of the wheel's configs), the one with the smallest backbone.
Weights are random and images are noise. Each model runs in a process of its own.
"""

import argparse
import platform
import sys
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import torch

import mmlite
from mmlite.analysis.zoo import LIBRARIES, check, configs, representatives
from mmlite.engine.cli import positive_int, tool
from mmlite.errors import UserError
from mmlite.utils import render_table, write_text
from mmlite.utils.progress import Progress

PACKAGES = (
    'torch torchvision numpy opencv-python-headless opencv-python mmengine mmcv mmcv-lite mmdet '
    'mmsegmentation mmpretrain timm lap motmetrics scikit-image scikit-learn transformers fairscale'
).split()
HEADER = (
    'family config build train predict GPU-code operators-of-mmcv.ops what-is-missing'
).split()
HEAD = """# Models of OpenMMLab on this stack

Written by `mmlite check zoo --out docs/zoo.md`. Each model is built, trained for one step (loss and
gradients are finite) and used for one prediction, with random weights on small images of noise.
Nothing here is an accuracy. One config stands for each family, a directory of the wheel's configs:
that with the smallest backbone.

- **OK**: it works. **n/a**: it is not made for that, such as prediction by a pre-training.
- **GPU code**: models with `FocalLoss` or deformable attention call a compiled operator on a GPU
  only. They train and predict a second time, on the CPU by that code.
- **package**, **download**: it needs an optional package, or weights from a server.
- **fails**: the last column says how.
"""


def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument(
        'configs', nargs='*', metavar='CONFIG', help='file, or mmdet::retinanet/...'
    )
    parser.add_argument('--library', choices=LIBRARIES, action='append', help='default: all three')
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cpu')
    parser.add_argument('--workers', type=positive_int, default=1, help='models at a time')
    parser.add_argument(
        '--timeout', type=positive_int, default=900, metavar='S', help='for a model; default: 900'
    )
    parser.add_argument('--out', type=Path, metavar='FILE', help='page in Markdown to write')
    return parser.parse_args(argv)


def chosen(args):
    """Files of the configs that are named, else one of each family."""
    if not args.configs:
        return [file for name in args.library or LIBRARIES for file in representatives(name)]
    files = []
    for name in args.configs:
        library, _, path = name.rpartition('::')
        if library and library not in LIBRARIES:
            raise UserError(f'{name!r} names no library of {", ".join(LIBRARIES)}')
        file = configs(library) / path if library else Path(path).absolute()
        if not file.is_file():
            raise UserError(f'{file} is not a file')
        files.append(file)
    return files


def table(results, style='plain'):
    header = [name.replace('-', ' ') for name in HEADER]
    rows = [(*r[1:7], ', '.join(r.operators), r.note.replace('|', '/')) for r in sorted(results)]
    return render_table(header, rows, style=style, left=len(header))


def versions():
    """Of the packages that are installed."""
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            yield f'{name} {metadata.version(name)}'


def page(results, device):
    """The page: versions, and a table of each library."""
    where = torch.cuda.get_device_name() if device == 'cuda' else 'CPU'
    lines = [
        HEAD,
        f'Device: {where}. Python {platform.python_version()}, mmlite {mmlite.__version__}, '
        f'{", ".join(versions())}.\n',
    ]
    for library, own in by_library(results):
        title = f'## {library}: {sum(r.ok for r in own)} of {len(own)}\n'
        lines += [title, table(own, 'markdown'), '']
    return '\n'.join(lines)


def by_library(results):
    for library in sorted({r.library for r in results}):
        yield library, [r for r in results if r.library == library]


@tool
def main(argv=None):
    args = parse_args(argv)
    if args.device == 'cuda' and not torch.cuda.is_available():
        raise UserError('--device cuda: torch sees no GPU')
    files, results = chosen(args), []
    with Progress('models', len(files), 'models') as progress:
        for result in check(files, args.device, args.workers, args.timeout):
            results.append(result)
            progress.advance(note=result.family)
    for library, own in by_library(results):
        print(f'{library}: {sum(r.ok for r in own)} of {len(own)} build, train and predict')
    if shown := [result for result in results if args.configs or not result.ok]:
        print(table(shown))
    if args.out:
        write_text(args.out, page(results, args.device))
        print(f'{args.out} is written')


if __name__ == '__main__':
    sys.exit(main())
