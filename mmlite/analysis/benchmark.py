"""Speed, memory and multiply-accumulate operations (MACs) of models."""

import copy
import platform
import sys
import time
from pathlib import Path

import numpy as np
import torch
from mmengine.dataset import Compose
from mmengine.optim import build_optim_wrapper
from torch.utils.data import Dataset

from mmlite.engine.build import init_model
from mmlite.engine.launch import set_amp
from mmlite.errors import UserError

from .complexity import count_macs

SOURCE_SIZE = (375, 500)
"""(H, W) in pixels of random images, about the mean of ImageNet's."""

DTYPES = {'bf16': 'bfloat16', 'fp16': 'float16'}


class RandomImages(Dataset):
    """Noise through a data set's own pipeline, where there are no data.

    Args:
        pipeline (list[dict]): Transforms of a config; those whose name starts with ``Load`` are
            left out.
        distinct (int): Number of different images. Defaults to 16.
        length (int): Reported length. Defaults to 10,000.
    """

    def __init__(self, pipeline, distinct=16, length=10_000):
        steps = [t for t in pipeline if not t['type'].split('.')[-1].startswith('Load')]
        self.pipeline = Compose(steps)
        self.distinct = distinct
        self.length = length
        self.samples = {}

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        number = index % self.distinct
        if number not in self.samples:
            image = np.random.default_rng(number).integers(0, 256, (*SOURCE_SIZE, 3), np.uint8)
            results = dict(img=image, img_path=f'{number}.png', gt_label=0, sample_idx=number)
            results['img_shape'] = results['ori_shape'] = SOURCE_SIZE
            self.samples[number] = self.pipeline(results)
        return copy.deepcopy(self.samples[number])


def step_seconds(step, steps, warmup, device):
    """Mean seconds of ``steps`` calls after ``warmup`` others; a GPU is waited for at the ends."""
    # torch.utils.benchmark.Timer adds steps to warm up, and its import warns without a GPU
    for _ in range(warmup):
        step()
    synchronize(device)
    start = time.perf_counter()
    for _ in range(steps):
        step()
    synchronize(device)
    return (time.perf_counter() - start) / steps


def synchronize(device):
    """Wait for a GPU; a CPU needs no waiting."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


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
    """MACs of a training step for one image, without the optimizer's.

    A part that runs without gradient (a teacher, a tokenizer) has no backward pass.

    Args:
        model (BaseModel): With a ``data_preprocessor``. It is left without gradients.
        batch (dict): Collated batch; contrastive methods need two images.

    Returns:
        tuple[float, float]: Of matrix products (attention included) and convolutions, forward and
        backward.
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
    counts = {}
    for view in as_views(inputs):
        size = 'x'.join(map(str, view.shape[-2:]))
        counts[size] = counts.get(size, 0) + 1
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
    """Build a model with random weights in training mode, and its optimizer.

    Learning rates are zero: a step is whole, but inputs that never change cannot make it diverge.
    """
    model = init_model(cfg, device=device).train()
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    accumulated = cfg.optim_wrapper.get('accumulative_counts', 1)
    optim_wrapper.initialize_count_status(model, 0, accumulated * 10**6)
    for group in optim_wrapper.optimizer.param_groups:
        group['lr'] = 0.0
    return model, optim_wrapper


def rounded(value, digits=4):
    """Round to significant digits; None stays None."""
    return None if value is None else float(f'{value:.{digits}g}')
