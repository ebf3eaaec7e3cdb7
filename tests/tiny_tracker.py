"""A tracker that finds a bright rectangle, and videos of one: for tests of online tracking."""

from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from torch import nn

from mmlite.registry import MODELS

DARK, BRIGHT = 40, 220
HEIGHT, WIDTH = 120, 160


@MODELS.register_module(force=True)
class RectangleFinder(BaseModel):
    """Locates the bright rectangle in the first colour channel by its moments, below a pixel.

    Args:
        shift (float): Added to cx, in units of the crop's side: a parameter, so that weights count.
    """

    template_size = 32
    search_size = 64
    template_factor = 2.0
    search_factor = 4.0

    def __init__(self, coords='exact', shift=0.0):
        pre = dict(type='mmlite.TrackDataPreprocessor', mean=[0.0] * 3, std=[255.0] * 3)
        super().__init__(pre)
        self.coords = coords
        self.shift = nn.Parameter(torch.tensor(shift))
        self.calls = []

    def forward(self, inputs, data_samples=None, mode='loss'):
        return dict(loss=inputs['search'].mean() * self.shift.square())

    def embed_template(self, images):
        self.calls.append(('embed_template', images))
        return images.mean((2, 3))[:, None]

    def locate(self, template, search):
        self.calls.append(('locate', search))
        light = (search[:, 0].double() - DARK / 255).clamp(0)
        mass = light.sum((1, 2)).clamp(min=1e-9)
        at = (torch.arange(self.search_size, device=search.device) + 0.5) / self.search_size
        rows = []
        for profile in (light.sum(1), light.sum(2)):
            mean = (profile * at).sum(1) / mass
            spread = ((profile * at**2).sum(1) / mass - mean**2).clamp(0)
            rows.append((mean, (12 * spread).sqrt()))
        (cx, w), (cy, h) = rows
        score = light.amax((1, 2)) / (BRIGHT - DARK) * 255
        return torch.stack([cx + self.shift, cy, w, h, score, score / 2], 1).float()


CONFIG = """
default_scope = 'mmlite'
custom_imports = dict(imports=['tiny_tracker'])
model = {model!r}
test_dataloader = dict(
    batch_size=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='FrameFolderDataset', data_root={root!r}),
)
test_cfg = dict(type='SequenceTestLoop', batch_size=3)
test_evaluator = dict(type='SOTMetric', plots=False)
"""


VIT = dict(
    type='mmlite.ViT', arch=dict(embed_dims=24, num_layers=4, num_heads=3), img_size=64,
    with_cls_token=False, out_type='raw',
)  # fmt: skip
HIERA = dict(
    type='mmlite.Hiera', arch=dict(embed_dims=8, num_layers=(1, 1, 2, 1), num_heads=1), img_size=64,
    q_pool=2, out_type='raw',
)  # fmt: skip
"""Backbones of trackers: ViT of 24 channels; Hiera, 64 channels at the end."""
OSTRACK = dict(
    type='mmlite.OSTrack',
    backbone=dict(VIT, arch=dict(embed_dims=32, num_layers=2, num_heads=2)),
    head=dict(type='mmlite.CenterHead', in_channels=32, channels=16),
    template_size=32,
    search_size=64,
    data_preprocessor=dict(
        type='mmlite.TrackDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
    ),
)
"""A config of OSTrack with two narrow blocks."""
CE = dict(type='mmlite.CandidateElimination', blocks=(1, 2))
CONFIGS = Path(__file__).parents[1] / 'configs' / 'track'


def recipe(name):
    """The model of a config, with random weights, in evaluation mode."""
    config = Config.fromfile(CONFIGS / f'ostrack_{name}_4xb32-300e_sot-256px.py')
    return MODELS.build(config.model).eval()


def build(backbone=VIT, **options):
    """A tracker of 64 and 128 pixels with random weights."""
    torch.manual_seed(0)
    kind, channels = ('HieraOSTrack', 64) if backbone['type'] == HIERA['type'] else ('OSTrack', 24)
    head = dict(type='mmlite.CenterHead', in_channels=channels, channels=32)
    sizes = dict(template_size=64, search_size=128)
    changes = dict(type=f'mmlite.{kind}', backbone=backbone, head=head, **sizes)
    return MODELS.build(OSTRACK | changes | options)


def pairs(model, count=3):
    """Random templates and search regions for a tracker."""
    generator = torch.Generator().manual_seed(1)
    return (
        torch.randn(count, 3, size, size, generator=generator)
        for size in (model.template_size, model.search_size)
    )


def write_config(folder, root, shift=0.0, model=None):
    """Write a config that tests a model on the sequences below ``root``, and a checkpoint.

    The model is the finder, ``shift`` the parameter of its checkpoint, or has random weights.
    """
    config, checkpoint = folder / 'finder.py', folder / 'finder.pth'
    torch.manual_seed(0)
    built = MODELS.build(model or dict(type='mmlite.RectangleFinder', shift=shift))
    torch.save(dict(state_dict=built.state_dict(), meta={}), checkpoint)
    model = model or dict(type='mmlite.RectangleFinder')
    config.write_text(CONFIG.format(root=str(root), model=model))
    return config, checkpoint


def draw(box, height=HEIGHT, width=WIDTH):
    """A dark BGR frame with a bright rectangle: x, y, w, h in whole pixels, red the brightest."""
    frame = np.full((height, width, 3), DARK, np.uint8)
    x, y, w, h = (round(float(value)) for value in box)
    frame[y : y + h, x : x + w] = (BRIGHT // 2, DARK, BRIGHT)
    return frame


def path(frames, seed=0):
    """Boxes (frames, 4) of whole pixels that move a few pixels a frame and stay inside."""
    rng = np.random.default_rng(seed)
    phase = rng.uniform(0, 6, 2)
    size = rng.integers(16, 24, 2)
    room = (np.array([WIDTH, HEIGHT]) - size) / 2 - 4
    times = np.arange(frames)[:, None] / rng.uniform(12, 18, 2) + phase
    corners = np.round(room * (1 + np.sin(times)) + 4)
    return np.hstack([corners, np.tile(size, (frames, 1))]).astype(float)


def write_sequence(root, name, boxes):
    """A folder ``root/name`` with numbered frames and ``groundtruth.txt``, as own data are kept."""
    folder = root / name
    folder.mkdir(parents=True)
    for number, box in enumerate(boxes):
        cv2.imwrite(str(folder / f'{number:04d}.png'), draw(box))
    lines = [','.join(f'{value:g}' for value in box) for box in boxes]
    (folder / 'groundtruth.txt').write_text('\n'.join(lines) + '\n')
    return folder
