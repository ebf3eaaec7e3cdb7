"""List published weights, show what is known of one, or download and convert it.

    mmlite weights list d2-mae
    mmlite weights show mae-lite/vit-tiny_d2-mae_400e
    mmlite weights get mae-lite/vit-tiny_d2-mae_400e --file downloaded.pth.tar

A command that takes a checkpoint takes such a name, too, and downloads it at its first use.
"""

import argparse
import csv
import sys
from dataclasses import asdict, astuple, replace

from mmlite.engine.cli import tool
from mmlite.errors import UserError
from mmlite.utils import render_table
from mmlite.weights.published import find, resolve, table


@tool
def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar='COMMAND')
    command = commands.add_parser('list', help='list the names')
    command.add_argument('words', nargs='*', help='only names that contain each of these')
    command.set_defaults(run=list_names)
    for name, run, text in (
        ('show', show, 'show what is known of a name'),
        ('get', get, 'download, convert and keep the weights'),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument('name', help="a name of the list, or 'timm/MODEL'")
        command.set_defaults(run=run)
    command.add_argument('--file', help='the file as you downloaded it, in place of a download')
    text = 'download again, and take a file that has changed'
    command.add_argument('--force', action='store_true', help=text)
    args = parser.parse_args(argv)
    args.run(args)


def list_names(args):
    """Print a table of the names."""
    rows = [item for name, item in table().items() if all(word in name for word in args.words)]
    if not rows:
        raise UserError(f'no name contains {" and ".join(args.words)}')
    cells = [
        [row.name, row.result or '-', row.licence, 'yes' if row.path.is_file() else 'no']
        for row in rows
    ]
    print(render_table(['name', "the authors' result", 'licence', 'downloaded'], cells, left=4))


def show(args):
    """Print a row of the table, and where its weights are."""
    weights = find(args.name)
    facts = asdict(weights) | weights.record
    facts['path'] = weights.path if weights.path.is_file() else 'not downloaded'
    for key, value in facts.items():
        print(f'{key:<10}{value or "-"}')


def get(args):
    """Fill the cache; prints the row of the table with the SHA-256 of the file."""
    print(resolve(args.name, args.force, args.file))
    weights = find(args.name)
    if record := weights.record:
        print(f'downloaded: {record["bytes"]:,} bytes, SHA-256 {record["sha256"]}')
        if not weights.sha256:
            print('row of the table with it:')
            row = astuple(replace(weights, sha256=record['sha256']))
            csv.writer(sys.stdout, lineterminator='\n').writerow(row)


if __name__ == '__main__':
    sys.exit(main())
