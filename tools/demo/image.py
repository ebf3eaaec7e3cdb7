"""Classify or segment images, or detect their objects, by the model of a config.

    python tools/demo/image.py CONFIG WEIGHTS photo.jpg more_photos 'others/*.jpg' --out predicted

Writes a drawn image for each input and predictions.json; segmentation adds label maps.
"""

import argparse
import sys

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.apis import build_inferencer
from mmlite.apis.image_inferencer import ImageInferencer
from mmlite.engine.cli import positive_int, tool
from mmlite.errors import DataError, UserError

SHOWN = 20
"""Number of images with a printed line."""


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file of a classifier, detector or segmentor')
    parser.add_argument('weights', help='checkpoint of the training, .pth or .safetensors')
    parser.add_argument(
        'inputs', nargs='+', metavar='INPUT',
        help="image file, directory of images, or pattern such as 'photos/*.jpg'",
    )  # fmt: skip
    parser.add_argument(
        '--out',
        metavar='DIR',
        default='predicted',
        help='output directory (default: %(default)s)',
    )
    parser.add_argument('--device', help='default: cuda where there is a GPU, else cpu')
    parser.add_argument(
        '--batch-size', type=positive_int, metavar='N', default=1,
        help='images that the model takes at once (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--score-threshold', type=float, metavar='SCORE',
        help='of detection: leave out objects with lower scores (default: 0.3)',
    )  # fmt: skip
    parser.add_argument(
        '--top-k',
        type=positive_int,
        metavar='N',
        help='classes of each image (default: 5)',
    )
    parser.add_argument(
        '--on-unreadable', choices=['skip', 'stop'], default='skip',
        help='what to do about an image that cannot be read; either way the exit code is 1',
    )  # fmt: skip
    return parser.parse_intermixed_args(argv)


def summary(predictions):
    """Results and files in a few lines."""
    lines, files = predictions.summaries, predictions.files
    more = [f'... and {len(lines) - SHOWN} images more'] if len(lines) > SHOWN else []
    written = f'{len(files)} files, see {files[0]}'
    return '\n'.join([*lines[:SHOWN], *more, written])


@tool
def main(argv=None):
    args = parse_args(argv)
    inferencer = build_inferencer(args.config, args.weights, args.device)
    if not isinstance(inferencer, ImageInferencer):
        raise UserError(f'{args.config} is for tracking: give it to tools/demo/track.py')
    options = dict(score_threshold=args.score_threshold, top_k=args.top_k)
    predictions = inferencer(
        args.inputs,
        out_dir=args.out,
        batch_size=args.batch_size,
        on_unreadable=args.on_unreadable,
        keep=False,
        **{name: value for name, value in options.items() if value is not None},
    )
    print(summary(predictions))
    if predictions.unreadable:
        count = len(predictions.unreadable)
        raise DataError(
            f'{count} of {count + len(predictions.summaries)} images could not be used; the first: '
            f'{predictions.unreadable[0]}'
        )


if __name__ == '__main__':
    sys.exit(main())
