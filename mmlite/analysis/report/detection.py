"""Parts of a report that are particular to detection."""

from pathlib import Path

from mmengine.registry import init_default_scope

from mmlite.errors import DataError
from mmlite.registry import DATASETS
from mmlite.utils import data_uri, encode_jpeg
from mmlite.visualization import draw_instances, even_indices

from .predictions import load_image

# see .training.TASKS
METRICS = {'coco/bbox_mAP': 'box AP', 'coco/bbox_mAP_50': 'box AP50', 'coco/segm_mAP': 'mask AP'}
PERCENT = 100
LOSSES = 'loss_cls loss_bbox'
NOTE = 'Left: ground truth. Right: predictions with a score of at least {min_score}.'


def numbers(cfg, validation, results):
    """AP by class, if the metric logs it (``classwise=True``)."""
    last = validation[-1] if validation else {}
    logged = {k.split('/')[-1]: 100 * v for k, v in last.items() if k.endswith('_precision')}
    boxes = {k.removesuffix('_bbox_precision'): v for k, v in logged.items() if '_bbox_' in k}
    rest = {k.removesuffix('_precision'): v for k, v in logged.items() if '_bbox_' not in k}
    columns = {'box AP': boxes, 'mask AP' if 'coco/segm_mAP' in last else 'box AP': rest}
    columns = {name: column for name, column in columns.items() if column}
    if not columns:
        return {}
    rows = [[name, *(column.get(name) for column in columns.values())] for name in rest]
    note = 'Of the last validation, in percent.'
    header = ['class', *columns]
    return dict(classes=dict(title='AP by class', note=note, header=header, rows=rows))


def figures(cfg, results, count, min_score=0.3):
    """See :func:`~.training.prediction_figures`."""
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    by_image = {result.get('img_id'): result.get('pred_instances') for result in results}
    drawn = []
    for index in even_indices(len(dataset), count):
        info = dataset.get_data_info(index)
        found = by_image.get(info['img_id'])
        if found is None:
            raise DataError(
                f'the predictions have no boxes for image {info["img_id"]} ({info["img_path"]}): '
                'they should be those of a detector on the test data of this config'
            )
        image, names = load_image(info['img_path']), dataset.metainfo['classes']
        images = _draw(image, info['instances'], found, names, min_score)
        images = {title: data_uri(encode_jpeg(side), 'jpeg') for title, side in images.items()}
        drawn.append(dict(images=images, caption=Path(info['img_path']).name, legend=()))
    return drawn


def _draw(image, truth, found, names, min_score):
    """Ground truth and predictions over an image."""
    scale = max(1.0, 384 / max(image.shape[:2]))
    masks = [item['mask'] for item in truth if 'mask' in item]
    boxes, labels = ([item[key] for item in truth] for key in ('bbox', 'bbox_label'))
    left = draw_instances(image, boxes, labels, masks, names, scale=scale)
    keep = (found['scores'] >= min_score).nonzero().flatten().tolist()
    boxes, labels, scores = (found[key].numpy()[keep] for key in ('bboxes', 'labels', 'scores'))
    masks = [found['masks'][i] for i in keep] if 'masks' in found else None
    right = draw_instances(image, boxes, labels, masks, names, scores, scale)
    return {'ground truth': left, 'predictions': right}
