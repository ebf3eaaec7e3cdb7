"""Weights of a checkpoint: found in the file, compared with a model, loaded."""

import logging
import re

import numpy as np
import torch
from mmengine.logging import print_log

from .. import stack
from ..errors import ArgumentError, CheckpointError
from ..utils.names import listed

CONTAINERS = ('state_dict', 'model', 'model_state', 'net')
"""Keys under which files keep the weights; the first that holds a dict is taken."""
ARCHITECTURE = ('type', 'embed_dims', 'num_layers', 'num_heads', 'patch_size')


def find_weights(contents):
    """Tensors by name in the contents of a checkpoint, and the names of its other entries."""
    box = next((key for key in CONTAINERS if isinstance(contents.get(key), dict)), None)
    weights = contents if box is None else contents[box]
    if not weights:
        raise CheckpointError('it holds no weights')
    for key, value in weights.items():
        if not isinstance(value, torch.Tensor | np.ndarray):
            raise CheckpointError(
                f"'{key}' is of type {type(value).__name__}, not a tensor: weights are expected at "
                f'the top or under one of {", ".join(CONTAINERS)}'
            )
    others = [] if box is None else [str(key) for key in contents if key != box]
    return {str(key): torch.as_tensor(value) for key, value in weights.items()}, others


def unwrapped(key):
    """Name of a weight without the prefixes of DistributedDataParallel and ``torch.compile``."""
    return re.sub(r'^((module|_orig_mod)\.)+', '', key)


def read_weights(contents, source, prefix=''):
    """Weights of the checkpoint ``source`` whose names start with ``prefix``, without it.

    None is ``'backbone.'`` where the file has such names, else ``''``.
    """
    try:
        weights, _ = find_weights(contents)
    except CheckpointError as error:
        raise CheckpointError(f'{source}: {error}') from error
    weights = {unwrapped(key): value for key, value in weights.items()}
    if prefix is None:
        prefix = 'backbone.' if any(key.startswith('backbone.') for key in weights) else ''
    selected = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
    if not selected:
        heads = sorted({key.split('.')[0] + '.' for key in weights})[:8]
        raise CheckpointError(
            f"{source}: no key starts with '{prefix}'; its keys start with {', '.join(heads)}"
        )
    broken = [k for k, v in selected.items() if v.is_floating_point() and v.isnan().any()]
    if broken:
        raise CheckpointError(f'{source}: {broken[0]!r} holds NaN, as of a training that diverged')
    return selected


def compare(model, weights):
    """Names that ``weights`` lack, that the model does not have, and whose shapes differ."""
    expected = model.state_dict()
    missing = [key for key in expected if key not in weights]
    unexpected = [key for key in weights if key not in expected]
    shared = (key for key in expected if key in weights)
    return missing, unexpected, [k for k in shared if weights[k].shape != expected[k].shape]


def check_weights(model, weights, source, exact=False):
    """Check that ``weights`` hold all of ``model``, and if ``exact`` nothing else.

    Tables that the backbone resamples may have another shape, counters of batches may be missing.
    """
    missing, unexpected, misshapen = compare(model, weights)
    missing = [key for key in missing if not key.endswith('num_batches_tracked')]
    advice = 'give the config that it was trained with'
    expected = model.state_dict()
    if missing:
        if not weights.keys() & expected.keys():
            advice = f'its keys are {summarise(weights)}'
        raise CheckpointError(
            f'{source} does not hold this model: {len(missing)} of {len(expected)} tensors are not '
            f'in it (first {missing[0]!r}); {advice}'
        )
    _check_shapes(model, weights, misshapen, source)
    if exact and unexpected:
        raise CheckpointError(
            f'{source} does not hold this model: {len(unexpected)} of its {len(weights)} tensors '
            f'have no place in it (first {unexpected[0]!r}); {advice}'
        )


def _check_shapes(model, weights, misshapen, source):
    """Check that the backbone resamples each of ``misshapen`` when the weights are loaded."""
    backbone, expected = getattr(model, 'backbone', model), model.state_dict()
    prefix = '' if backbone is model else 'backbone.'
    for key in misshapen:
        given, needed, fitted = weights[key], expected[key], None
        if key.startswith(prefix) and hasattr(backbone, 'fit_to_size'):
            fitted = backbone.fit_to_size(key.removeprefix(prefix), given, needed)
        if fitted is None or fitted.shape != needed.shape:
            raise CheckpointError(
                f'{source} does not fit this model: {key!r} has shape {tuple(given.shape)}, but '
                f'the config builds {tuple(needed.shape)}; give the config that it was trained with'
            )


def load_exactly(model, contents, source, ignore=None):
    """Load exactly the model's weights of the file ``source``, without names below ``ignore``."""
    weights = read_weights(contents, source)
    if ignore:
        weights = {key: v for key, v in weights.items() if not key.startswith(ignore)}
    check_architecture(model, contents, source)
    check_weights(model, weights, source, exact=True)
    model.load_state_dict(weights, strict=False)  # what may be missing was checked


def load_pretrained(module, checkpoint, prefix=None, map_location='cpu', reserve_blocks=None):
    """Load a backbone's weights from a checkpoint of any task and image size.

    Position tables are resampled, and a short table of what became of the keys is logged. Another
    architecture, or a missing key that is not in ``optional_keys``, is a CheckpointError. Parts of
    blocks that have no place, such as LayerScale, are a warning.

    Args:
        prefix (str, optional): See :func:`read_weights`. Defaults to None.
        reserve_blocks (int, optional): Load the embedding and that many leading blocks only
            (MAE-Lite, Fig. 4); 0 loads nothing. Defaults to None, which loads everything.
    """
    contents = stack.load(checkpoint, map_location)
    weights = read_weights(contents, checkpoint, prefix)
    check_architecture(module, contents, checkpoint, log=True)

    skipped = set(_not_reserved(module, reserve_blocks))
    used = {key: tensor for key, tensor in weights.items() if key not in skipped}
    missing, unused, misshapen = compare(module, used)
    missing = [key for key in missing if key not in skipped]
    expected, kind = module.state_dict(), type(module).__name__
    _check_shapes(module, used, misshapen, checkpoint)
    needed = [k for k in missing if not any(re.fullmatch(p, k) for p in module.optional_keys)]
    if needed:
        raise CheckpointError(
            f'{checkpoint}: {len(needed)} of {len(expected) - len(skipped)} parameters of {kind} '
            f"are not in it (first '{needed[0]}'); give init_cfg the right prefix, or convert the "
            'file with tools/model_converters/convert.py'
        )
    for key in unused:
        del used[key]
    module.load_state_dict(used, strict=False)
    rows = {'used': used, 'resampled': misshapen, 'not in file': missing, 'left over': unused}
    if reserve_blocks is not None:
        rows['not reserved'] = [key for key in weights if key in skipped]
    lines = [f'  {name:<12}{len(keys):>5}  {summarise(keys)}' for name, keys in rows.items()]
    print_log('\n'.join([f'weights of {checkpoint}:', *lines]), logger='current')
    if lost := [key for key in unused if key.startswith('blocks.')]:
        text = f'the config builds no {summarise(lost)}, which the blocks of {checkpoint} had'
        print_log(f'{text}: --init NAME=CHECKPOINT may build them', 'current', logging.WARNING)


def _not_reserved(module, reserve_blocks):
    """Names in the state dict of a backbone that come after its reserved leading blocks."""
    if reserve_blocks is None:
        return []
    count = len(module.blocks)
    if isinstance(reserve_blocks, bool) or reserve_blocks not in range(count + 1):
        raise ArgumentError(
            f'init_cfg.reserve_blocks={reserve_blocks!r}: {type(module).__name__} has {count} '
            f'blocks, write 0 to {count}'
        )
    last = reserve_blocks or -1  # 0 reserves not even the embedding
    return [name for name in module.state_dict() if module.get_layer_depth(name)[0] > last]


def check_architecture(model, contents, source, log=False):
    """Refuse weights whose recorded :data:`ARCHITECTURE` differs from the backbone's.

    ``log`` tells what is assumed of a file without a record.
    """
    backbone = getattr(model, 'backbone', model)
    meta = contents.get('meta')
    recorded = (meta.get('backbone') if isinstance(meta, dict) else None) or {}
    built = backbone.describe() if hasattr(backbone, 'describe') else {}
    if built and not recorded and log:
        message = f'does not record its architecture: taken to have num_heads={built["num_heads"]}'
        print_log(f'{source} {message}', logger='current')
    for key in ARCHITECTURE:
        if key in recorded and key in built and recorded[key] != built[key]:
            raise CheckpointError(
                f'{source}: the checkpoint was trained with {key}={recorded[key]} but the config '
                f'builds {key}={built[key]}; set the backbone arch to match'
            )


def summarise(keys, limit=6):
    """Group keys by module with block numbers folded: ``blocks.*.attn (24)``."""
    groups = {}
    for key in keys:
        name = re.sub(r'\.\d+\.', '.*.', key).rsplit('.', 1)[0] if '.' in key else key
        groups[name] = groups.get(name, 0) + 1
    shown = [f'{name} ({count})' if count > 1 else name for name, count in groups.items()]
    return listed(shown, limit)
