"""Convert a checkpoint of another code base to the keys of mmlite.

python tools/model_converters/convert.py mae_tiny_400e.pth.tar mae_tiny.pth --source mae-lite
"""

import argparse
import sys
from pathlib import Path

from mmlite import stack
from mmlite.engine.cli import tool
from mmlite.errors import CheckpointError, UserError
from mmlite.weights import SOURCES, check_destination, convert, save, summary


@tool
def main(argv=None):
    parser = argparse.ArgumentParser(
        description='Convert a checkpoint of another code base to the keys of mmlite, and say what '
        'became of every key.'
    )
    add = parser.add_argument
    add('src', type=Path, help='checkpoint to read (only tensors are, no programs)')
    add('dst', type=Path, help='file to write: .pth or .safetensors')
    add('--source', required=True, choices=SOURCES, help='code base of SRC')
    add(
        '--heads', type=int,
        help='attention heads (default: what the source builds at that width, e.g. 3 for a '
        'DeiT-Tiny and 12 for a MAE-Lite ViT-Tiny, which have equal shapes)',
    )  # fmt: skip
    add(
        '--keep-decoder', action='store_true',
        help='also keep what only pre-training needs, by its official names: decoder, mask token, '
        '13th block of D2-MAE, teacher and adapter',
    )  # fmt: skip
    add('--force', action='store_true', help='overwrite DST')
    args = parser.parse_args(argv)
    check_destination(args.dst, args.force)
    if args.dst.exists() and args.src.exists() and args.dst.samefile(args.src):
        raise UserError(f'{args.dst} is the file to read: name another one to write')
    contents = stack.load(args.src)
    try:
        checkpoint = convert(contents, args.source, args.heads, args.keep_decoder)
    except CheckpointError as error:
        raise CheckpointError(f'{args.src}: {error}') from error
    save(checkpoint, args.dst, args.force)
    print(f'{args.src} -> {args.dst}')
    print(summary(checkpoint, args.dst))


if __name__ == '__main__':
    sys.exit(main())
