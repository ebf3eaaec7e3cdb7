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
    add = parser.add_argument
    add('config', help='config file of a classifier, detector or segmentor')
    add('weights', help='checkpoint of the training, .pth or .safetensors')
    text = "image file, directory of images, or pattern such as 'photos/*.jpg'"
    add('inputs', nargs='+', metavar='INPUT', help=text)
    add('--out', metavar='DIR', default='predicted', help='output directory; default: %(default)s')
    add('--device', help='default: cuda where there is a GPU, else cpu')
    text = 'images that the model takes at once; default: %(default)s'
    add('--batch-size', type=positive_int, metavar='N', default=1, help=text)
    text = 'of detection: leave out objects with lower scores; default: 0.3'
    add('--score-threshold', type=float, metavar='SCORE', help=text)
    add('--top-k', type=positive_int, metavar='N', help='classes of each image; default: 5')
    text = 'what to do about an image that cannot be read; either way the exit code is 1'
    add('--on-unreadable', choices=['skip', 'stop'], default='skip', help=text)
    return parser.parse_intermixed_args(argv)


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
    lines, files = predictions.summaries, predictions.files
    print(*lines[:SHOWN], sep='\n')
    if len(lines) > SHOWN:
        print(f'... and {len(lines) - SHOWN} images more')
    print(f'{len(files)} files, see {files[0]}')
    if predictions.unreadable:
        count = len(predictions.unreadable)
        raise DataError(
            f'{count} of {count + len(predictions.summaries)} images could not be used; the first: '
            f'{predictions.unreadable[0]}'
        )


if __name__ == '__main__':
    sys.exit(main())
