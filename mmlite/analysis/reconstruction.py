"""Reconstructions of images by masked pre-trainers."""

import copy

import numpy as np
import torch
from mmengine.registry import init_default_scope

from mmlite.engine.build import init_model
from mmlite.errors import UserError
from mmlite.registry import MODELS
from mmlite.utils import image_grid

TILE = 160  # px, to about which smaller images are enlarged


def build_reconstructor(cfg, checkpoint, device='cpu'):
    """Build the model of a pre-training config with trained weights, without its teacher."""
    cfg = copy.deepcopy(cfg)
    if cfg.model.pop('distill', None) and not cfg.model.get('neck'):
        raise UserError(
            'the model learns by distillation alone: without a decoder (model.neck) there is '
            'nothing to draw'
        )
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    with MODELS.switch_scope_and_registry(None) as registry:
        method = registry.get(cfg.model.type)
    if method and not hasattr(method, 'reconstruct'):
        known = sorted(name for name, c in MODELS.module_dict.items() if hasattr(c, 'reconstruct'))
        raise UserError(
            f'{method.__name__} does not reconstruct images, only masked methods do: '
            f'{", ".join(known)}'
        )
    return init_model(cfg, checkpoint, device, ignore='distill.')


def steady_pipeline(pipeline):
    """Replace random crops and flips of a list of transforms by the central square; others stay."""
    steady = []
    for transform in pipeline:
        name = transform['type'].split('.')[-1]
        if name.endswith('RandomResizedCrop'):
            # no such crop fits into an image that is not square: the central one is taken
            transform = {**transform, 'crop_ratio_range': (1, 1), 'aspect_ratio_range': (1, 1)}
        if name not in ('RandomFlip', 'ColorJitter'):
            steady.append(transform)
    return steady


@torch.no_grad()
def reconstruction_sheet(model, batch, seed=0):
    """Draw a row for each image of a batch: original, masked, reconstruction, and another target.

    The :class:`MaskedPretrainer` masks by ``seed``; its mode and the random generators stay as they
    are. Returns RGB uint8 (H, W, 3).
    """
    training = model.training
    model.eval()
    device = torch.device(model.data_preprocessor.device)
    with torch.random.fork_rng([device] if device.type == 'cuda' else []):
        torch.manual_seed(seed)
        data = model.data_preprocessor(batch, False)
        result = model.reconstruct(**data)
    model.train(training)
    inputs = data['inputs']
    original = inputs if isinstance(inputs, torch.Tensor) else inputs[0]
    columns = {'original': original, 'masked': result.masked, 'reconstruction': result.restored}
    if result.target is not None:
        columns['target'] = result.target
    images = [to_images(column, model.data_preprocessor) for column in columns.values()]
    scale = max(1, round(TILE / original.shape[-1]))
    # every pixel as it is, for patches have edges
    images = np.stack(images, axis=1).repeat(scale, axis=2).repeat(scale, axis=3)
    return image_grid([*images.reshape(-1, *images.shape[2:])], list(columns), len(columns), gap=4)


def to_images(images, preprocessor):
    """Undo the normalization of a data preprocessor: (B, 3, H, W) to RGB uint8 (B, H, W, 3)."""
    images = images.float()
    if preprocessor._enable_normalize:
        images = images * preprocessor.std + preprocessor.mean
    if not preprocessor._channel_conversion:
        images = images.flip(1)
    images = images.round().clamp(0, 255).to(torch.uint8)
    return images.permute(0, 2, 3, 1).cpu().numpy()
