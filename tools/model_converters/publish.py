"""Strip a training checkpoint to its weights: one safetensors file and its config.

python tools/model_converters/publish.py work_dirs/my-run/epoch_9.pth published/mine.safetensors
"""

import argparse
import sys

from mmlite.engine.cli import tool
from mmlite.engine.publish import publish, read_license, remarks, table


def parse(argv):
    parser = argparse.ArgumentParser(
        description='Strip a training checkpoint to its weights as safetensors, with what must be '
        'known of them, and write its config beside them: tools/test.py takes both.'
    )
    parser.add_argument('checkpoint', help='checkpoint of the suite (read as data, never run)')
    parser.add_argument(
        'out', help='NAME.safetensors: NAME-<hash>.safetensors and NAME-<hash>.py are written'
    )
    parser.add_argument('--config', help='config file (default: the config that it records)')
    note = parser.add_mutually_exclusive_group()
    note.add_argument(
        '--license',
        metavar='TEXT',
        help='licence of the weights (default: what the checkpoint, or the weights that training '
        'started from, record; else "unknown")',
    )
    note.add_argument('--license-file', metavar='FILE', help='text file with the licence')
    parser.add_argument(
        '--backbone-only', action='store_true', help='leave out all but the backbone'
    )
    parser.add_argument(
        '--ema',
        action='store_true',
        help='insist on the moving average of EMAHook, which is published wherever there is one',
    )
    return parser.parse_args(argv)


@tool
def main(argv=None):
    args = parse(argv)
    note = read_license(args.license_file) if args.license_file else args.license
    published = publish(args.checkpoint, args.out, args.config, note, args.backbone_only, args.ema)
    print(f'{args.checkpoint} -> {published.weights}, {published.config.name}')
    print(table(published))
    for line in remarks(published):
        print(line)


if __name__ == '__main__':
    sys.exit(main())
