"""Speed, memory and multiply-accumulate operations (MACs) of training and inference."""

import copy
import platform
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from mmdet.structures.mask import BitmapMasks
from mmengine.dataset import Compose, pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from torch.utils.data import Dataset

from mmlite.engine.build import init_model
from mmlite.engine.launch import set_amp
from mmlite.errors import UserError

from .complexity import count_macs, count_params

DTYPES = {'bf16': 'bfloat16', 'fp16': 'float16'}
PACKERS = {
    'decode_head': 'mmseg.PackSegInputs',
    'bbox_head': 'mmdet.PackDetInputs',
    'head': 'mmpretrain.PackInputs',
}
"""Attribute of a model or its RoI head with ``num_classes`` -> transform that makes samples."""


class RandomImages(Dataset):
    """Noise through transforms, less those that load, where there are no data.

    There are ``distinct`` images of ``size`` (H, W) pixels, by default about the mean of
    ImageNet's. With ``classes``, each has a random label, a label map, and ten boxes with masks.
    """

    def __init__(self, pipeline, distinct=16, size=(375, 500), classes=None):
        steps = [t for t in pipeline if not t['type'].split('.')[-1].startswith('Load')]
        self.pipeline = Compose(steps)
        self.distinct, self.size, self.classes = distinct, size, classes
        self.samples = {}

    def __len__(self):
        return 10_000

    def __getitem__(self, index):
        number = index % self.distinct
        if number not in self.samples:
            rng, size = np.random.default_rng(number), self.size
            results = dict(
                img=rng.integers(0, 256, (*size, 3), np.uint8), img_path=f'{number}.png',
                gt_label=0, sample_idx=number, img_shape=size, ori_shape=size,
            )  # fmt: skip
            if self.classes:
                results.update(_annotations(rng, size, self.classes))
            self.samples[number] = self.pipeline(results)
        return copy.deepcopy(self.samples[number])


def _annotations(rng, size, classes, objects=10):
    corners = np.sort(rng.random((objects, 2, 2)), axis=1) * (size[1] - 1, size[0] - 1)
    boxes = (corners + [[0], [1]]).reshape(objects, 4).astype(np.float32)
    masks = np.zeros((objects, *size), np.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.astype(int), strict=True):
        mask[y1:y2, x1:x2] = 1
    return dict(
        img_id=0,
        scale_factor=(1.0, 1.0),
        gt_label=int(rng.integers(classes)),
        gt_seg_map=rng.integers(0, classes, size),
        gt_bboxes=boxes,
        gt_bboxes_labels=rng.integers(0, classes, objects),
        gt_ignore_flags=np.zeros(objects, bool),
        gt_masks=BitmapMasks(masks, *size),
    )


def step_seconds(step, steps, warmup, device):
    """Mean seconds of ``steps`` calls after ``warmup`` others; a GPU is waited for at the ends."""
    # torch.utils.benchmark.Timer adds steps to warm up, and its import warns without a GPU
    wait = torch.cuda.synchronize if device.type == 'cuda' else lambda device: None
    for _ in range(warmup):
        step()
    wait(device)
    start = time.perf_counter()
    for _ in range(steps):
        step()
    wait(device)
    return (time.perf_counter() - start) / steps


def peak_memory(device):
    """Peak memory in bytes: of tensors on a GPU, of the process on a CPU (None on Windows)."""
    if device.type == 'cuda':
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == 'darwin' else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def device_name(device):
    """Name of a GPU or of the CPU."""
    if device.type == 'cuda':
        return torch.cuda.get_device_name(device)
    info = Path('/proc/cpuinfo')
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(':', 1)[1].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.processor() or platform.machine()


def training_macs(model, batch):
    """MACs of a training step for one image of a collated batch: forward and backward.

    Products and convolutions count, not the optimizer; a part that runs without gradient (a
    teacher, a tokenizer) has no backward pass. Contrastive methods need two images.
    """
    data = model.data_preprocessor(batch, True)

    def both_passes():
        with torch.enable_grad():
            model.parse_losses(model(**data, mode='loss'))[0].backward()

    forward, _ = count_macs(lambda: model(**data, mode='loss'))
    total, _ = count_macs(both_passes)
    model.zero_grad(set_to_none=True)
    count = len(as_views(data['inputs'])[0])
    return forward / count, (total - forward) / count


def as_views(inputs):
    """The views in ``inputs`` as a flat list of tensors (B, C, H, W)."""
    if isinstance(inputs, torch.Tensor):
        return [inputs]
    items = inputs.values() if isinstance(inputs, dict) else inputs
    return [view for item in items for view in as_views(item)]


def view_sizes(inputs):
    """Sizes of the views as a string, e.g. ``'2x224x224 + 8x96x96'``."""
    counts = Counter('x'.join(map(str, view.shape[-2:])) for view in as_views(inputs))
    return ' + '.join(size if n == 1 else f'{n}x{size}' for size, n in counts.items())


def set_precision(cfg, amp, device):
    """Train in the precision ``amp``: ``'none'``, ``'bf16'``, ``'fp16'``, None as in the config."""
    if amp:
        set_amp(cfg, amp != 'none')
    if amp in DTYPES:
        # bf16 has the range of fp32: nothing to scale, no overflow to wait for
        scale = dict(enabled=False) if amp == 'bf16' else 'dynamic'
        cfg.optim_wrapper.update(dtype=DTYPES[amp], loss_scale=scale)
    if device == 'cpu' and precision(cfg) != 'fp32':
        raise UserError(f'{precision(cfg)} training needs a GPU: give --amp none')


def precision(cfg):
    """``'fp32'``, ``'fp16'`` or ``'bf16'``."""
    wrapper = cfg.optim_wrapper
    if wrapper.get('type', 'OptimWrapper') == 'OptimWrapper':
        return 'fp32'
    return 'bf16' if wrapper.get('dtype') == 'bfloat16' else 'fp16'


def build_trained(cfg, device):
    """Build a model with random weights in training mode, and its optimizer."""
    model = init_model(cfg, device=device).train()
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    accumulated = cfg.optim_wrapper.get('accumulative_counts', 1)
    optim_wrapper.initialize_count_status(model, 0, accumulated * 10**6)
    for group in optim_wrapper.optimizer.param_groups:
        group['lr'] = 0.0  # inputs that never change cannot make it diverge
    return model, optim_wrapper


def rounded(value, digits=4):
    """Round to significant digits; None stays None."""
    return None if value is None else float(f'{value:.{digits}g}')


class Contestant:
    """A classifier, detector or segmentation model that takes turns with others on a device."""

    def __init__(self, cfg, device):
        self.cfg, self.device = cfg, device
        self.images = cfg.train_dataloader.batch_size
        self.scope = cfg.get('default_scope') or 'mmengine'
        with DefaultScope.overwrite_default_scope(self.scope):
            self.model, self.optim_wrapper = build_trained(cfg, device)
        owner = getattr(self.model, 'roi_head', self.model)
        heads = [n for n in PACKERS if getattr(getattr(owner, n, None), 'num_classes', None)]
        if not heads or not hasattr(self.model, 'backbone'):
            raise UserError(
                f'{type(self.model).__name__} is not a classifier, detector or segmentation model: '
                'give it to the command pretrain or tracker'
            )
        self.is_detector = heads[0] == 'bbox_head'
        size = getattr(self.model.data_preprocessor, 'size', None) or cfg.get('image_size', 224)
        self.size = (size, size) if isinstance(size, int) else tuple(size)
        pack, classes = [dict(type=PACKERS[heads[0]])], getattr(owner, heads[0]).num_classes
        images = RandomImages(pack, self.images, size=self.size, classes=classes)
        batch = pseudo_collate([images[index] for index in range(self.images)])
        self.batch = self.model.data_preprocessor.cast_data(batch)
        self.rates = {'train': [], 'inference': []}
        self.memory = None

    def take_turn(self, steps, warmup):
        """Measure images/s of training, and of inference up to scores (detectors: boxes)."""
        model, on_gpu = self.model, self.device.type == 'cuda'

        def rate(step):
            return self.images / step_seconds(step, steps, warmup, self.device)

        with DefaultScope.overwrite_default_scope(self.scope):
            model.train()
            if on_gpu:
                torch.cuda.reset_peak_memory_stats(self.device)
            trained = rate(lambda: model.train_step(self.batch, self.optim_wrapper))
            self.rates['train'].append(trained)
            if on_gpu:  # memory of a process says nothing about one model
                self.memory = peak_memory(self.device)
            model.eval()
            data = model.data_preprocessor(self.batch, False)
            if self.is_detector:
                data['mode'] = 'predict'
            else:
                data = dict(inputs=data['inputs'], mode='tensor')
            dtype = getattr(torch, DTYPES.get(precision(self.cfg), 'float32'))
            autocast = torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32)
            with torch.no_grad(), autocast:
                self.rates['inference'].append(rate(lambda: model(**data)))

    def summary(self, steps):
        """Columns of the CSV table, with medians of the turns of so many steps."""
        return dict(
            precision=precision(self.cfg),
            batch_size=self.images,
            input='x'.join(map(str, self.size)),
            turns=len(self.rates['train']),
            steps=steps,
            parameters=count_params(self.model),
            train_images_per_s=rounded(np.median(self.rates['train'])),
            inference_images_per_s=rounded(np.median(self.rates['inference'])),
            train_memory_gib=rounded(self.memory and self.memory / 2**30),
        )
