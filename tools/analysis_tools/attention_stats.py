"""Attention distance and entropy of every head, as in MAE-Lite, and attention maps of one image.

    python tools/analysis_tools/attention_stats.py --models MAE=CONFIG:CHECKPOINT \\
        scratch=CONFIG --data DIR --out DIR --map-image FILE --map-query 100 60

Writes attention.png (box plots over the heads), attention.csv and two .npy for each model; with
--map-image also maps.png. Blocks count from 1 in figures and table; those that attend inside
windows or mask units are left out. --num-images 0 draws maps only.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.analysis.attention import attention_maps, measure_attention, uniform_values, units
from mmlite.analysis.figures import draw_heads, draw_maps
from mmlite.analysis.inputs import CentralCrops, add_options, file_name, open_batches, open_models
from mmlite.engine.cli import positive_int, tool
from mmlite.errors import UserError
from mmlite.utils import atomic_write, write_bytes, write_csv

AXIS_LABELS = {
    'patches': 'attention distance, patches',
    'paper': 'attention distance, patches × 14',
    'pixels': 'attention distance, pixels',
}


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser, 'attention_stats')
    add = parser.add_argument
    add(
        '--unit', choices=[*AXIS_LABELS], default='patches',
        help='of distances in the figure; the paper draws patches times 14; default: patches. The '
        'table has all three',
    )  # fmt: skip
    add('--map-image', type=Path, metavar='FILE', help='also draw attention maps of this image')
    add(
        '--map-query', type=float, nargs=2, metavar=('X', 'Y'),
        help='pixel of the crop whose patch attends; default: the centre',
    )  # fmt: skip
    add(
        '--map-head', type=positive_int, metavar='N',
        help='one head, from 1; default: mean over heads',
    )  # fmt: skip
    return parser.parse_args(argv)


def write_stats(models, measures, args, size):
    panels, rows = {AXIS_LABELS[args.unit]: {}, 'attention entropy, nats': {}}, []
    for model, blocks in zip(models, measures, strict=True):
        factors = units(model.patch_size)
        drawn = {block: distance * factors[args.unit] for block, (distance, _) in blocks.items()}
        patches = {block: distance * factors['patches'] for block, (distance, _) in blocks.items()}
        entropies = {block: entropy for block, (_, entropy) in blocks.items()}
        for panel, values in zip(panels.values(), (drawn, entropies), strict=True):
            panel[model.name] = values
        for kind, values in (('distance', patches), ('entropy', entropies)):
            with atomic_write(args.out / f'{kind}_{file_name(model.name)}.npy') as file:
                np.save(file, as_table(values, len(model.backbone.blocks)))
        rows += [
            dict(
                model=model.name, block=block + 1, head=head,
                **{f'distance_{u}': round(distance * factors[u], 5) for u in AXIS_LABELS},
                entropy=round(entropy, 6),
            )
            for block, values in blocks.items()
            for head, (distance, entropy) in enumerate(values.T, 1)
        ]  # fmt: skip
    write_csv(args.out / 'attention.csv', rows)
    figure = draw_heads(panels, uniform_lines(models, args.unit, size))
    write_bytes(args.out / 'attention.png', figure)
    print(f'{args.out / "attention.png"}: {args.num_images} images of {size} pixels')


def as_table(blocks, depth):
    """Values by block and head as (depth, heads), NaN where there is none."""
    table = np.full((depth, max(map(len, blocks.values()))), np.nan)
    for block, values in blocks.items():
        table[block, : len(values)] = values
    return table


def uniform_lines(models, unit, size):
    """What uniform attention gives in each panel, where it is the same in all blocks."""
    values = set()
    for model in models:
        places = model.places((size, size))
        for block in model.global_blocks:
            distance, entropy = uniform_values(places[block])
            values.add((round(distance * units(model.patch_size)[unit], 6), round(entropy, 6)))
    return next(iter(values)) if len(values) == 1 else None


def write_maps(models, args, size):
    pixels = CentralCrops([dict(img_path=str(args.map_image))], size)[0][None]
    query = args.map_query or (size / 2, size / 2)
    head = None if args.map_head is None else args.map_head - 1
    for model in models:
        heads = min(model.backbone.blocks[block].attn.num_heads for block in model.global_blocks)
        if head is not None and head >= heads:
            raise UserError(f'--map-head is {args.map_head}, but {model.name} has {heads} heads')
    found = {model.name: attention_maps(model, pixels, query, head) for model in models}
    picture = pixels[0].permute(1, 2, 0).numpy()
    shown = 'mean over heads' if head is None else f'head {head + 1}'
    caption = f'attention of the framed patch to all patches, {shown}'
    write_bytes(args.out / 'maps.png', draw_maps(picture, query, found, caption))
    print(f'{args.out / "maps.png"}: {shown}, from ({query[0]:g}, {query[1]:g})')


@tool
def main(argv=None):
    args = parse_args(argv)
    if not args.map_image:
        if args.map_query or args.map_head:
            raise UserError(f'--map-{"query" if args.map_query else "head"} needs --map-image')
        if not args.num_images:
            raise UserError('--num-images 0 draws maps only and requires --map-image')
    sources, models, size = open_models(args.models, args)
    for model in models:
        if not model.global_blocks:
            raise UserError(f'{model.name} attends inside windows only')
    if args.map_image:
        write_maps(models, args, size)
    if args.num_images:
        batches = open_batches(sources, args, size)
        write_stats(models, measure_attention(models, batches), args, size)


if __name__ == '__main__':
    sys.exit(main())
