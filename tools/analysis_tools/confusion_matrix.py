"""Draw the confusion matrix of a segmentation model and print the IoU of every class.

python tools/test.py CONFIG CHECKPOINT --out predictions.pkl
python tools/analysis_tools/confusion_matrix.py CONFIG predictions.pkl --out confusion.png
"""

import argparse
import sys
from pathlib import Path

import numpy as np

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.analysis.report import confusion
from mmlite.analysis.report.predictions import load_predictions, segmentation_meta
from mmlite.engine.cli import tool
from mmlite.engine.config_file import load_config
from mmlite.utils import render_table, write_bytes


@tool
def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config of the model')
    parser.add_argument('predictions', type=Path, help='FILE.pkl of tools/test.py --out')
    parser.add_argument('--out', type=Path, help='PNG file; default: PREDICTIONS with .png')
    args = parser.parse_args(argv)
    names, _, ignored = segmentation_meta(load_config(args.config))
    matrix = confusion.confusion_matrix(load_predictions(args.predictions), len(names), ignored)
    scores = confusion.class_scores(matrix)
    rows = zip(*scores.values(), strict=True)
    rows = [[name, *(f'{100 * v:.2f}' for v in row)] for name, row in zip(names, rows, strict=True)]
    print(render_table(['class', *scores], rows))
    accuracy = np.diag(matrix).sum() / max(matrix.sum(), 1)
    print(f'mIoU {100 * np.nanmean(scores["IoU"]):.2f}, pixel accuracy {100 * accuracy:.2f}')
    for true, predicted, share in confusion.largest_confusions(matrix):
        print(f'{100 * share:6.2f} % of {names[true]} predicted as {names[predicted]}')
    out = args.out or args.predictions.with_suffix('.png')
    write_bytes(out, confusion.draw_confusion(matrix, names))
    print(f'{out}: rows are true classes, columns predicted ones')


if __name__ == '__main__':
    sys.exit(main())
