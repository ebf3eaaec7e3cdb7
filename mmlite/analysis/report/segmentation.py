"""Parts of a report that are particular to segmentation."""

from pathlib import Path

import numpy as np

from mmlite.errors import DataError
from mmlite.utils import data_uri, encode_jpeg, encode_png
from mmlite.visualization import color_label_maps, even_indices

from .confusion import WRITTEN, class_scores, confusion_matrix, draw_confusion, largest_confusions
from .predictions import load_image, segmentation_meta

# see .training.TASKS
METRICS = {'mIoU': 'mIoU', 'mAcc': 'mean class accuracy', 'aAcc': 'pixel accuracy'}
PERCENT = 1
LOSSES = 'decode.loss_ce decode.acc_seg'
NOTE = 'Image, ground truth and prediction.'


def numbers(cfg, validation, results):
    """IoU by class and confusions of the predictions; the log has neither."""
    if results is None:
        return {}
    names, _, ignored = segmentation_meta(cfg)
    matrix = confusion_matrix(results, len(names), ignored)
    scores = class_scores(matrix)
    columns = [(100 * values).tolist() for values in scores.values()]
    accuracy = np.diag(matrix).sum() / max(matrix.sum(), 1)
    classes = dict(
        title='IoU by class',
        note=f'Of these predictions, in percent: mIoU {100 * np.nanmean(scores["IoU"]):.2f}, pixel '
        f'accuracy {100 * accuracy:.2f}. The share is that of all pixels.',
        header=['class', *scores],
        rows=list(zip(names, *columns, strict=True)),
    )
    pairs = [(names[t], names[p], 100 * share) for t, p, share in largest_confusions(matrix)]
    image = draw_confusion(matrix, names)
    # the names of many classes are legible at full size only
    confusion = dict(image=image, large=len(names) > WRITTEN, pairs=pairs)
    return dict(classes=classes, confusion=confusion)


def figures(cfg, results, count, min_score=None):
    """See :func:`~.training.prediction_figures`."""
    names, colors, ignored = segmentation_meta(cfg)
    drawn = []
    for index in even_indices(len(results), count):
        result = results[index]
        path = result.get('img_path')
        if path is None:
            raise DataError(
                'the predictions do not name their images: PackSegInputs packs img_path'
            )
        maps = {'ground truth': result['gt_sem_seg'], 'prediction': result['pred_sem_seg']}
        maps = {title: np.asarray(item['data'])[0] for title, item in maps.items()}
        truth, prediction = maps.values()
        counted = truth != ignored
        right = 100 * (truth == prediction)[counted].mean() if counted.any() else float('nan')
        tiles, legend = color_label_maps(load_image(path), maps, names, colors, ignored)
        # PNG keeps colors as the legend has them
        images = {title: data_uri(encode_png(tile), 'png') for title, tile in tiles.items()}
        images['image'] = data_uri(encode_jpeg(tiles['image']), 'jpeg')
        caption = f'{Path(path).name}, {right:.1f} % of the pixels right'
        drawn.append(dict(images=images, caption=caption, legend=legend))
    return drawn
