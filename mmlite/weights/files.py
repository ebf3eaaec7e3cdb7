"""Writing a converted checkpoint, and a summary of it."""

import io
import json
import re
from itertools import chain
from pathlib import Path

import safetensors.torch
import torch

from mmlite.errors import UserError
from mmlite.models.weights import summarise
from mmlite.utils import write_bytes

SUFFIXES = ('.pth', '.safetensors')
WRAPPERS = r'^((module|model|base_encoder|backbone|net)\.)+'


def check_destination(path, overwrite=False, suffixes=SUFFIXES):
    """Refuse a path that cannot be written: another suffix, a directory, or an existing file."""
    path = Path(path)
    if path.suffix not in suffixes:
        raise UserError(f'{path} does not end in {" or ".join(suffixes)}')
    if path.is_dir():
        raise UserError(f'{path} is a directory: name a file')
    if path.exists() and not overwrite:
        raise UserError(f'{path} exists: name another file or give --force')


def save(checkpoint, path, overwrite=False):
    """Write ``state_dict`` and ``meta`` of a checkpoint, in full or not at all.

    ``path`` ends in ``.pth``, for ``torch.load``, or ``.safetensors``, whose metadata are the
    entries of ``meta`` as JSON. An existing file is a UserError unless ``overwrite``, a file that
    cannot be written an OutputError.
    """
    check_destination(path, overwrite)
    state, meta = checkpoint['state_dict'], checkpoint['meta']
    if Path(path).suffix == '.safetensors':
        metadata = {key: json.dumps(value, default=_plain) for key, value in meta.items()}
        data = safetensors.torch.save(state, metadata | {'format': 'pt'})
    else:
        buffer = io.BytesIO()
        torch.save(dict(state_dict=state, meta=meta), buffer)
        data = buffer.getvalue()
    write_bytes(path, data)


def _plain(value):
    """NumPy values as JSON."""
    return value.tolist() if hasattr(value, 'tolist') else str(value)


def summary(checkpoint, path):
    """The account of every key as a short table, and how to use the file at ``path``."""
    meta, report = checkpoint['meta'], checkpoint['report']
    origins, dropped = report['origins'], report['dropped']
    rows = [('converted', '', dict.fromkeys(chain(*origins.values())))]
    for why in dict.fromkeys(dropped.values()):
        rows.append(('dropped', f'{why}: ', [key for key in dropped if dropped[key] == why]))
    rows.append(('set to 0', 'not in the file: ', [name for name in origins if not origins[name]]))
    lines = []
    for name, why, keys in rows:
        if keys:
            groups = summarise([re.sub(WRAPPERS, '', key) for key in keys], limit=len(keys))
            lines.append(f'  {name:<10}{len(keys):>5}  {why}{groups}')
    if report['beside']:
        lines.append(f'  {"ignored":<10}{len(report["beside"]):>5}  {", ".join(report["beside"])}')
    facts = ', '.join(f'{key}={value}' for key, value in meta['backbone'].items() if key != 'type')
    lines.append(f'  backbone         {meta["backbone"]["type"]}: {facts}')
    lines.append(f'  num_heads        {meta["num_heads_from"]}')
    lines.append(f'  license          {meta["license"]}')
    init_cfg = dict(type='Pretrained', checkpoint=str(path))
    lines.append(f'backbone={as_call(report["backbone_cfg"] | dict(init_cfg=init_cfg))}')
    if any(not name.startswith('backbone.') for name in checkpoint['state_dict']):
        lines.append(f'load_from = {str(path)!r}  # for the other parts too')
    return '\n'.join(lines)


def as_call(value):
    """Config as Python text, its dicts written ``dict(key=value)``."""
    if not isinstance(value, dict):
        return repr(value)
    return f'dict({", ".join(f"{key}={as_call(item)}" for key, item in value.items())})'
