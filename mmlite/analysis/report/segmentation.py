"""What a report shows of a segmentation model: IoU by class, confusions, pictures with a legend."""

import html
from pathlib import Path

import numpy as np

from mmlite.datasets.transforms import LoadImageFromFile
from mmlite.errors import DataError
from mmlite.utils import data_uri, encode_jpeg, encode_png
from mmlite.visualization import color_label_maps

from .confusion import (
    WRITTEN,
    class_scores,
    confusion_matrix,
    draw_confusion,
    largest_confusions,
)
from .predictions import segmentation_labels

METRICS = {'mIoU': 'mIoU', 'mAcc': 'mean class accuracy', 'aAcc': 'pixel accuracy'}
"""Scalar of the log -> what it is called."""

PERCENT = 1
"""Factor from the log's numbers to percent."""

CURVES = tuple(METRICS.values())
"""What is drawn over the iterations."""

LOSSES = 'decode.loss_ce decode.acc_seg'
"""Scalars that are worth a picture of their own."""

ELSEWHERE = {
    '# another decoder on the same pictures': 'python tools/train.py '
    'configs/shapes/seg/upernet_vit-tiny_8xb2-amp-160k_ade20k-512x512_shapes.py',
    '# the full ADE20K recipe on eight GPUs': 'bash tools/dist_train.sh '
    'configs/seg/semfpn_vit-tiny_8xb2-amp-160k_ade20k-512x512.py 8',
}
"""What else can be tried, with the command for it."""


def sections(cfg, validation, predictions, count, min_score):
    """The parts of the page that are about segmentation; all of them need predictions.

    Args:
        cfg (mmengine.config.Config): Of the run.
        validation (list[dict]): Not used: the log has no numbers by class.
        predictions (list[dict] | None): From :func:`~.predictions.load_predictions`.
        count (int): Validation pictures to show.
        min_score (float): Not used: every pixel has its class.

    Returns:
        list[str]: HTML.

    Raises:
        DataError: If an image cannot be read, or the predictions are not those of such data.
    """
    if predictions is None:
        return []
    labels = segmentation_labels(cfg)
    matrix = confusion_matrix(predictions, len(labels.names), labels.ignored)
    return [
        f'<h2>Validation pictures</h2>{pictures(cfg, predictions, count)}',
        _class_table(matrix, labels.names),
        _confusions(matrix, labels.names),
    ]


def pictures(cfg, predictions, count, min_score=None):
    """Image, ground truth and prediction for evenly spread pictures.

    Arguments and errors are those of :func:`sections`.

    Returns:
        str: HTML without a heading.
    """
    labels = segmentation_labels(cfg)
    chosen = np.linspace(0, len(predictions) - 1, min(count, len(predictions))).round().astype(int)
    load = LoadImageFromFile()
    figures = ''.join(_trio(predictions[i], labels, load) for i in chosen)
    return (
        f'<p class="sub">Image, ground truth and prediction.</p><div class="pairs">{figures}</div>'
    )


def _trio(result, labels, load):
    maps = {'ground truth': result['gt_sem_seg'], 'prediction': result['pred_sem_seg']}
    maps = {title: np.asarray(item['data'])[0] for title, item in maps.items()}
    path = result.get('img_path')
    if path is None:
        raise DataError('the predictions do not name their images: PackSegInputs packs img_path')
    truth, prediction = maps.values()
    counted = truth != labels.ignored
    right = 100 * (truth == prediction)[counted].mean() if counted.any() else float('nan')
    image = load({'img_path': path})['img'][..., ::-1]
    tiles, entries = color_label_maps(image, maps, labels.names, labels.colours, labels.ignored)
    pictures = ''.join(
        f'<img src="{_address(title, tile)}" alt="{title}">' for title, tile in tiles.items()
    )
    legend = ''.join(
        f'<span><i style="background:rgb({r},{g},{b})"></i>{html.escape(name)}</span>'
        for name, (r, g, b) in entries
    )
    return (
        f'<figure class="trio">{pictures}<figcaption>{html.escape(Path(path).name)}, {right:.1f} % '
        f'of the pixels right<div class="legend">{legend}</div></figcaption></figure>'
    )


def _address(title, tile):
    """The image as JPEG; plain colours as PNG, which keeps them as the legend has them."""
    if title == 'image':
        return data_uri(encode_jpeg(tile), 'jpeg')
    return data_uri(encode_png(tile), 'png')


def _class_table(matrix, names):
    scores = class_scores(matrix)
    rows = [
        f'<td>{html.escape(name)}' + ''.join(_cell(*item, row) for item in scores.items())
        for row, name in enumerate(names)
    ]
    accuracy = np.diag(matrix).sum() / max(matrix.sum(), 1)
    return (
        f'<h2>IoU by class</h2><p class="sub">Of these predictions, in percent: mIoU '
        f'{100 * np.nanmean(scores["IoU"]):.2f}, pixel accuracy {100 * accuracy:.2f}. The share '
        f'is that of all pixels.</p>{_table(["class", *scores], rows)}'
    )


def _cell(title, values, row):
    """A number; behind an IoU, a bar of that length."""
    if np.isnan(values[row]):
        return '<td>–'
    percent = 100 * values[row]
    bar = f' class="bar" style="--p:{percent:.0f}%"' if title == 'IoU' else ''
    return f'<td{bar}>{percent:.1f}'


def _confusions(matrix, names):
    rows = [
        f'<td>{html.escape(names[true])}<td>{html.escape(names[predicted])}<td>{100 * share:.1f}'
        for true, predicted, share in largest_confusions(matrix)
    ]
    # with many classes, names are legible at full size only
    size = 'wide' if len(names) <= WRITTEN else 'full'
    picture = data_uri(draw_confusion(matrix, names), 'png')
    return (
        f'<h2>Confusion matrix</h2><div class="columns"><div class="scroll"><img class="{size}" '
        f'src="{picture}" alt="confusion matrix"></div><div><h3>Confused most</h3>'
        f'<p class="sub">The pairs with the most pixels.</p>'
        f'{_table(["class", "taken for", "% of its pixels"], rows)}</div></div>'
    )


def _table(heads, rows):
    """A table that scrolls where it has no room; ``rows`` hold their cells as HTML."""
    lines = [''.join(f'<th>{head}' for head in heads), *rows]
    return f'<div class="scroll"><table>{"".join(f"<tr>{line}" for line in lines)}</table></div>'
