"""Draw the figure of the README: one image seen by each task, in one strip.

    python docs/make_hero.py --image IMAGE --mae CONFIG CHECKPOINT --det CONFIG CHECKPOINT \\
        --seg CONFIG CHECKPOINT --track FRAME --out docs/pictures/hero.png

FRAME is a frame of the video that ``mmlite track`` writes.
"""

import argparse

import cv2
import numpy as np
from mmengine.dataset import Compose, default_collate

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.analysis.reconstruction import build_reconstructor, steady_pipeline, to_images
from mmlite.apis import build_inferencer
from mmlite.engine.config_file import load_config
from mmlite.utils import encode_png, image_grid, write_bytes
from mmlite.visualization import class_colors, color_label_maps, draw_instances

SIDE = 288
"""Pixels of a panel."""


def reconstruct(image, config, checkpoint):
    """The masked image and its reconstruction, RGB uint8."""
    cfg = load_config(config)
    model = build_reconstructor(cfg, checkpoint)
    pipeline = Compose(steady_pipeline(cfg.train_dataloader.dataset.pipeline))
    sample = pipeline(dict(img_path=image, sample_idx=0, gt_label=0))
    data = model.data_preprocessor(default_collate([sample]), False)
    result = model.reconstruct(**data)
    return [to_images(x, model.data_preprocessor)[0] for x in (result.masked, result.restored)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--image', required=True)
    for name in ('mae', 'det', 'seg'):
        parser.add_argument(f'--{name}', nargs=2, required=True, metavar=('CONFIG', 'CHECKPOINT'))
    parser.add_argument('--track', required=True)
    parser.add_argument('--out', default='docs/pictures/hero.png')
    args = parser.parse_args()
    image = cv2.imread(args.image)[..., ::-1]
    masked, restored = reconstruct(args.image, *args.mae)
    found = build_inferencer(*args.det)(args.image, score_threshold=0.5).results[0]
    names = dict(zip(found.labels, found.names, strict=True))
    boxes = draw_instances(
        image, found.boxes, found.labels, found.masks, names, scale=SIDE / image.shape[1]
    )
    segmentation = build_inferencer(*args.seg)(args.image).results[0]
    names = segmentation.class_names
    palette = load_config(args.seg[0]).train_dataloader.dataset.metainfo.palette
    colors = class_colors(len(names), palette)
    (_, labels), _ = (
        list(part.values()) if isinstance(part, dict) else part
        for part in color_label_maps(image, {'labels': segmentation.label_map}, names, colors)
    )
    panels = {
        'input': image,
        'MAE: 75% masked': masked,
        'MAE: reconstruction': restored,
        'Mask R-CNN': boxes,
        'Semantic-FPN': labels,
        'OSTrack': cv2.imread(args.track)[..., ::-1],
    }
    tiles = []
    for name, panel in panels.items():
        height, width = panel.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        square = np.ascontiguousarray(panel[top : top + side, left : left + side])
        nearest = name.startswith('MAE')
        method = (
            cv2.INTER_NEAREST if nearest else cv2.INTER_AREA if side > SIDE else cv2.INTER_CUBIC
        )
        tiles.append(cv2.resize(square, (SIDE, SIDE), interpolation=method))
    write_bytes(args.out, encode_png(image_grid(tiles, list(panels), len(tiles))))


if __name__ == '__main__':
    main()
