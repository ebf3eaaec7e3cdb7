"""A directory to upload to Hugging Face: weights, config, licence and model card."""

from pathlib import Path

import yaml

from mmlite import __version__
from mmlite.errors import UserError
from mmlite.utils import write_text

from .publish import publish

LICENCES = (
    'apache-2.0', 'bsd-3-clause', 'cc-by-4.0', 'cc-by-nc-4.0', 'cc-by-sa-4.0', 'cc0-1.0', 'mit',
)  # fmt: skip
"""Identifiers of Hugging Face; any other licence is ``other`` with its name."""
KINDS = {  # task: (pipeline tag of Hugging Face, inferencer)
    'classification': ('image-classification', 'ClsInferencer'),
    'detection': ('object-detection', 'DetInferencer'),
    'segmentation': ('image-segmentation', 'SegInferencer'),
    'tracking': (None, 'SOTInferencer'),
    'pre-training': ('image-feature-extraction', None),
}


def publish_directory(checkpoint, out, *args, **kwargs):
    """Write ``model.safetensors``, ``model.py``, ``LICENSE`` and the card ``README.md`` to ``out``.

    Args:
        checkpoint (str | Path): As in :func:`~.publish.publish`.
        out (str | Path): A directory that is new or empty.
        *args, **kwargs: Further arguments of :func:`~.publish.publish`.

    Returns:
        tuple[dict[str, Tensor], dict]: Weights and metadata as written.

    Raises:
        UserError: ``out`` is not empty or no directory, or the licence is unknown.
        CheckpointError, OutputError: As in :func:`~.publish.publish`.
    """
    out = Path(out)
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise UserError(f'{out} is not an empty directory: name another one')
    state, meta = publish(
        checkpoint, out / 'model.safetensors', *args, licence_required=True, **kwargs
    )
    write_text(out / 'LICENSE', meta['license'] + '\n')
    write_text(out / 'README.md', model_card(out.resolve().name, state, meta))
    return state, meta


def model_card(name, state, meta):
    """Text of the card of published weights, with the metadata that Hugging Face reads."""
    licence = meta['license'].lower().replace(' ', '-')
    tag, inferencer = KINDS.get(meta['task'], (None, None))
    inferencer = inferencer if meta['part'] == 'model' else None
    head = dict(library_name='mmlite', license=licence if licence in LICENCES else 'other')
    if head['license'] == 'other':
        head['license_name'] = licence
    if tag:
        head['pipeline_tag'] = tag if meta['part'] == 'model' else 'image-feature-extraction'
    backbone = (meta.get('backbone') or {}).get('type', 'unknown')
    rows = {
        'task': meta['task'] if meta['part'] == 'model' else f'backbone of {meta["task"]}',
        'backbone': backbone,
        'parameters': f'{sum(tensor.numel() for tensor in state.values()):,}',
        'training': ', '.join(f'{key} {meta[key]}' for key in ('epoch', 'iter') if key in meta),
        'weights': meta['weights'],
        'licence': meta['license'],
        'made with': f'mmlite {__version__}',
    }
    if inferencer:
        build = f"model = {inferencer}('model.py', 'model.safetensors')"
        use = f'from mmlite.apis import {inferencer}\n\n{build}'
    else:
        use = "backbone = dict(init_cfg=dict(type='Pretrained', checkpoint='model.safetensors'))"
    table = '\n'.join(f'| {key} | {value} |' for key, value in rows.items() if value)
    return (
        f'---\n{yaml.safe_dump(head, sort_keys=False)}---\n\n# {name}\n\n| | |\n| --- | --- |\n'
        f'{table}\n\n```python\n{use}\n```\n\n`model.py` is the config of the training.\n'
    )
