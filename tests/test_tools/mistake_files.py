"""Good and bad files of every kind, for commands that are meant to fail."""

import json
import shutil

import cv2
import tiny
import tiny_pretrain
import tiny_sequences
import tiny_tasks
import tiny_tracker
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmlite.registry import MODELS

FILES = dict(
    p='{p}',
    det='{p}/det/detector.py',
    cls='{p}/cls/small.py',
    seg='{p}/seg/seg.py',
    mae='{p}/pre/mae.py',
    track='{p}/trk/finder.py',
    det_pth='{p}/det/det.pth',
    cls_pth='{p}/cls/cls.pth',
    mae_pth='{p}/pre/mae.pth',
    track_pth='{p}/trk/finder.pth',
    clip='{p}/trk/finder.py {p}/trk/finder.pth {p}/trk/videos/one',
)
"""What stands for these files in arguments and sentences; ``{p}`` is their folder."""


def save(config, path, **meta):
    """Write a checkpoint with random weights of the model of a config."""
    cfg = Config.fromfile(config)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(cfg.model)
    if meta:
        meta = dict(backbone=model.backbone.describe())
    torch.save(dict(state_dict=model.state_dict(), meta=meta), path)


def write_annotations(folder):
    """Files that are no annotations of the images in ``folder``, each in its own way."""
    (folder / 'empty.json').touch()
    good = json.loads((folder / 'train.json').read_text())
    good['images'][0]['file_name'] = 'gone.png'
    (folder / 'gone.json').write_text(json.dumps(good))


def write_images(root):
    """An image, and directories of classes: with texts as images, with nothing."""
    cv2.imwrite(str(root / 'whole.jpg'), tiny_pretrain.image(0))
    (root / 'texts/train/a').mkdir(parents=True)
    for number in range(4):
        (root / f'texts/train/a/{number}.jpg').write_text('hello')
    (root / 'none/train/a').mkdir(parents=True)
    for name in ('disc', 'square'):
        shutil.copytree(root / f'cls/data/val/{name}', root / f'two/val/{name}')


def write_all(p):
    """Write small models of every task, their data, and files that are good for nothing.

    Args:
        p (Path): An empty folder.
    """
    for name in ('det', 'cls', 'seg', 'pre', 'trk/videos', 'folder', 'run/vis_data'):
        (p / name).mkdir(parents=True)
    save(tiny.write_detector(p / 'det'), p / 'det/det.pth')
    write_annotations(p / 'det')
    tiny_tasks.write('cls', p / 'cls')
    write_images(p)
    tiny_tasks.write('seg', p / 'seg')
    save(tiny_pretrain.write_recipe(p / 'pre'), p / 'pre/mae.pth', backbone=True)
    tiny_tracker.write_sequence(p / 'trk/videos', 'one', tiny_tracker.path(4))
    tiny_tracker.write_config(p / 'trk', p / 'trk/videos')
    tiny_sequences.write_lasot(p / 'lasot', 'cat-1')
    (p / 'text').write_text('hello')
    (p / 'text.pth').write_text('hello' * 100)
    (p / 'half.pth').write_bytes((p / 'cls/cls.pth').read_bytes()[:-1000])
    (p / 'empty.pth').touch()
    (p / 'good.json').write_text('{"step": 1, "loss": 2.0, "lr": 0.1, "time": 1}\n')
    (p / 'words.json').write_text('{"step": 1, "loss": "low", "lr": 0.1, "time": "long"}\n')
