"""``--init``: the initialization of a backbone by the name of a pre-training."""

import copy
import os
from dataclasses import dataclass, field

from mmengine.config import ConfigDict

from mmlite.errors import UserError
from mmlite.utils.names import near_names, with_near
from mmlite.weights.published import find_named

SCRATCH = ('scratch', 'none')
VITS = ('vit-tiny', 'vit-small', 'vit-base')
HIERAS = ('hiera-tiny', 'hiera-base')
SWINS = ('swin-1g', 'swin-tiny')
SHARED_BIAS = dict(pos_embed='none', rel_pos='bias', layer_scale_init_value=0.1)
EUPE = dict(
    arch=dict(embed_dims=192, num_layers=12, num_heads=3),
    num_registers=4, qkv_bias='qv', pos_embed='none', rel_pos=None, layer_scale_init_value=1e-5,
    rope=dict(temperature=100), norm_eps=1e-5,
)  # fmt: skip


@dataclass(frozen=True)
class Method:
    """A pre-training as its weights are fine-tuned (MAE-Lite, Tables 1, 3, 6, 8 to 10 and S4).

    Args:
        file (str): Checkpoint below ``checkpoints/``, with ``{name}`` and ``{arch}`` filled in, or
            name of published weights.
        backbone (dict): Settings of a :class:`~mmlite.models.ViT` that has a place for all weights.
        layer_decay (float): Layer-wise decay of the learning rate on ImageNet-1K, published for
            MAE's family (0.85) and MoCo-v3 (0.75). ViT-Small has 0.75 for every method.
        archs (Sequence[str]): Architectures with such weights.
        small (dict, optional): ``arch`` of its ViT-Small, where the suite's has other heads: the
            weights have the same shapes.
    """

    file: str = '{name}_{arch}_400e_in1k.pth'
    backbone: dict = field(default_factory=dict)
    layer_decay: float = 0.85
    archs: tuple = VITS
    small: dict | None = None


METHODS = {
    'supervised': Method('{arch}_300e_in1k.pth', archs=VITS + HIERAS + SWINS),
    'supervised-in21k': Method('{arch}_300e_in21k.pth'),
    'supervised-in21k-30e': Method('{arch}_30e_in21k.pth'),
    'supervised-rpe': Method('{arch}-rpe_1000e_in1k.pth', dict(rel_pos='bias')),
    'mae': Method(archs=VITS + HIERAS),
    'd-mae': Method(archs=VITS + HIERAS),
    'd2-mae': Method(archs=VITS + HIERAS),
    'd2-mae-rpe': Method('d2-mae_{arch}-rpe_1000e_in1k.pth', dict(rel_pos='bias')),
    'simmim': Method(archs=VITS + SWINS),
    'd2-simmim': Method(archs=('swin-1g',)),
    'simmim-shared-bias': Method('simmim_{arch}-shared-bias_400e_in1k.pth', SHARED_BIAS),
    'beit': Method(backbone=dict(layer_scale_init_value=0.1)),
    'beit-shared-bias': Method('beit_{arch}-shared-bias_400e_in1k.pth', SHARED_BIAS),
    'bootmae': Method(),
    'maskfeat': Method(),
    'mocov3': Method(layer_decay=0.75, small=dict(embed_dims=384, num_layers=12, num_heads=6)),
    'dino': Method(layer_decay=0.75),
    'eupe': Method('timm/vit_tiny_patch16_dinov3_qkvb.eupe_lvd1689m', EUPE, 0.75, VITS[:1]),
}
"""Name of a pre-training -> how its weights are fine-tuned."""


def find_init(text, backbone):
    """Name and checkpoint of ``--init TEXT`` for the config of a backbone.

    ``text`` is a key of :data:`METHODS`, ``NAME=CHECKPOINT`` with such a key, a checkpoint (the
    name is then None), a name of published weights (the table of these has such a key), or one of
    :data:`SCRATCH` (the checkpoint is then None).
    """
    name, path = split_init(text)
    if not name and (weights := find_named(path)):
        name = weights.init or None
    if path or name in SCRATCH:
        return name, path
    if name not in METHODS:
        known = [*METHODS, SCRATCH[0]]
        message = f'--init {text} is neither a file nor one of {", ".join(known)}'
        raise UserError(with_near(message, near_names(text, known)))
    method, arch = METHODS[name], _arch(backbone)
    if arch not in method.archs:
        built = arch or f'{backbone.get("type")} of another architecture'
        raise UserError(
            f'--init {name} knows checkpoints of {", ".join(method.archs)}, and the config builds '
            f'{built}: write {name}=CHECKPOINT'
        )
    file = method.file.format(name=name, arch=arch)
    return name, file if '/' in file else f'checkpoints/{file}'


def split_init(text):
    """Split ``--init TEXT`` into a name and a checkpoint, of which one may be None."""
    name, equals, path = text.partition('=')
    if equals and not path:
        raise UserError(f'--init {text!r} must have a checkpoint after =')
    if equals and name in METHODS:
        return name, path
    is_path = '/' in text or '.' in text or os.path.exists(text)
    return (None, text) if is_path else (text, None)


def set_init(cfg, text, load_from=None):
    """Initialize ``model.backbone`` of a config as ``--init TEXT`` says, see :func:`find_init`.

    The backbone takes the form that the weights need. A config with ``init_layer_decay=True`` takes
    the layer-wise decay of the method, too. ``load_from`` is that of the run.
    """
    backbone = own_backbone(cfg, load_from)
    name, path = find_init(text, backbone)
    earlier = _pretrained(backbone)
    if path is None:
        if earlier is not None:
            backbone.init_cfg = None
        if cfg.get('init_layer_decay'):
            cfg.optim_wrapper.paramwise_cfg.layer_decay_rate = 1.0
        return
    method, small = METHODS.get(name, Method()), _arch(backbone) == 'vit-small'
    if str(backbone.get('type')).removeprefix('mmlite.') == 'ViT':
        if method.backbone.get('rel_pos') and 'template_size' in cfg.model:
            raise UserError(
                f'--init {name} has relative position tables, which a tracker has no place for'
            )
        backbone.update(copy.deepcopy(method.backbone))
        if backbone.get('num_registers') and backbone.get('with_cls_token') is False:
            backbone.num_registers = 0  # windows and trackers take patches alone
        if small and method.small:
            backbone.arch = ConfigDict(method.small)
    reserved = {k: earlier[k] for k in ('reserve_blocks',) if k in (earlier or {})}
    backbone.init_cfg = ConfigDict(type='Pretrained', checkpoint=path, **reserved)
    if cfg.get('init_layer_decay'):
        cfg.optim_wrapper.paramwise_cfg.layer_decay_rate = 0.75 if small else method.layer_decay


def own_backbone(cfg, load_from=None):
    """``model.backbone`` of a config that ``--init`` can initialize, or a UserError."""
    backbone = (cfg.get('model') or {}).get('backbone')
    if backbone is None:
        raise UserError('--init needs model.backbone, which the config does not have')
    if load_from:
        raise UserError(
            f'--init would have no effect, as the config loads all weights from load_from='
            f'{load_from!r}: add --cfg-options load_from=None'
        )
    return backbone


def _arch(backbone):
    """Name of an architecture, e.g. ``'vit-tiny'``; None for others than the suite's."""
    kind, arch = str(backbone.get('type')).removeprefix('mmlite.'), backbone.get('arch', 'tiny')
    known = kind in ('ViT', 'Hiera', 'Swin') and isinstance(arch, str)
    return f'{kind.lower()}-{arch}' if known else None


def _pretrained(backbone):
    """The ``init_cfg`` of a backbone that loads a checkpoint; None if none does."""
    current = backbone.get('init_cfg') or []
    for item in [current] if isinstance(current, dict) else current:
        kind = item.get('type')
        if getattr(kind, '__name__', kind) in ('Pretrained', 'PretrainedInit'):
            return item
    return None
