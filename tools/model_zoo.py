"""Write model-index.yml and docs/model_zoo.md from the metafiles of the configs, or check them.

    python tools/model_zoo.py
    python tools/model_zoo.py --check

The check ends with exit code 1 if one of the two files is out of date, or if a metafile lacks a
recipe or a key, names a file that does not exist, or has a value of a wrong type.
"""

import argparse
import sys
from pathlib import Path

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.analysis.model_zoo import INDEX, PAGE, check_zoo, read_zoo, write_zoo
from mmlite.engine.cli import tool

ROOT = Path(__file__).resolve().parents[1]


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--check', action='store_true', help='write nothing')
    parser.add_argument('--root', type=Path, default=ROOT, help='repository; default: this one')
    return parser.parse_args(argv)


@tool
def main(argv=None):
    args = parse_args(argv)
    zoo = read_zoo(args.root)
    (check_zoo if args.check else write_zoo)(args.root, zoo)
    done = 'are up to date' if args.check else 'are written'
    print(
        f'{INDEX} and {PAGE} {done}: {sum(map(len, zoo.values()))} models of {len(zoo)} metafiles'
    )


if __name__ == '__main__':
    sys.exit(main())
