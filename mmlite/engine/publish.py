"""Strips a training checkpoint to its weights and what must be known of them, as safetensors.

The metadata of a published file, each value as JSON, which :func:`mmlite.stack.load` gives back
under ``meta``:

- ``backbone``: what ``describe()`` of the backbone gave, with its heads, where that was recorded;
- ``cfg``: the whole config as text, of literals only;
- ``dataset_meta``: names of classes and what else the data set told, where that was recorded;
- ``task``, ``epoch``, ``iter``, ``seed``, ``mmengine_version``: where recorded or told by ``cfg``;
- ``weights``: ``'moving average'`` or ``'last'``; ``part``: ``'model'`` or ``'backbone'``;
- ``license``, and ``start_licenses`` ({file: licence}) of the weights that training started from;
- ``mmlite_version``, ``torch_version``: of the program that published it;
- ``sha256``: of all the rest, see :func:`content_hash`; its start is part of the file's name.
"""

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from struct import pack

import safetensors.torch
import torch
from mmengine.config import Config
from safetensors import SafetensorError

from mmlite import __version__, stack
from mmlite.errors import CheckpointError, UserError
from mmlite.models.weights import find_weights

from .checkpointing import AtomicLocalBackend, to_plain
from .cli import check_out_file
from .config_file import load_config
from .published_config import parse_config, recipe_text
from .start_weights import UNKNOWN, start_licenses

FROZEN = ('distill.teacher.', 'target_generator.')
"""Parts of a model that are not trained and have a file of their own: never published."""

KEPT = ('source', 'num_heads_from', 'epoch', 'iter', 'seed', 'mmengine_version')
"""What is taken over from the ``meta`` of the checkpoint as it is, beside what has a rule."""

TASKS = {'mmdet': 'detection', 'mmseg': 'segmentation', 'mmpretrain': 'classification'}


@dataclass(frozen=True)
class Published:
    """What :func:`publish` wrote.

    Args:
        weights, config (Path): The two files.
        meta (dict): What the file records.
        tensors, parameters (int): How many of each.
        before, after (int): Bytes of the checkpoint and of the published weights.
    """

    weights: Path
    config: Path
    meta: dict
    tensors: int
    parameters: int
    before: int
    after: int


def publish(checkpoint, out, config=None, license_text=None, backbone_only=False, ema=False):
    """Write the weights of a checkpoint, and its config beside them.

    The same checkpoint gives the same bytes every time.

    Args:
        checkpoint (str | Path): A checkpoint of the suite, or any with weights if ``config`` is
            given.
        out (str | Path): ``NAME.safetensors``: what is written is ``NAME-<hash>.safetensors`` and
            ``NAME-<hash>.py``, with eight digits of the content's hash. The folder is made.
        config (str | Path, optional): Defaults to the config that the checkpoint records, which
            is read as data and never run.
        license_text (str, optional): Licence of the weights. Defaults to what the checkpoint
            records, else to what the weights record that training started from, else ``'unknown'``.
            What these weights record is kept beside it in any case.
        backbone_only (bool): Leave out all but ``backbone.*``. Defaults to False.
        ema (bool): Refuse a checkpoint without the moving average of ``EMAHook``. Where there is
            one, mmengine saves it as the ``state_dict``: it is published with and without this.
            Defaults to False.

    Returns:
        Published: What was written.

    Raises:
        UserError: If ``out`` cannot be written as asked, or ``config`` is missing or not valid.
        CheckpointError: If the checkpoint cannot be read, has no weights, no config or no moving
            average, its config is a program, or a file cannot be written; none is left in part.
    """
    checkpoint, out = Path(checkpoint), Path(out)
    _check_out(out)
    contents = stack.load(checkpoint)
    try:
        state = _weights(contents, backbone_only, ema)
        recorded = to_plain(contents.get('meta') or {}, 'meta')
        values = None if config else parse_config(recorded.get('cfg'))
    except CheckpointError as error:
        raise CheckpointError(f'{checkpoint}: {error}') from error
    cfg = load_config(config) if config else Config(values)
    text = recipe_text(cfg)
    meta = _metadata(recorded, cfg, text, license_text)
    meta['weights'] = 'moving average' if 'ema_state_dict' in contents else 'last'
    meta['part'] = 'backbone' if backbone_only else 'model'
    content, meta['sha256'] = _serialised(state, meta, checkpoint)
    weights = out.with_name(f'{out.stem}-{meta["sha256"][:8]}.safetensors')
    _write(weights, content, text)
    numbers = sum(tensor.numel() for tensor in state.values())
    before = checkpoint.expanduser().stat().st_size
    return Published(
        weights, weights.with_suffix('.py'), meta, len(state), numbers, before, len(content)
    )


def content_hash(path):
    """str: SHA-256 of a published file without the hash that it records: equal if untouched."""
    content = Path(path).read_bytes()
    end = 8 + int.from_bytes(content[:8], 'little')
    header = json.loads(content[8:end])
    header['__metadata__'].pop('sha256', None)
    return hashlib.sha256(_header(header) + content[end:]).hexdigest()


def table(published):
    """str: Lines that tell what was published."""
    meta = published.meta
    rows = [
        ('tensors', f'{published.tensors:,}'),
        ('parameters', f'{published.parameters:,}'),
        ('MB before', f'{published.before / 1e6:.2f}'),
        ('MB after', f'{published.after / 1e6:.2f}'),
        ('weights', f'{meta["weights"]}, {meta["part"]}'),
        ('licence', meta['license']),
        ('sha256', meta['sha256']),
    ]
    return '\n'.join(f'  {name:<12}{value}' for name, value in rows)


def remarks(published):
    """list[str]: What the user should know of the licence; one line each."""
    meta, lines = published.meta, []
    if meta['license'] == UNKNOWN:
        lines.append('licence unknown: nothing records one; give --license or --license-file')
    for name, text in meta.get('start_licenses', {}).items():
        if text != meta['license']:
            lines.append(f'training started from {name}, whose licence is: {text}')
    return lines


def _check_out(out):
    if out.suffix != '.safetensors':
        raise UserError(f'{out} does not end in .safetensors')
    check_out_file('output', out)
    if out.exists():
        raise UserError(f'{out} exists: name another file')


def _weights(contents, backbone_only, ema):
    """Copies of the tensors that are published, none a view of another."""
    if ema and 'ema_state_dict' not in contents:
        raise CheckpointError('it has no moving average (ema_state_dict): leave out --ema')
    state, _ = find_weights(contents)
    state = {key: value for key, value in state.items() if not key.startswith(FROZEN)}
    if backbone_only:
        state = {key: value for key, value in state.items() if key.startswith('backbone.')}
    if not state:
        raise CheckpointError(f'it holds no weights{" of a backbone" if backbone_only else ""}')
    try:
        return {
            key: value.detach().cpu().clone(memory_format=torch.contiguous_format)
            for key, value in state.items()
        }
    except (RuntimeError, NotImplementedError) as error:  # sparse, on no device, or too large
        reason = str(error).splitlines()[0]
        raise CheckpointError(f'its weights are no plain tensors: {reason}') from error


def _metadata(recorded, cfg, text, license_text):
    meta = {key: recorded[key] for key in KEPT if key in recorded}
    if recorded.get('backbone'):
        meta['backbone'] = recorded['backbone']
    dataset_meta = recorded.get('dataset_meta') or _old_dataset_meta(recorded)
    if dataset_meta:
        meta['dataset_meta'] = dataset_meta
    meta.update(cfg=text, task=_task(cfg), mmlite_version=__version__)
    meta['torch_version'] = torch.__version__.partition('+')[0]
    starts = start_licenses(cfg)
    inherited = ' and '.join(dict.fromkeys(starts.values()))
    meta['license'] = license_text or recorded.get('license') or inherited or UNKNOWN
    starts = recorded.get('start_licenses') or starts
    if starts:
        meta['start_licenses'] = starts
    return meta


def _old_dataset_meta(recorded):
    """Classes and colours as checkpoints of mmcv 1 record them."""
    return {key.lower(): recorded[key] for key in ('CLASSES', 'PALETTE') if recorded.get(key)}


def _task(cfg):
    """What a model is for, told by its config without building it."""
    if str((cfg.get('test_cfg') or {}).get('type')).endswith('SequenceTestLoop'):
        return 'tracking'
    scope = cfg.get('default_scope')
    if scope == 'mmpretrain' and not cfg.get('test_dataloader'):
        return 'pre-training'
    return TASKS.get(scope, 'unknown')


def _serialised(state, meta, source):
    """The bytes of the file, and the hash that is recorded in it."""
    try:
        texts = {key: json.dumps(value, sort_keys=True) for key, value in meta.items()}
        content = safetensors.torch.save(state, texts | {'format': 'pt'})
    except (TypeError, ValueError, RecursionError, SafetensorError, KeyError) as error:
        raise CheckpointError(f'{source} cannot be written as safetensors: {error}') from error
    end = 8 + int.from_bytes(content[:8], 'little')
    header, body = json.loads(content[8:end]), content[end:]
    digest = hashlib.sha256(_header(header) + body).hexdigest()
    header['__metadata__']['sha256'] = json.dumps(digest)
    return _header(header) + body, digest


def _header(header):
    """The header in one order: safetensors writes its metadata in another one every time."""
    header = dict(header, __metadata__=dict(sorted(header['__metadata__'].items())))
    text = json.dumps(header, separators=(',', ':'), ensure_ascii=False).encode()
    text += b' ' * (-len(text) % 8)
    return pack('<Q', len(text)) + text


def _write(weights, content, text):
    """Write weights and config, both or none."""
    config, backend = weights.with_suffix('.py'), AtomicLocalBackend()
    for path in (weights, config):
        if path.exists():
            raise UserError(f'{path} exists: name another file')
    made = []
    try:
        for path, data in ((config, text.encode()), (weights, content)):
            made.append(path)
            backend.put(data, path)
    except BaseException as error:
        for path in made:
            if path.exists():
                path.unlink()
        if isinstance(error, CheckpointError):
            message = re.sub('; earlier checkpoints are intact$', '', str(error))
            raise CheckpointError(message) from error
        raise


def read_license(path):
    """str: Content of a licence file.

    Raises:
        UserError: If it is missing, empty or no text.
    """
    try:
        text = Path(path).read_text(encoding='utf-8').strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) else 'it is no text'
        raise UserError(f'licence file {path} cannot be read: {reason}') from error
    if not text:
        raise UserError(f'licence file {path} is empty')
    return text
