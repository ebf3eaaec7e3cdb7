"""Export a tracker to one ONNX file that is compared with the model.

    python tools/deploy/export_tracker.py CONFIG WEIGHTS --out ostrack.onnx

The file runs by mmlite.apis.ONNXTrackerNetwork in ONNX Runtime or OpenVINO. It takes normalized
crops; sizes, factors, mean and std are in its metadata. The extra 'export' has the packages for it.
"""

import argparse
import sys
from pathlib import Path

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.apis.sot_inferencer import load_network
from mmlite.deploy import export_tracker
from mmlite.engine.cli import check_out_file, positive_float, tool


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('config', help='config file of a tracker')
    add('weights', nargs='?', help='checkpoint; default: load_from of the config')
    add('--out', type=Path, required=True, metavar='FILE', help='.onnx file to write')
    add('--opset', type=int, default=17, help='of ONNX, 17 to 20; default: 17')
    add(
        '--int8', action='store_true',
        help='linear layers in 8 bits, for ONNX Runtime; compare boxes by benchmark.py tracker',
    )  # fmt: skip
    add(
        '--tolerance', type=positive_float, default=1e-4,
        help='largest difference from torch, before --int8 rounds; default: 1e-4',
    )  # fmt: skip
    add('--overwrite', action='store_true', help='replace an existing file')
    return parser.parse_args(argv)


@tool
def main(argv=None):
    args = parse_args(argv)
    check_out_file('--out', args.out)
    model = load_network(args.config, args.weights, 'cpu')
    found = export_tracker(model, args.out, args.opset, args.int8, args.tolerance, args.overwrite)
    kind = 'int8 linear layers' if args.int8 else 'fp32'
    print(f'{args.out}: {args.out.stat().st_size / 1e6:.1f} MB, opset {args.opset}, {kind}')
    print('largest difference from torch on generated pairs:')
    for name, value in found.items():
        print(f'  {name:<15}{value:.1e}')


if __name__ == '__main__':
    sys.exit(main())
