"""Speed of a tracker on generated frames: the network alone, and the whole track() call.

    python tools/analysis_tools/benchmark_tracker.py CONFIG [WEIGHTS] --csv FILE

Each way to run the network follows the same target through the same frames, one after the other:
torch as it is, fused (the same function with less work) and compiled; ONNX Runtime and OpenVINO,
where installed, on the file of tools/deploy/export_tracker.py. Boxes are compared with those of
torch in fp32. Without weights, random ones are used: speed is the same, boxes of lower precision
are not.
"""

import argparse
import re
import sys
import tempfile
import time
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.analysis.benchmark import append_row, device_name, synchronize
from mmlite.apis import SOTInferencer, init_model
from mmlite.apis.sot_inferencer import load_network
from mmlite.datasets.shapes import Job, task_spec
from mmlite.deploy import ONNXTrackerNetwork, export_tracker
from mmlite.deploy.onnx_tracker import import_package
from mmlite.engine.cli import check_device, check_out_file, tool
from mmlite.engine.config_file import load_config
from mmlite.errors import CheckpointError, UserError
from mmlite.models.track.deploy import fuse_for_tracking

SEED = 0
TOLERANCE = 0.5
"""Pixels by which boxes may differ from those of torch in fp32."""


def torch_plain(model, files):
    return model


def torch_fused(model, files, dtype=torch.float32):
    return fuse_for_tracking(model, dtype)


def torch_compiled(model, files, dtype=torch.float32):
    network = fuse_for_tracking(model, dtype)
    network.locate = torch.compile(network.locate)
    return network


def onnx_fp32(model, files, **options):
    return ONNXTrackerNetwork(exported(model, files / 'fp32.onnx'), **options)


def onnx_int8(model, files):
    return ONNXTrackerNetwork(exported(model, files / 'int8.onnx', int8=True))


def exported(model, path, **options):
    """Path of the exported model, which is written once."""
    if not path.exists():
        export_tracker(model, path, **options)
    return path


BF16 = dict(dtype=torch.bfloat16)
VARIANTS = {
    'torch': (torch_plain, {}, 'fp32'),
    'torch-fused': (torch_fused, {}, 'fp32'),
    'torch-fused-bf16': (torch_fused, BF16, 'bf16'),
    'torch-compiled': (torch_compiled, {}, 'fp32'),
    'torch-compiled-bf16': (torch_compiled, BF16, 'bf16'),
    'onnxruntime': (onnx_fp32, {}, 'fp32'),
    'onnxruntime-int8': (onnx_int8, {}, 'int8'),
    'openvino': (onnx_fp32, dict(backend='openvino'), 'fp32'),
    'openvino-bf16': (onnx_fp32, dict(backend='openvino', precision='bf16'), 'bf16'),
}
"""Name -> how the network is made of the model, options for that, and its precision."""


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('config', help='config file of a tracker')
    add('weights', nargs='?', help='checkpoint, where a config is given; default: random weights')
    add(
        '--variants', nargs='+', choices=VARIANTS, metavar='NAME',
        help=f'of {", ".join(VARIANTS)}; default: all that are installed here',
    )  # fmt: skip
    add('--frames', type=int, default=100, help='that count; default: 100')
    add('--warmup', type=int, default=10, help='frames before them; default: 10')
    add('--threads', type=int, help="default: torch's")
    add('--device', choices=['cpu', 'cuda'], default='cpu', help='default: cpu')
    add('--csv', type=Path, metavar='FILE', help='append a row for each variant to this table')
    return parser.parse_args(argv)


def check(args):
    for name, least in (('frames', 1), ('warmup', 0), ('threads', 1)):
        value = getattr(args, name)
        if value is not None and value < least:
            raise UserError(f'--{name} is {value}; give {least} or more')
    check_device(args.device)
    if args.csv:
        check_out_file('--csv', args.csv)


def chosen_variants(names, device):
    """Names of the variants to run; by default, those whose packages are there."""
    on_cpu_only = {name for name in VARIANTS if not name.startswith('torch')}
    if device == 'cuda' and on_cpu_only & set(names or ()):
        raise UserError('ONNX Runtime and OpenVINO run on the CPU here: use --device cpu')
    if names:
        return names
    if device == 'cuda':
        return [name for name in VARIANTS if name not in on_cpu_only]
    there = {name for name in ('torch', 'onnxruntime', 'openvino') if find_spec(name)}
    there = there if find_spec('onnx') else {'torch'}
    return [name for name in VARIANTS if name.split('-')[0] in there]


def build_network(args):
    """The model, and whether its weights are random."""
    cfg = load_config(args.config)
    if args.weights or cfg.get('load_from'):
        return load_network(cfg, args.weights, args.device), False
    torch.manual_seed(SEED)
    return init_model(cfg, device=args.device), True


def make_frames(count):
    """A generated sequence: frames (H, W, 3) in BGR, and the first box as x, y, w, h."""
    sequence = Job('got', Path(), task_spec('got', frames=count), SEED).sequence('val', 0)
    pictures, states = zip(*sequence.frames(), strict=True)
    x1, y1, x2, y2 = states[0].box
    frames = [np.ascontiguousarray(picture.image[..., ::-1]) for picture in pictures]
    return frames, (x1, y1, x2 - x1, y2 - y1)


@contextmanager
def timed_locate(network, device):
    """Seconds of each call of ``network.locate``, as a list that grows."""
    seconds, locate = [], network.locate

    def timed(template, search):
        synchronize(device)
        start = time.perf_counter()
        found = locate(template, search)
        synchronize(device)
        seconds.append(time.perf_counter() - start)
        return found

    network.locate = timed
    try:
        yield seconds
    finally:
        network.locate = locate


def follow(network, frames, box, warmup, device):
    """Track through all frames but the first.

    Args:
        network (Network): What is measured.
        frames (list[ndarray]): Of one sequence.
        box (tuple[float]): In the first.
        warmup (int): Frames that are tracked before, on the first frames anew.
        device (torch.device): Whose work is waited for.

    Returns:
        tuple[ndarray, ndarray, ndarray]: Boxes (F, 4), and milliseconds (F,) of the network alone
        and of the whole call.
    """
    tracker = SOTInferencer(network)
    boxes, calls = [], []
    with timed_locate(network, device) as seconds:
        tracker.init(frames[0], box)
        for index in range(warmup):
            tracker.track(frames[1 + index % (len(frames) - 1)])
        tracker.init(frames[0], box)
        for frame in frames[1:]:
            start = time.perf_counter()
            boxes.append(tracker.track(frame)[0])
            calls.append(time.perf_counter() - start)
    return np.array(boxes), 1e3 * np.array(seconds[warmup:]), 1e3 * np.array(calls)


def table_row(args, name, random_weights, runs, reference):
    """One row of the CSV table."""
    boxes, network, whole = runs
    package = name.split('-')[0]
    return dict(
        config=Path(args.config).stem,
        weights='random' if random_weights else 'trained',
        device=device_name(torch.device(args.device)),
        variant=name,
        version=re.split('[+-]', import_package(package).__version__)[0],
        precision=VARIANTS[name][2],
        threads=torch.get_num_threads(),
        frames=len(boxes),
        network_ms_median=_rounded(np.median(network)),
        network_ms_p95=_rounded(np.percentile(network, 95)),
        track_ms_median=_rounded(np.median(whole)),
        track_ms_p95=_rounded(np.percentile(whole, 95)),
        track_over_network=_rounded(np.median(whole) / np.median(network)),
        largest_box_difference_px=_rounded(np.abs(boxes - reference).max()),
    )


def _rounded(value):
    return float(f'{value:.3g}')


def print_row(row):
    """One line of the table on the screen."""
    columns = list(row)[-6:]
    print(f'{row["variant"]:<21}' + ''.join(f'{row[c]:>13g}' for c in columns), flush=True)


@tool
def main(argv=None):
    args = parse_args(argv)
    check(args)
    names = chosen_variants(args.variants, args.device)
    if args.threads:
        torch.set_num_threads(args.threads)
    model, random_weights = build_network(args)
    frames, box = make_frames(args.frames + 1)
    device = torch.device(args.device)
    reference, *_ = follow(model, frames, box, 0, device)
    print(f'{device_name(device)}, {torch.get_num_threads()} threads, {args.frames} frames')
    heads = ('network ms', 'p95', 'track() ms', 'p95', 'whole/net', 'box diff px')
    print(f'{"":<21}' + ''.join(f'{head:>13}' for head in heads))
    others = []
    with tempfile.TemporaryDirectory() as files:
        for name in names:
            make, options, precision = VARIANTS[name]
            network = make(model, Path(files), **options)
            runs = follow(network, frames, box, args.warmup, device)
            row = table_row(args, name, random_weights, runs, reference)
            print_row(row)
            if args.csv:
                append_row(args.csv, row)
            comparable = precision == 'fp32' or not random_weights
            if comparable and not row['largest_box_difference_px'] <= TOLERANCE:
                others.append(name)
    if others:
        raise CheckpointError(
            f'boxes of {", ".join(others)} differ by more than {TOLERANCE} px from those of torch '
            f'in fp32'
        )


if __name__ == '__main__':
    sys.exit(main())
