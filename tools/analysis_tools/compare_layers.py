"""Similarity (CKA) of all layers of models with all layers of a reference, as in MAE-Lite.

    python tools/analysis_tools/compare_layers.py --reference NAME=CONFIG:CHECKPOINT \\
        --models MAE=CONFIG:CHECKPOINT MoCo=CONFIG:CHECKPOINT --data DIR --out DIR

Writes cka.png, cka.csv and a .npy for each model. The first panel is the reference against itself,
the only one without --models. Layer 0 is the patch embedding and layer i the output of block i,
normalized.
"""

import argparse
import math
import sys

import numpy as np

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.analysis.cka import LEAST, compare_models
from mmlite.analysis.figures import draw_similarity
from mmlite.analysis.inputs import add_options, file_name, open_batches, open_models
from mmlite.engine.cli import tool
from mmlite.errors import UserError
from mmlite.utils import atomic_write, write_bytes, write_csv


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--reference', required=True, metavar='MODEL', help='see --models')
    add_options(parser, 'compare_layers', need_models=False)
    return parser.parse_args(argv)


@tool
def main(argv=None):
    args = parse_args(argv)
    number, batch_size = args.num_images, args.batch_size
    smallest = min(number, batch_size, number % batch_size or batch_size)
    if smallest < LEAST:
        raise UserError(
            f'--num-images {number} and --batch-size {batch_size} make a batch of {smallest}, but '
            f'CKA requires >= {LEAST} images in every batch'
        )
    sources, models, size = open_models([args.reference, *args.models], args)
    measures = compare_models(models[0], models, open_batches(sources, args, size))
    reference, similarities, rows = models[0].name, {}, []
    for model, measure in zip(models, measures, strict=True):
        undefined, _ = measure.degenerate()
        if undefined:
            print(
                f'{model.name}: no similarity of layers {", ".join(map(str, undefined))} (nan): '
                'all images have the same features there'
            )
        similarity = similarities[model.name] = measure.value()
        rows += [
            dict(
                model=model.name, layer=layer, reference=reference, reference_layer=other,
                cka=None if math.isnan(value) else round(value, 6),
            )
            for layer, values in enumerate(similarity.tolist())
            for other, value in enumerate(values)
        ]  # fmt: skip
        with atomic_write(args.out / f'cka_{file_name(model.name)}.npy') as file:
            np.save(file, similarity)
    write_csv(args.out / 'cka.csv', rows)
    write_bytes(args.out / 'cka.png', draw_similarity(reference, similarities))
    print(f'{args.out / "cka.png"}: {number} images of {size} pixels')


if __name__ == '__main__':
    sys.exit(main())
