"""Pictures of what a masked pre-trainer sees and what it makes of the rest."""

import cv2
import numpy as np
import torch

from mmlite import stack
from mmlite.errors import UserError
from mmlite.models.weights import load_exactly
from mmlite.registry import MODELS

GAP = 4  # px between pictures
HEADER = 26  # px of the line with the titles
TILE = 160  # px; smaller pictures are enlarged to about this
UNDRAWN = ('RandomFlip', 'ColorJitter')
"""Random transforms that a picture of a whole image does without."""


def build_reconstructor(cfg, checkpoint):
    """The model of a config with trained weights, without what only training needs.

    ``distill`` is left out, so that no teacher is looked for.

    Args:
        cfg (dict): ``model`` of a config.
        checkpoint (str): A checkpoint of such a model.

    Returns:
        BaseSelfSupervisor: With ``reconstruct``.

    Raises:
        UserError: If the model does not reconstruct images.
        CheckpointError: If the checkpoint is missing or belongs to another model.
    """
    cfg = dict(cfg)
    if cfg.pop('distill', None) and not cfg.get('neck'):
        raise UserError(
            'the model learns by distillation alone: without a decoder (model.neck) there is '
            'nothing to draw'
        )
    model = MODELS.build(cfg)
    if not hasattr(model, 'reconstruct'):
        known = sorted(name for name, c in MODELS.module_dict.items() if hasattr(c, 'reconstruct'))
        raise UserError(
            f'{type(model).__name__} does not reconstruct images, only masked methods do: '
            f'{", ".join(known)}'
        )
    load_exactly(model, stack.load(checkpoint), checkpoint, ignore='distill.')
    return model


def steady_pipeline(pipeline):
    """A training pipeline that shows the largest central square of an image, unflipped.

    Args:
        pipeline (list[dict]): Transforms of a config. What is not known to be random stays.

    Returns:
        list[dict]: Transforms of a config.
    """
    steady = []
    for transform in pipeline:
        name = transform['type'].split('.')[-1]
        if name.endswith('RandomResizedCrop'):
            # no such crop fits into an image that is not square: the central one is taken
            transform = {**transform, 'crop_ratio_range': (1, 1), 'aspect_ratio_range': (1, 1)}
        if name not in UNDRAWN:
            steady.append(transform)
    return steady


@torch.no_grad()
def reconstruction_sheet(model, batch, seed=0):
    """Draw a batch: a row for each image, its original, masked and reconstructed form.

    Where the model predicts something else than the image, that target is a fourth column. The
    state of the random generators and the mode of the model are left as they were.

    Args:
        model (MaskedPretrainer): With ``data_preprocessor`` and ``reconstruct``.
        batch (dict): Collated batch from a loader.
        seed (int): Of the masks that the model draws. Defaults to 0.

    Returns:
        ndarray: RGB uint8 (H, W, 3).
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
    pictures = [to_pictures(images, model.data_preprocessor) for images in columns.values()]
    return draw_table(list(columns), list(zip(*pictures, strict=True)))


def to_pictures(images, preprocessor):
    """Undo the normalisation of a data pre-processor.

    Args:
        images (Tensor): Normalised images (B, 3, H, W).
        preprocessor (ImgDataPreprocessor): Its mean and deviation in 0 to 255. Where it leaves the
            order of channels as it is, images are BGR, as OpenCV loads them.

    Returns:
        ndarray: RGB uint8 (B, H, W, 3).
    """
    images = images.float()
    if preprocessor._enable_normalize:
        images = images * preprocessor.std + preprocessor.mean
    if not preprocessor._channel_conversion:
        images = images.flip(1)
    images = images.round().clamp(0, 255).to(torch.uint8)
    return images.permute(0, 2, 3, 1).cpu().numpy()


def draw_table(titles, rows):
    """Pictures of one size in rows under titles.

    Args:
        titles (Sequence[str]): One for each column.
        rows (Sequence[Sequence[ndarray]]): RGB uint8 (H, W, 3), as many a row as titles.

    Returns:
        ndarray: RGB uint8, on white.
    """
    scale = max(1, round(TILE / rows[0][0].shape[1]))
    height, width = (scale * side for side in rows[0][0].shape[:2])
    shape = (HEADER + len(rows) * (height + GAP), len(titles) * (width + GAP) - GAP, 3)
    sheet = np.full(shape, 255, np.uint8)
    for column, title in enumerate(titles):
        left = column * (width + GAP)
        cv2.putText(
            sheet, title, (left + 2, HEADER - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (40, 40, 40), 1,
            cv2.LINE_AA,
        )  # fmt: skip
        for row, pictures in enumerate(rows):
            top = HEADER + row * (height + GAP)
            # every pixel as it is, for patches have edges
            picture = cv2.resize(pictures[column], (width, height), interpolation=cv2.INTER_NEAREST)
            sheet[top : top + height, left : left + width] = picture
    return sheet
