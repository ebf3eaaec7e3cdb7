"""One self-contained HTML page about a training run of a detector."""

import html
import pickle
import platform
from pathlib import Path

import cv2
import mmengine
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from pycocotools import mask as coco_mask

from mmlite import __version__
from mmlite.engine.logs import find_logs, split_records
from mmlite.errors import DataError
from mmlite.registry import DATASETS

from .pictures import data_uri, draw_curves, draw_instances, encode_jpeg

STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1080px;padding:0 1rem;
color:#1c2430;background:#fff}h1{margin-bottom:.2rem}h2{margin-top:2.2rem}.sub{color:#5b6675}
.tiles{display:flex;gap:1rem;flex-wrap:wrap}.tile{background:#f1f5f9;border-radius:10px;
padding:.8rem 1.2rem;min-width:7rem}.tile b{display:block;font-size:1.7rem}
table{border-collapse:collapse}td,th{padding:.25rem .9rem;text-align:right;
border-bottom:1px solid #e2e8f0}td:first-child,th:first-child{text-align:left}
pre{white-space:pre-wrap}
.pairs{display:grid;grid-template-columns:repeat(auto-fill,minmax(500px,1fr));gap:1rem}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:4px}.pair img,.wide{width:100%}
figure{margin:0}figcaption{font-size:.8rem;color:#5b6675;grid-column:1/3}
pre{background:#0f172a;color:#e2e8f0;padding:1rem;border-radius:8px;overflow-x:auto}
"""

#: What else can be tried, with the command for it.
ELSEWHERE = {
    '# the other backbone on the same pictures': 'python tools/train.py '
    'configs/shapes/det/mask-rcnn_hiera-tiny-fpn_8xb8-amp-lsj-100e_coco-640px_shapes.py',
    '# the full COCO recipe on eight GPUs': 'bash tools/dist_train.sh '
    'configs/det/mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px.py 8',
}


def write_report(work_dir, predictions=None, count=12, min_score=0.3, reconstructions=None):
    """Write ``index.html`` into a work directory of ``tools/train.py``.

    Args:
        work_dir (str | Path): Holds the dumped config and the logs of one or more runs.
        predictions (str | Path, optional): What ``tools/test.py --out`` wrote. Without it the
            page has no pictures.
        count (int): Validation pictures to show, spread evenly. Defaults to 12.
        min_score (float): Predictions below are not drawn. Defaults to 0.3.
        reconstructions (str | Path, optional): PNG of ``vis_reconstruction.py``, what the
            pre-training of the backbone learned.

    Returns:
        Path: The page.

    Raises:
        DataError: If the config, the logs or a file that was named are missing.
    """
    work_dir = Path(work_dir)
    config = _newest(work_dir.glob('*.py'), f'{work_dir}: no config file (*.py)')
    cfg = Config.fromfile(config)
    training, validation = split_records(find_logs(work_dir))
    if not training:
        raise DataError(f'{work_dir}: its logs hold no training step; train longer first')
    sections = [
        _tiles(training, validation),
        f'<h2>Curves</h2><img class="wide" src="{data_uri(_curves(training, validation), "png")}" '
        f'alt="loss, metric and learning rate by iteration">',
        _class_table(validation),
    ]
    if predictions is not None:
        sections.append(_pictures(cfg, _load_predictions(predictions), count, min_score))
    if reconstructions is not None:
        sections.append(_reconstructions(reconstructions))
    sections.append(_next_steps(config, work_dir))
    title = html.escape(Path(cfg.filename).stem)
    versions = (
        f'mmlite {__version__}, torch {torch.__version__}, mmengine {mmengine.__version__}, '
        f'Python {platform.python_version()}, {torch.get_num_threads()} threads, '
        f'{torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"}'
    )
    page = work_dir / 'index.html'
    page.write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f'<style>{STYLE}</style><h1>Training report</h1><p class="sub">{title}<br>{versions}</p>'
        + ''.join(sections)
        + '</html>',
        encoding='utf-8',
    )
    return page


def _newest(paths, message):
    """The newest of ``paths``."""
    paths = sorted(paths, key=lambda path: path.stat().st_mtime)
    if not paths:
        raise DataError(message)
    return paths[-1]


def _load_predictions(path):
    """The list of predictions that ``tools/test.py --out`` wrote on this machine."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f'{path} not found: write it with tools/test.py CONFIG CHECKPOINT --out')
    with path.open('rb') as file:
        return pickle.load(file)


def _tiles(training, validation):
    """The few numbers that people look for first."""
    last = validation[-1] if validation else {}
    tiles = [('iterations', f'{training[-1]["step"]:,}')]
    names = {'coco/bbox_mAP': 'box AP', 'coco/bbox_mAP_50': 'box AP50', 'coco/segm_mAP': 'mask AP'}
    tiles += [(name, f'{100 * last[key]:.1f}') for key, name in names.items() if key in last]
    tiles.append(('final loss', f'{training[-1]["loss"]:.2f}'))
    tiles.append(('s / iteration', f'{np.median([r["time"] for r in training]):.2f}'))
    cells = ''.join(f'<div class="tile"><b>{value}</b>{name}</div>' for name, value in tiles)
    return f'<div class="tiles">{cells}</div>'


def _curves(training, validation):
    """PNG with losses, metrics and learning rate."""

    def series(records, key):
        found = [r for r in records if key in r]
        return [r['step'] for r in found], [r[key] for r in found]

    losses = [key for key in training[-1] if key.startswith('loss')]
    panels = {'training loss': {key: series(training, key) for key in losses}}
    metrics = {'coco/bbox_mAP': 'box AP', 'coco/segm_mAP': 'mask AP'}
    drawn = {name: series(validation, key) for key, name in metrics.items()}
    if any(x for x, _ in drawn.values()):
        panels['validation AP'] = {k: (x, [100 * v for v in y]) for k, (x, y) in drawn.items()}
    panels['learning rate'] = {'lr': series(training, 'lr')}
    return draw_curves(panels)


def _class_table(validation):
    """AP by class, where the metric was asked for it (``classwise=True``)."""
    suffix = '_precision'
    last = validation[-1] if validation else {}
    rows = {k.split('/')[-1][: -len(suffix)]: v for k, v in last.items() if k.endswith(suffix)}
    if not rows:
        return ''
    cells = ''.join(f'<tr><td>{html.escape(k)}<td>{100 * v:.1f}' for k, v in rows.items())
    return f'<h2>Mask AP by class</h2><table><tr><th>class<th>AP{cells}</table>'


def _pictures(cfg, predictions, count, min_score):
    """Ground truth beside predictions for evenly spread validation pictures."""
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    names = dataset.metainfo['classes']
    by_image = {p['img_id']: p['pred_instances'] for p in predictions}
    chosen = np.linspace(0, len(dataset) - 1, min(count, len(dataset))).round().astype(int)
    figures = ''.join(
        _pair(dataset.get_data_info(int(i)), by_image, names, min_score) for i in chosen
    )
    return (
        f'<h2>Validation pictures</h2><p class="sub">Left: ground truth. Right: predictions with '
        f'a score of at least {min_score}.</p><div class="pairs">{figures}</div>'
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
    found = by_image[info['img_id']]
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


def _reconstructions(path):
    """What the pre-trained backbone made of masked pictures."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f'{path} not found: tools/analysis_tools/vis_reconstruction.py draws it')
    return (
        '<h2>Pre-training</h2><p class="sub">Pictures that the backbone saw in part before it '
        'learned to detect, and what it made of the rest.</p>'
        f'<img src="{data_uri(path.read_bytes(), "png")}" alt="original, masked, reconstruction">'
    )


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


def _next_steps(config, work_dir):
    """Commands to go on with, on this very run."""
    commands = [
        '# what the augmentation does to the training pictures',
        f'python tools/analysis_tools/browse_dataset.py {config} --output-dir {work_dir}/browse',
        '# single losses of this run',
        f'python tools/analysis_tools/analyze_logs.py plot_curve {work_dir} '
        f'--keys loss_cls loss_bbox --out {work_dir}/losses.png',
    ]
    pointer = work_dir / 'last_checkpoint'
    if pointer.is_file():
        checkpoint = work_dir / Path(pointer.read_text().strip()).name
        commands += [
            '# all validation pictures with their predictions',
            f'python tools/test.py {config} {checkpoint} --show-dir {work_dir}/pictures',
        ]
    commands += [f'{comment}\n{command}' for comment, command in ELSEWHERE.items()]
    return f'<h2>Next</h2><pre>{html.escape(chr(10).join(commands))}</pre>'
