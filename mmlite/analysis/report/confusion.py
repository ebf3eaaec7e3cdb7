"""Confusion matrix of segmentation predictions."""

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from mmlite.errors import DataError
from mmlite.utils import figure_png

WRITTEN = 20  # classes up to which the cells of the figure hold their numbers


def confusion_matrix(results, classes, ignored=255):
    """Count the pixels of every true class (row) and predicted class (column), int64 (C, C).

    ``results`` are those of ``tools/test.py --out``, with ``gt_sem_seg`` and ``pred_sem_seg``.
    Pixels whose true label is ``ignored`` do not count.
    """
    matrix = np.zeros((classes, classes), np.int64)
    for number, result in enumerate(results):
        place = result.get('img_path') or f'result {number}'
        truth, prediction = (_labels(result, k, place) for k in ('gt_sem_seg', 'pred_sem_seg'))
        if truth.shape != prediction.shape:
            raise DataError(
                f'{place}: the ground truth is {truth.shape}, the prediction {prediction.shape}: '
                'load annotations after resizing in the test pipeline'
            )
        counted = truth != ignored
        truth, prediction = truth[counted], prediction[counted]
        for kind, labels in (('true', truth), ('predicted', prediction)):
            if labels.size and not 0 <= labels.min() <= labels.max() < classes:
                raise DataError(
                    f'{place}: the largest {kind} label is {labels.max()}, but there are '
                    f'{classes} classes, 0 to {classes - 1}'
                )
        pairs = np.bincount(classes * truth + prediction, minlength=classes**2)
        matrix += pairs.reshape(classes, classes)
    return matrix


def _labels(result, key, place):
    item = result.get(key)
    if item is None:
        raise DataError(
            f'{place} has no {key}: the predictions should be those of a segmentation model on '
            'annotated data, written by tools/test.py --out'
        )
    data = item['data'] if isinstance(item, dict) else item.data
    return np.asarray(data)[0].astype(np.int64)


def class_scores(matrix):
    """IoU, accuracy (recall), precision and share of the pixels, float (C,) in 0 to 1.

    NaN where nothing was counted; ``np.nanmean`` of ``'IoU'`` is mmseg's mIoU.
    """
    right = np.diag(matrix).astype(float)
    true, predicted = matrix.sum(axis=1), matrix.sum(axis=0)
    with np.errstate(invalid='ignore'):
        return {
            'IoU': right / (true + predicted - right),
            'accuracy': right / true,
            'precision': right / predicted,
            'share': true / matrix.sum(),
        }


def largest_confusions(matrix, count=10):
    """True class, predicted class and share (0 to 1) of the ``count`` most frequent confusions."""
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind='stable')[:count]
    pairs = zip(*np.unravel_index(order, wrong.shape), strict=True)
    return [(int(t), int(p), wrong[t, p] / matrix[t].sum()) for t, p in pairs if wrong[t, p]]


def draw_confusion(matrix, names):
    """Draw the matrix as a heat map (PNG), each row in percent of the pixels of its true class."""
    percent = 100 * matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    few = len(names) <= WRITTEN
    side = max(4.5, 0.55 * len(names)) if few else max(10, 0.16 * len(names))
    figure = Figure(figsize=(1.06 * side + 1.2, side + 0.5), layout='constrained')
    axis = figure.subplots()
    scale = PowerNorm(1.0 if few else 0.5, vmin=0, vmax=100)
    shown = axis.imshow(percent, cmap='viridis', norm=scale)
    size = 9 if few else 6
    axis.set_xticks(range(len(names)), names, rotation=90, fontsize=size)
    axis.set_yticks(range(len(names)), names, fontsize=size)
    axis.set(xlabel='predicted', ylabel='true')
    if few:
        for (row, column), value in np.ndenumerate(percent):
            color = 'black' if value > 60 else 'white'
            text = f'{value:.0f}' if value >= 0.5 else ''
            axis.text(column, row, text, ha='center', va='center', c=color, size=8)
    else:
        axis.tick_params(labeltop=True, labelright=True, top=True, right=True)
    label = "% of the true class's pixels"
    figure.colorbar(shown, label=label, shrink=0.8, aspect=30, fraction=0.04)
    return figure_png(figure)
