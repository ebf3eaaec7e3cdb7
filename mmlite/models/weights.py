"""Loading pre-trained weights into a backbone, with a report of what was used."""

import re

from mmengine.logging import print_log
from mmengine.runner.checkpoint import _load_checkpoint

from mmlite.errors import ArgumentError, CheckpointError

#: Keys under which files keep the weights; the first that is there is taken.
CONTAINERS = ('state_dict', 'model', 'model_state', 'net')


def load_pretrained(module, checkpoint, prefix=None, map_location='cpu', reserve_blocks=None):
    """Load a backbone's weights from a checkpoint of any task and image size.

    Position tables are resampled. What was used, resampled, left over, not found and not reserved
    is logged as a short table.

    Args:
        module (Backbone): Where the weights go.
        checkpoint (str): Path or URL, anything that mmengine's ``CheckpointLoader`` takes.
        prefix (str, optional): Take the keys that start with it, e.g. ``'backbone.'``. By default
            ``'backbone.'`` where the file has such keys, and all keys otherwise.
        map_location (str): Where tensors are read to. Defaults to ``'cpu'``.
        reserve_blocks (int, optional): Take the embedding and that many leading blocks, and leave
            what follows at random (MAE-Lite, Fig. 4). 0 takes nothing at all. Defaults to None,
            which takes everything.

    Raises:
        ArgumentError: If ``reserve_blocks`` is no number of blocks of the backbone.
        CheckpointError: If the weights belong to another architecture or head count, or if a
            parameter that every checkpoint of this backbone has is missing.
    """
    contents = _load_checkpoint(checkpoint, map_location=map_location)
    state, prefix = select_weights(contents, prefix, checkpoint)
    recorded = contents.get('meta') if isinstance(contents.get('meta'), dict) else {}
    check_architecture(module, recorded.get('backbone'), checkpoint)

    own = module.state_dict()
    skipped = set(beyond(module, reserve_blocks))
    own = {key: tensor for key, tensor in own.items() if key not in skipped}
    shared = {key: tensor for key, tensor in state.items() if key in own}
    missing = [key for key in own if key not in state]
    resampled = []
    for key, tensor in shared.items():
        if tensor.shape == own[key].shape:
            continue
        fitted = module.fit_to_size(key, tensor, own[key])
        if fitted is None or fitted.shape != own[key].shape:
            raise CheckpointError(
                f"{checkpoint}: '{key}' has shape {tuple(tensor.shape)} but "
                f'{type(module).__name__} needs {tuple(own[key].shape)}; choose the arch that '
                f'the checkpoint was trained with'
            )
        shared[key] = fitted
        resampled.append(key)
    needed = [k for k in missing if not any(re.fullmatch(p, k) for p in module.optional_keys)]
    if needed:
        raise CheckpointError(
            f'{checkpoint}: {len(needed)} of {len(own)} parameters of {type(module).__name__} are '
            f"not in it (first '{needed[0]}', looked for under the prefix '{prefix}'); give "
            f'init_cfg the right prefix, or convert the file with '
            f'tools/model_converters/convert.py'
        )
    module.load_state_dict(shared, strict=False)
    unused = [key for key in state if key not in own and key not in skipped]
    rows = [('used', list(shared)), ('resampled', resampled), ('not in file', missing),
            ('left over', unused)]  # fmt: skip
    if reserve_blocks is not None:
        rows.append(('not reserved', [key for key in state if key in skipped]))
    lines = [f'  {name:<12}{len(keys):>5}  {summarise(keys)}' for name, keys in rows]
    print_log('\n'.join([f'weights of {checkpoint}:', *lines]), logger='current')


def beyond(module, reserve_blocks):
    """Names in the state dict of a backbone that lie behind its reserved leading blocks.

    Args:
        module (Backbone): Has ``blocks`` and ``get_layer_depth(name)``.
        reserve_blocks (int | None): See :func:`load_pretrained`.

    Returns:
        list[str]: Empty for None, all names for 0.

    Raises:
        ArgumentError: If there are not so many blocks.
    """
    if reserve_blocks is None:
        return []
    count = len(module.blocks)
    if isinstance(reserve_blocks, bool) or reserve_blocks not in range(count + 1):
        raise ArgumentError(
            f'init_cfg.reserve_blocks={reserve_blocks!r}: {type(module).__name__} has {count} '
            f'blocks, write 0 to {count}'
        )
    names = list(module.state_dict())
    if reserve_blocks == 0:
        return names
    return [name for name in names if module.get_layer_depth(name)[0] > reserve_blocks]


def select_weights(contents, prefix, source):
    """Unwrap the weights in a checkpoint and strip a prefix.

    Returns:
        tuple[dict[str, Tensor], str]: Weights and the prefix that was stripped.

    Raises:
        CheckpointError: If no key starts with ``prefix``.
    """
    state = next((contents[key] for key in CONTAINERS if key in contents), contents)
    if prefix is None:
        prefix = 'backbone.' if any(key.startswith('backbone.') for key in state) else ''
    selected = {key[len(prefix) :]: v for key, v in state.items() if key.startswith(prefix)}
    if not selected:
        heads = sorted({key.split('.')[0] + '.' for key in state})[:8]
        raise CheckpointError(
            f"{source}: no key starts with '{prefix}'; its keys start with {', '.join(heads)}"
        )
    return selected, prefix


def check_architecture(module, recorded, source):
    """Refuse weights whose recorded architecture differs where shapes cannot tell (heads).

    Args:
        module (Backbone): Has ``describe()``.
        recorded (dict | None): ``meta['backbone']`` of the checkpoint, see ``describe``.
        source (str): Name of the file, for the message.

    Raises:
        CheckpointError: If class, width, depth or head count differ.
    """
    if not recorded:
        heads = module.arch['num_heads']
        print_log(
            f'{source} does not record its architecture: taken to have num_heads={heads}',
            logger='current',
        )
        return
    wanted = module.describe()
    for key in ('type', 'embed_dims', 'num_layers', 'num_heads', 'patch_size'):
        if key in recorded and key in wanted and recorded[key] != wanted[key]:
            raise CheckpointError(
                f'{source}: the checkpoint was trained with {key}={recorded[key]} but the config '
                f'builds {key}={wanted[key]}; set the backbone arch to match'
            )


def summarise(keys, limit=6):
    """Group keys by their module path with block numbers folded: ``blocks.*.attn (24)``."""
    groups = {}
    for key in keys:
        name = re.sub(r'\.\d+\.', '.*.', key).rsplit('.', 1)[0] if '.' in key else key
        groups[name] = groups.get(name, 0) + 1
    shown = [f'{name} ({count})' if count > 1 else name for name, count in groups.items()]
    more = f', and {len(shown) - limit} more' if len(shown) > limit else ''
    return ', '.join(shown[:limit]) + more
