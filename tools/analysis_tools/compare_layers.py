"""Similarity (CKA) of all layers of models with all layers of a reference, as in MAE-Lite.

    python tools/analysis_tools/compare_layers.py --reference NAME=CONFIG:CHECKPOINT \\
        --models MAE=CONFIG:CHECKPOINT MoCo=CONFIG:CHECKPOINT --data FOLDER --out FOLDER

Writes cka.png, cka.csv and a .npy for each model. The first picture is the reference against
itself, the only one without --models. Layer 0 is the patch embedding and layer i the output of
block i, normalised.
"""

import argparse
import math
import sys

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.analysis import layer_run
from mmlite.analysis.cka import LEAST, compare_models
from mmlite.analysis.layer_figures import draw_similarity
from mmlite.analysis.layer_models import ModelSource
from mmlite.engine.cli import tool
from mmlite.errors import UserError
from mmlite.utils import write_bytes, write_csv


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--reference',
        required=True,
        metavar='MODEL',
        help='what all are compared with, in the form of --models',
    )
    layer_run.add_layer_options(parser, 'compare_layers', need_models=False)
    return parser.parse_args(argv)


def check_batches(number, batch_size):
    """Refuse batches that are too small for the estimator."""
    last = number % batch_size or batch_size
    smallest = min(number, batch_size, last)
    if smallest < LEAST:
        raise UserError(
            f'--num-images {number} and --batch-size {batch_size} make a batch of {smallest}, but '
            f'CKA needs {LEAST} or more images in every batch'
        )


def rows_of(name, similarity, reference):
    """Lines of the table: one for each pair of layers."""
    for layer, values in enumerate(similarity):
        for other, value in enumerate(values.tolist()):
            yield dict(
                model=name, layer=layer, reference=reference, reference_layer=other,
                cka=None if math.isnan(value) else round(value, 6),
            )  # fmt: skip


def warn(measure, name):
    """Say which layers of a model have no similarity, and why."""
    layers, _ = measure.degenerate()
    if layers:
        print(
            f'{name}: no similarity of layers {", ".join(map(str, layers))} (nan): all these '
            f'images have the same features there'
        )


@tool
def main(argv=None):
    args = parse_args(argv)
    layer_run.check_layer_options(args)
    check_batches(args.num_images, args.batch_size)
    sources = ModelSource.parse_all([args.reference, *args.models])
    models = layer_run.build_models(sources, args)
    size = layer_run.choose_size(models, args.image_size)
    batches = layer_run.open_batches(sources, args, size)
    with layer_run.memory_errors():
        measures = compare_models(models[0], models, batches)
    reference = models[0].name
    similarities, rows = {}, []
    for model, measure in zip(models, measures, strict=True):
        warn(measure, model.name)
        similarities[model.name] = measure.value()
        rows += rows_of(model.name, similarities[model.name], reference)
    for name, similarity in similarities.items():
        layer_run.write_array(args.out / f'cka_{layer_run.file_name(name)}.npy', similarity)
    write_csv(args.out / 'cka.csv', rows)
    print(f'{args.out / "cka.csv"}: {len(rows)} rows')
    write_bytes(args.out / 'cka.png', draw_similarity(reference, similarities))
    print(f'{args.out / "cka.png"}: {args.num_images} images of {size} pixels')


if __name__ == '__main__':
    sys.exit(main())
