"""Print a config with all that it inherits.

Example:
    python tools/analysis_tools/print_config.py CONFIG --cfg-options model.backbone.arch=small
"""

import argparse
import sys
from pathlib import Path

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.engine.cli import add_config_options, check_out_file, tool
from mmlite.engine.config_file import load_config
from mmlite.errors import UserError


@tool
def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    add_config_options(parser)
    parser.add_argument('--save-path', type=Path, help='also write it here (.py, .json or .yaml)')
    args = parser.parse_args(argv)
    if args.save_path:
        if args.save_path.suffix not in ('.py', '.json', '.yaml', '.yml'):
            raise UserError(f'--save-path {args.save_path} must end in .py, .json or .yaml')
        check_out_file('--save-path', args.save_path)
    cfg = load_config(args.config, args.cfg_options)
    print(cfg.pretty_text)
    if args.save_path:
        args.save_path.parent.mkdir(parents=True, exist_ok=True)
        cfg.dump(args.save_path)


if __name__ == '__main__':
    sys.exit(main())
