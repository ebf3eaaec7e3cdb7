"""Track an object through a video, a directory of frames or the images of a camera.

    python tools/demo/track.py CONFIG WEIGHTS SOURCE --box X Y W H --out tracked
    python tools/demo/track.py CONFIG WEIGHTS 0 --show

The second follows a box that you draw into the first image of camera 0.

Writes the annotated video, the boxes of every frame and a contact sheet.
"""

import argparse
import sys

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.apis import SOTInferencer
from mmlite.engine.cli import positive_int, tool
from mmlite.errors import DataError


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('config', help='config file, or an exported .onnx file')
    text = 'checkpoint of the training, .pth or .safetensors; default: load_from of the config'
    add('weights', nargs='?', help=text)
    text = "video file, directory of frames, pattern such as 'clip/*.jpg', or index of a camera"
    add('source', help=text)
    add(
        '--box', type=float, nargs=4, action='append', metavar=('X', 'Y', 'W', 'H'),
        help='target in the first frame: upper left corner, width and height in pixels, also as '
        'X,Y,W,H; several times for several targets; default: the first of --truth; with --show, '
        'drawn by hand',
    )  # fmt: skip
    add('--out', metavar='DIR', default='tracked', help='output directory; default: %(default)s')
    text = 'show a window, and draw the box without --box; q or Esc ends'
    add('--show', action='store_true', help=text)
    text = 'groundtruth.txt with a line x,y,w,h a frame, to be drawn and compared'
    add('--truth', metavar='FILE', help=text)
    text = 'what to do about a frame that cannot be used; either way the exit code is 1'
    add('--on-unreadable', choices=['skip', 'stop'], default='skip', help=text)
    add('--max-frames', type=positive_int, metavar='N', help='end after so many frames')
    add('--device', help='default: cuda where there is a GPU, else cpu')
    argv = list(sys.argv[1:] if argv is None else argv)
    for index in range(1, len(argv)):
        if argv[index - 1] == '--box' and ',' in argv[index]:
            argv[index : index + 1] = argv[index].split(',')
    return parser.parse_intermixed_args(argv)


@tool
def main(argv=None):
    args = parse_args(argv)
    inferencer = SOTInferencer(args.config, args.weights, args.device)
    result = inferencer(
        args.source,
        args.box[0] if args.box and len(args.box) == 1 else args.box,
        out_dir=args.out,
        show=args.show,
        truth=args.truth,
        on_unreadable=args.on_unreadable,
        max_frames=args.max_frames,
    )
    speed = f', {result.fps:.1f} fps without reading and drawing' if result.fps else ''
    print(f'{len(result.tracks[0])} frames{speed}')
    if result.mean_iou is not None:
        print(f'mean IoU with the truth: {result.mean_iou:.3f}')
    print(*result.files, sep='\n')
    if result.unreadable:
        raise DataError(
            f'{len(result.unreadable)} of {len(result.tracks[0])} frames could not be used; the '
            f'first: {result.unreadable[0]}'
        )


if __name__ == '__main__':
    sys.exit(main())
