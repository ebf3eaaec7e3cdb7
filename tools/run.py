"""Run any program with mmlite in each of its Python processes, such as mim or a wheel's own tools.

``mmlite run mim train mmdet CONFIG`` and ``mmlite run python .../mmdet/.mim/tools/train.py CONFIG``
read ``_base_ = 'mmdet::...'`` and have the operators of ``mmcv.ops``, as if they imported mmlite.
"""

import argparse
import os
import shutil
from pathlib import Path

import mmlite.stack

STARTUP = Path(mmlite.stack.__file__).with_name('startup')


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('program', help='a program on the path, or a file that can be executed')
    parser.add_argument('arguments', nargs=argparse.REMAINDER, help='its arguments')
    args = parser.parse_args(argv)
    if shutil.which(args.program) is None:
        parser.error(f'{args.program!r} is not a program; a script is run by "python SCRIPT"')
    path = os.pathsep.join([str(STARTUP), *filter(None, [os.environ.get('PYTHONPATH')])])
    os.environ['PYTHONPATH'] = path
    os.execvp(args.program, [args.program, *args.arguments])


if __name__ == '__main__':
    main()
