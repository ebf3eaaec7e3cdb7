"""Draw the confusion matrix of a segmentation model and print the IoU of every class.

python tools/test.py CONFIG CHECKPOINT --out predictions.pkl
python tools/analysis_tools/confusion_matrix.py CONFIG predictions.pkl --out confusion.png
"""

import argparse
import sys
from pathlib import Path

import numpy as np

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.analysis.report.confusion import (
    class_scores,
    confusion_matrix,
    draw_confusion,
    largest_confusions,
)
from mmlite.analysis.report.predictions import load_predictions, segmentation_labels
from mmlite.engine.cli import tool
from mmlite.engine.config_file import load_config
from mmlite.errors import DataError


@tool
def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config of the model')
    parser.add_argument('predictions', type=Path, help='FILE.pkl of tools/test.py --out')
    parser.add_argument('--out', type=Path, help='picture; default: PREDICTIONS with .png')
    args = parser.parse_args(argv)
    names, _, ignored = segmentation_labels(load_config(args.config))
    matrix = confusion_matrix(load_predictions(args.predictions), len(names), ignored)
    scores = class_scores(matrix)
    print(f'{"class":24}' + ''.join(f'{title:>11}' for title in scores))
    for row, name in enumerate(names):
        print(f'{name[:24]:24}' + ''.join(f'{100 * s[row]:>11.2f}' for s in scores.values()))
    accuracy = np.diag(matrix).sum() / max(matrix.sum(), 1)
    print(f'mIoU {100 * np.nanmean(scores["IoU"]):.2f}, pixel accuracy {100 * accuracy:.2f}')
    for true, predicted, share in largest_confusions(matrix):
        print(f'{100 * share:6.2f} % of {names[true]} taken for {names[predicted]}')
    out = args.out or args.predictions.with_suffix('.png')
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(draw_confusion(matrix, names))
    except OSError as error:
        raise DataError(f'cannot write {out}: {error.strerror}') from error
    print(f'{out}: rows are true classes, columns predicted ones')


if __name__ == '__main__':
    sys.exit(main())
