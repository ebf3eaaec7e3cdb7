"""What a report shows of a detector: AP by class, boxes and masks beside the ground truth."""

import html
from pathlib import Path

import cv2
import numpy as np
from mmengine.registry import init_default_scope
from pycocotools import mask as coco_mask

from mmlite.errors import DataError
from mmlite.registry import DATASETS
from mmlite.utils import data_uri, encode_jpeg
from mmlite.visualization import draw_instances

METRICS = {'coco/bbox_mAP': 'box AP', 'coco/bbox_mAP_50': 'box AP50', 'coco/segm_mAP': 'mask AP'}
"""Scalar of the log -> what it is called."""

PERCENT = 100
"""Factor from the log's numbers to percent."""

CURVES = ('box AP', 'mask AP')
"""What is drawn over the iterations."""

LOSSES = 'loss_cls loss_bbox'
"""Scalars that are worth a picture of their own."""

ELSEWHERE = {
    '# the other backbone on the same pictures': 'python tools/train.py '
    'configs/shapes/det/mask-rcnn_hiera-tiny-fpn_8xb8-amp-lsj-100e_coco-640px_shapes.py',
    '# the full COCO recipe on eight GPUs': 'bash tools/dist_train.sh '
    'configs/det/mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px.py 8',
}
"""What else can be tried, with the command for it."""


def sections(cfg, validation, predictions, count, min_score):
    """The parts of the page that are about detection.

    Args:
        cfg (mmengine.config.Config): Of the run.
        validation (list[dict]): Records of the log with metrics.
        predictions (list[dict] | None): From :func:`~.predictions.load_predictions`.
        count (int): Validation pictures to show.
        min_score (float): Predictions below are not drawn.

    Returns:
        list[str]: HTML.

    Raises:
        DataError: If an image cannot be read, or the predictions are not those of its data.
    """
    found = [_class_table(validation)]
    if predictions is not None:
        drawn = pictures(cfg, predictions, count, min_score)
        found.append(f'<h2>Validation pictures</h2>{drawn}')
    return found


def _class_table(validation):
    """AP by class, where the metric was asked for it (``classwise=True``)."""
    suffix = '_precision'
    last = validation[-1] if validation else {}
    rows = {k.split('/')[-1][: -len(suffix)]: v for k, v in last.items() if k.endswith(suffix)}
    if not rows:
        return ''
    cells = ''.join(f'<tr><td>{html.escape(k)}<td>{100 * v:.1f}' for k, v in rows.items())
    return f'<h2>Mask AP by class</h2><table><tr><th>class<th>AP{cells}</table>'


def pictures(cfg, predictions, count, min_score=0.3):
    """Ground truth beside predictions for evenly spread validation pictures.

    Arguments and errors are those of :func:`sections`.

    Returns:
        str: HTML without a heading.
    """
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    names = dataset.metainfo['classes']
    by_image = {p.get('img_id'): p.get('pred_instances') for p in predictions}
    chosen = np.linspace(0, len(dataset) - 1, min(count, len(dataset))).round().astype(int)
    figures = ''.join(
        _pair(dataset.get_data_info(int(i)), by_image, names, min_score) for i in chosen
    )
    return (
        f'<p class="sub">Left: ground truth. Right: predictions with a score of at least '
        f'{min_score}.</p><div class="pairs">{figures}</div>'
    )


def _pair(info, by_image, names, min_score):
    image = cv2.imread(info['img_path'])
    if image is None:
        raise DataError(f'{info["img_path"]} cannot be read as an image')
    image = image[..., ::-1]
    scale = max(1.0, 384 / max(image.shape[:2]))
    truth = info['instances']
    left = draw_instances(
        image,
        [t['bbox'] for t in truth],
        [t['bbox_label'] for t in truth],
        [polygon_mask(t['mask'], image.shape[:2]) for t in truth],
        names,
        scale=scale,
    )
    found = by_image.get(info['img_id'])
    if found is None:
        raise DataError(
            f'the predictions have no boxes for image {info["img_id"]} ({info["img_path"]}): they '
            f'should be those of a detector on the test data of this config'
        )
    keep = (found['scores'] >= min_score).nonzero().flatten().tolist()
    right = draw_instances(
        image,
        found['bboxes'].numpy()[keep],
        found['labels'].numpy()[keep],
        [found['masks'][i] for i in keep],
        names,
        found['scores'].numpy()[keep],
        scale,
    )
    pictures = ''.join(
        f'<img src="{data_uri(encode_jpeg(side), "jpeg")}" alt="{alt}">'
        for side, alt in ((left, 'ground truth'), (right, 'predictions'))
    )
    name = html.escape(Path(info['img_path']).name)
    return f'<figure class="pair">{pictures}<figcaption>{name}</figcaption></figure>'


def polygon_mask(segmentation, shape):
    """COCO polygons or run-length encoding to a bool mask (H, W)."""
    if isinstance(segmentation, dict):
        if isinstance(segmentation['counts'], list):
            segmentation = coco_mask.frPyObjects(segmentation, *shape)
        return coco_mask.decode(segmentation).astype(bool)
    mask = np.zeros(shape, np.uint8)
    for polygon in segmentation:
        cv2.fillPoly(mask, [np.asarray(polygon).reshape(-1, 2).round().astype(np.int32)], 1)
    return mask.astype(bool)
