"""Strip a training checkpoint to its weights: one safetensors file and its config.

python tools/model_converters/publish.py work_dirs/my-run/epoch_9.pth published/mine.safetensors
python tools/model_converters/publish.py work_dirs/my-run/epoch_9.pth published/mine --licence MIT
"""

import argparse
import sys
from pathlib import Path

from mmlite.engine.cli import tool
from mmlite.engine.config_file import load_config
from mmlite.utils import sha256
from mmlite.weights.card import publish_directory
from mmlite.weights.publish import publish


@tool
def main(argv=None):
    parser = argparse.ArgumentParser(
        description='Strip a training checkpoint to its weights (the EMA of EMAHook where there is '
        'one) as safetensors, and write its config beside them: tools/test.py takes both.'
    )
    add = parser.add_argument
    add('checkpoint', help='checkpoint of the suite (read as data, never run)')
    add(
        'out', type=Path,
        help='NAME.safetensors, the config goes to NAME.py; or a new directory, for Hugging Face, '
        'with model.safetensors, model.py, LICENSE and a model card',
    )  # fmt: skip
    add('--config', help='config file (default: the config that it records)')
    add(
        '--licence', '--license', metavar='TEXT',
        help='licence of the weights (default: what the checkpoint records, else "unknown")',
    )  # fmt: skip
    add('--backbone-only', action='store_true', help='leave out all but the backbone')
    args = parser.parse_args(argv)
    cfg = load_config(args.config) if args.config else None
    write, file = publish, args.out
    if not args.out.suffix:
        write, file = publish_directory, args.out / 'model.safetensors'
    state, meta = write(args.checkpoint, args.out, cfg, args.licence, args.backbone_only)
    print(f'{args.checkpoint} -> {file}, {file.with_suffix(".py")}')
    rows = {
        'tensors': f'{len(state):,}',
        'parameters': f'{sum(tensor.numel() for tensor in state.values()):,}',
        'MB': f'{file.stat().st_size / 1e6:.2f}',
        'weights': f'{meta["weights"]}, {meta["part"]}',
        'licence': meta['license'],
        'sha256': sha256(file),
    }
    for name, value in rows.items():
        print(f'  {name:<12}{value}')
    if not args.out.suffix:
        print(f'Upload it: hf upload USER/{args.out.resolve().name} {args.out}')


if __name__ == '__main__':
    sys.exit(main())
