"""Build, train and test the models of mmdet, mmseg and mmpretrain for a step.

    mmlite check zoo --library mmseg --out zoo.md

One config of every family (a directory of the wheel's configs), the one with the smallest backbone.
Weights are random and images are noise. Each model runs in a process of its own.
"""

import argparse
import platform
import sys
from importlib import metadata
from pathlib import Path

import torch

import mmlite
from mmlite.analysis.zoo import CUDA_CODE, LIBRARIES, check, configs, representatives
from mmlite.engine.cli import positive_int, tool
from mmlite.errors import UserError
from mmlite.utils import render_table, write_text
from mmlite.utils.progress import Progress

VERSIONS = (
    'torch torchvision numpy opencv-python mmengine mmcv-lite mmdet mmsegmentation mmpretrain timm'
).split()
OPTIONAL = (
    'lap motmetrics scikit-image scikit-learn transformers fairscale detectron2 albumentations '
    'instaboostfast'
).split()
HEADER = ('family', 'config', 'build', 'train', 'predict', 'operators of mmcv.ops', 'missing')
HEAD = """# Models of OpenMMLab on this stack

Written by `mmlite check zoo --out docs/zoo.md`. Each model is built, trained for one step (loss and
gradients are finite) and used for one prediction, with random weights on small images of noise.
Nothing here is an accuracy. One config stands for each family, a directory of the wheel's configs:
that with the smallest backbone.

- **OK**: it works. **n/a**: it is not made for that, such as prediction by a pre-training.
- **package**, **download**: it needs an optional package, or weights from a server.
- **fails**: the last column says how.
"""


def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument(
        'configs', nargs='*', metavar='CONFIG', help='file, or mmdet::retinanet/...'
    )
    parser.add_argument('--library', choices=LIBRARIES, action='append', help='default: all three')
    text = f'{CUDA_CODE}: on the CPU, by the branches of the libraries that are meant for a GPU'
    parser.add_argument('--device', choices=('cpu', 'cuda', CUDA_CODE), default='cpu', help=text)
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


def rows(results, markdown=False):
    for r in results:
        note = r.note.replace('|', '\\|') if markdown else r.note
        yield r.family, r.config, r.build, r.train, r.predict, ', '.join(r.operators), note


def versions(names):
    for name in names:
        try:
            yield f'{name} {metadata.version(name)}'
        except metadata.PackageNotFoundError:
            pass


def page(results, device):
    """The page: versions, a summary and a table of each library."""
    where = dict(cuda=lambda: torch.cuda.get_device_name(), cpu=lambda: 'CPU')
    what = where.get(device, lambda: 'CPU, on the branches for a GPU')()
    lines = [
        HEAD,
        f'Device: {what}. Python {platform.python_version()}, mmlite {mmlite.__version__}, '
        f'{", ".join(versions(VERSIONS))}.',
        f'Optional packages: {", ".join(versions(OPTIONAL)) or "none"}.\n',
    ]
    for library in dict.fromkeys(r.library for r in results):
        own = sorted(r for r in results if r.library == library)
        good = sum(r.ok for r in own)
        table = render_table(HEADER, rows(own, markdown=True), style='markdown', left=len(HEADER))
        lines += [f'## {library}: {good} of {len(own)}\n', table, '']
    return '\n'.join(lines)


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
    bad = sorted(result for result in results if not result.ok)
    for library in dict.fromkeys(sorted(r.library for r in results)):
        own = [r for r in results if r.library == library]
        print(f'{library}: {sum(r.ok for r in own)} of {len(own)} build, train and predict')
    if bad or args.configs:
        print(
            render_table(HEADER, rows(sorted(results) if args.configs else bad), left=len(HEADER))
        )
    if args.out:
        write_text(args.out, page(results, args.device))
        print(f'{args.out} is written')


if __name__ == '__main__':
    sys.exit(main())
