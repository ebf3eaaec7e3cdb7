"""Draw the confusion matrix of a segmentation model and print the IoU of every class.

python tools/test.py CONFIG CHECKPOINT --out predictions.pkl
python tools/analysis_tools/confusion_matrix.py CONFIG predictions.pkl --out confusion.png
"""

import argparse
import pickle
import sys
from pathlib import Path

import mmengine
import numpy as np
from mmengine.registry import init_default_scope

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.analysis.confusion import class_scores, confusion_matrix, draw_confusion
from mmlite.engine.cli import tool
from mmlite.engine.config_file import load_config
from mmlite.errors import DataError, UserError
from mmlite.registry import DATASETS


def read_classes(path):
    """Class names and ignored label of the test data of a segmentation config."""
    cfg = load_config(path)
    if cfg.get('default_scope') != 'mmseg' or not cfg.get('test_dataloader'):
        raise UserError(f'config {path} should be of a segmentation model and have test data')
    init_default_scope('mmseg')
    dataset = cfg.test_dataloader.dataset
    while 'dataset' in dataset:
        dataset = dataset.dataset
    built = DATASETS.build(dict(dataset, lazy_init=True, pipeline=[]))
    return built.metainfo['classes'], built.ignore_index


def read_predictions(path):
    """What ``tools/test.py --out`` wrote."""
    try:
        results = mmengine.load(path)
    except (OSError, EOFError, TypeError, ValueError, pickle.UnpicklingError) as error:
        raise DataError(f'predictions {path} cannot be read: {error}') from error
    if not isinstance(results, list) or not results:
        raise DataError(f'predictions {path} should be a list of results of tools/test.py --out')
    return results


@tool
def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config of the model')
    parser.add_argument('predictions', type=Path, help='FILE.pkl of tools/test.py --out')
    parser.add_argument('--out', type=Path, help='picture; default: PREDICTIONS with .png')
    args = parser.parse_args(argv)
    names, ignored = read_classes(args.config)
    matrix = confusion_matrix(read_predictions(args.predictions), len(names), ignored)
    scores = class_scores(matrix)
    print(f'{"class":24}' + ''.join(f'{title:>11}' for title in scores))
    for row, name in enumerate(names):
        print(f'{name[:24]:24}' + ''.join(f'{100 * s[row]:>11.2f}' for s in scores.values()))
    accuracy = np.diag(matrix).sum() / max(matrix.sum(), 1)
    print(f'mIoU {100 * np.nanmean(scores["IoU"]):.2f}, pixel accuracy {100 * accuracy:.2f}')
    out = args.out or args.predictions.with_suffix('.png')
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(draw_confusion(matrix, names))
    except OSError as error:
        raise DataError(f'cannot write {out}: {error.strerror}') from error
    print(f'{out}: rows are true classes, columns predicted ones')


if __name__ == '__main__':
    sys.exit(main())
