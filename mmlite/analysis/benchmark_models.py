"""Training and inference of classifiers, detectors and segmentation models on random images."""

import numpy as np
import torch
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData, PixelData

from mmlite.errors import UserError

from .benchmark import (
    DTYPES,
    build_trained,
    device_name,
    peak_memory,
    precision,
    rounded,
    step_seconds,
)
from .complexity import count_params

OBJECTS = 10
"""Objects in each random image of a detector."""


class Contestant:
    """A model that takes turns with others.

    Args:
        name (str): For the table.
        cfg (Config): Its batch size counts; the image size is that of the data pre-processor, or
            else ``image_size``.
        device (torch.device): Where it runs.
    """

    def __init__(self, name, cfg, device):
        self.name, self.cfg, self.device = name, cfg, device
        self.images = cfg.train_dataloader.batch_size
        self.scope = cfg.get('default_scope') or 'mmengine'
        with DefaultScope.overwrite_default_scope(self.scope):
            self.model, self.optim_wrapper = build_trained(cfg, device)
        size = getattr(self.model.data_preprocessor, 'size', None) or cfg.get('image_size', 224)
        self.size = (size, size) if isinstance(size, int) else tuple(size)
        batch = random_batch(self.model, self.images, self.size)
        self.batch = self.model.data_preprocessor.cast_data(batch)
        self.rates = {'train': [], 'inference': []}
        self.memory = None

    def take_turn(self, steps, warmup):
        """Measure images/s of training, and of inference up to scores (detectors: boxes)."""
        with DefaultScope.overwrite_default_scope(self.scope):
            self.model.train()
            if self.device.type == 'cuda':
                torch.cuda.reset_peak_memory_stats(self.device)

            def train_step():
                return self.model.train_step(self.batch, self.optim_wrapper)

            seconds = step_seconds(train_step, steps, warmup, self.device)
            self.rates['train'].append(self.images / seconds)
            if self.device.type == 'cuda':  # memory of a process says nothing about one model
                self.memory = peak_memory(self.device)
            self.model.eval()
            data = self.model.data_preprocessor(self.batch, False)
            if hasattr(self.model, 'bbox_head') or hasattr(self.model, 'roi_head'):
                data['mode'] = 'predict'
            else:
                data = dict(inputs=data['inputs'], mode='tensor')
            dtype = DTYPES.get(precision(self.cfg))
            autocast = torch.autocast(
                self.device.type, dtype and getattr(torch, dtype), enabled=dtype is not None
            )
            with torch.no_grad(), autocast:
                seconds = step_seconds(lambda: self.model(**data), steps, warmup, self.device)
            self.rates['inference'].append(self.images / seconds)

    def row(self, turns, steps):
        """A row of the CSV table, with medians of the turns."""
        return dict(
            config=self.name,
            device=device_name(self.device),
            torch=torch.__version__,
            threads=torch.get_num_threads(),
            precision=precision(self.cfg),
            batch_size=self.images,
            input='x'.join(map(str, self.size)),
            turns=turns,
            steps=steps,
            parameters=count_params(self.model),
            train_images_per_s=rounded(np.median(self.rates['train'])),
            inference_images_per_s=rounded(np.median(self.rates['inference'])),
            train_memory_gib=rounded(self.memory and self.memory / 2**30),
        )


def random_batch(model, count, size, seed=0):
    """Images of noise with random annotations, as a loader collates them."""
    rng = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (count, 3, *size), generator=rng, dtype=torch.uint8)
    annotate = _annotator(model)
    meta = dict(img_shape=size, ori_shape=size, scale_factor=(1.0, 1.0), img_id=0)
    samples = [annotate(size, rng) for _ in range(count)]
    for sample in samples:
        sample.set_metainfo(meta)
    return dict(inputs=list(images), data_samples=samples)


def _annotator(model):
    """A function of (H, W) and a generator to a random data sample for the model."""
    if hasattr(model, 'decode_head'):
        return lambda size, rng: _segment(model.decode_head.num_classes, size, rng)
    roi_head = getattr(model, 'roi_head', None)
    head = getattr(roi_head, 'bbox_head', None) or getattr(model, 'bbox_head', None)
    if hasattr(head, 'num_classes'):
        return lambda size, rng: _detect(head.num_classes, size, rng)
    classes = getattr(getattr(model, 'head', None), 'num_classes', None)
    if classes and hasattr(model, 'backbone'):
        return lambda size, rng: _classify(classes, rng)
    raise UserError(
        f'{type(model).__name__} is not a classifier, detector or segmentation model: give it to '
        'the command pretrain or tracker'
    )


def _segment(classes, size, rng):
    from mmseg.structures import SegDataSample

    sample = SegDataSample()
    sample.gt_sem_seg = PixelData(data=torch.randint(classes, (1, *size), generator=rng))
    return sample


def _detect(classes, size, rng):
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks

    height, width = size
    corners = torch.rand(OBJECTS, 2, 2, generator=rng).sort(dim=1).values
    boxes = (corners * torch.tensor([width - 1, height - 1]) + torch.tensor([[0], [1]])).flatten(1)
    masks = np.zeros((OBJECTS, height, width), np.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.int().tolist(), strict=True):
        mask[y1:y2, x1:x2] = 1
    labels = torch.randint(classes, (OBJECTS,), generator=rng)
    found = dict(bboxes=boxes, labels=labels, masks=BitmapMasks(masks, height, width))
    ignored = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
    sample = DetDataSample()
    sample.gt_instances, sample.ignored_instances = InstanceData(**found), ignored
    return sample


def _classify(classes, rng):
    from mmpretrain.structures import DataSample

    return DataSample().set_gt_label(int(torch.randint(classes, (1,), generator=rng)))
