"""Reading the weights out of a checkpoint, writing the converted one, and what to print of it."""

import json
import os
import re
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from mmlite.errors import CheckpointError, UserError
from mmlite.models.weights import summarise

SUFFIXES = ('.pth', '.safetensors')


def check_destination(path, overwrite=False):
    """Refuse a path that :func:`save` cannot write to.

    Args:
        path (str | Path): The file.
        overwrite (bool): Whether it may exist. Defaults to False.

    Raises:
        UserError: If its suffix is not one of ``SUFFIXES``, its folder does not exist, or it exists
            and may not.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise UserError(f'{path} does not end in {" or ".join(SUFFIXES)}')
    if not path.parent.is_dir():
        raise UserError(f'the folder {path.parent} does not exist: make it first')
    if path.is_dir():
        raise UserError(f'{path} is a folder: name a file')
    if path.exists() and not overwrite:
        raise UserError(f'{path} exists: name another file or give --force')


def save(checkpoint, path, overwrite=False):
    """Write ``state_dict`` and ``meta`` of a checkpoint, in full or not at all.

    Args:
        checkpoint (dict): What :func:`~mmlite.engine.convert.convert` returned.
        path (str | Path): A ``.pth`` file for ``torch.save``, or a ``.safetensors`` file, whose
            metadata are the entries of ``meta`` as JSON.
        overwrite (bool): Replace an existing file. Defaults to False.

    Raises:
        UserError: See :func:`check_destination`.
        CheckpointError: If the file cannot be written.
    """
    check_destination(path, overwrite)
    path = Path(path)
    state, meta = checkpoint['state_dict'], checkpoint['meta']
    draft = path.with_name(f'.{path.stem}.{os.getpid()}{path.suffix}')
    try:
        if path.suffix == '.safetensors':
            save_file(state, draft, {'format': 'pt'} | {k: json.dumps(v) for k, v in meta.items()})
        else:
            torch.save(dict(state_dict=state, meta=meta), draft)
        os.replace(draft, path)
    except (OSError, RuntimeError, SafetensorError) as error:  # how each of them says: no space
        raise CheckpointError(f'{path} could not be written: {error}') from error
    finally:
        draft.unlink(missing_ok=True)


def summary(checkpoint, path):
    """What became of every key, as a short table, and how to use the file.

    Args:
        checkpoint (dict): What :func:`~mmlite.engine.convert.convert` returned.
        path (str | Path): Where it was written to.

    Returns:
        str: Lines to print.
    """
    meta, report = checkpoint['meta'], checkpoint['report']
    rows = [('converted', '', list(report['converted']))]
    by_reason = {}
    for key, why in report['dropped'].items():
        by_reason.setdefault(why, []).append(key)
    rows += [('dropped', f'{why}: ', keys) for why, keys in by_reason.items()]
    rows += [('set to 0', 'not in the file: ', report['zeros'])] if report['zeros'] else []
    lines = [f'  {name:<10}{len(keys):>5}  {why}{_grouped(keys)}' for name, why, keys in rows]
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


def _grouped(keys):
    wrappers = r'^((module|model|base_encoder|backbone|net)\.)+'
    return summarise([re.sub(wrappers, '', key) for key in keys], limit=len(keys))


def as_call(value):
    """Python text of a config, its dicts written ``dict(key=value)``."""
    if not isinstance(value, dict):
        return repr(value)
    return f'dict({", ".join(f"{key}={as_call(item)}" for key, item in value.items())})'
