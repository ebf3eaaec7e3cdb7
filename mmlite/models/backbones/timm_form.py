"""Form and keys of timm's classes ``VisionTransformer`` and ``Eva`` as a :class:`~.vit.ViT`."""

from contextlib import contextmanager

import timm
import torch
import torch.nn.functional as F
from timm.layers import GELUTanh, GluMlp, RotaryEmbeddingCat, RotaryEmbeddingDinoV3, SwiGLU
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from mmlite.errors import ArgumentError
from mmlite.utils.names import near_names, with_near

from .vit import ViT

HEADS = ('head.', 'head_drop', 'attn_pool.')
PROBE_SIDE = 4  # patches


def form_of(model):
    """Arguments of the :class:`~.vit.ViT` that computes what a timm model computes, if one does.

    :func:`check_same` tells whether it does.
    """
    block, names = model.blocks[0], {name for name, _ in model.named_parameters()}
    attn, mlp = block.attn, block.mlp
    registers = getattr(model, 'reg_token', None)
    qkv_bias = 'blocks.0.attn.qkv.bias' in names
    if {'blocks.0.attn.q_bias', 'blocks.0.attn.q_proj.bias'} & names:
        qkv_bias = 'qv'
    tanh = isinstance(mlp.act, GELUTanh) or getattr(mlp.act, 'approximate', '') == 'tanh'
    gated = isinstance(mlp, SwiGLU | GluMlp)
    scaled = {'blocks.0.ls1.gamma', 'blocks.0.gamma_1'} & names
    owner = getattr(block, 'ls1', block)
    return dict(
        arch=dict(
            embed_dims=model.embed_dim,
            num_layers=len(model.blocks),
            num_heads=attn.num_heads,
            mlp_ratio=_mlp_ratio(model.embed_dim, mlp.fc2.in_features),
        ),
        img_size=model.patch_embed.img_size[0],
        patch_size=model.patch_embed.patch_size[0],
        in_channels=model.patch_embed.proj.in_channels,
        with_cls_token=model.cls_token is not None,
        num_registers=0 if registers is None else registers.shape[1],
        qkv_bias=qkv_bias,
        pos_embed='none' if model.pos_embed is None else 'learned',
        pos_antialias=True,
        rope=_rope(getattr(model, 'rope', None)),
        layer_scale_init_value=owner.init_values if scaled else None,
        norm_eps=block.norm1.eps,
        mlp='swiglu' if gated else 'gelu_tanh' if tanh else 'gelu',
        mlp_norm=isinstance(mlp.norm, nn.LayerNorm),
    )


def _rope(rope):
    if rope is None:
        return None
    augment = {
        key: getattr(rope, f'{key}_coords')
        for key in ('rescale', 'jitter', 'shift')
        if getattr(rope, f'{key}_coords', None)
    }
    if isinstance(rope, RotaryEmbeddingDinoV3):
        return dict(temperature=rope.temperature or 100.0, **augment)
    if isinstance(rope, RotaryEmbeddingCat) and rope.ref_feat_shape:
        return dict(temperature=rope.temperature, reference=rope.ref_feat_shape[0], **augment)
    return {}  # another kind, with other outputs


def _mlp_ratio(dim, hidden):
    """Ratio with ``int(dim * ratio) == hidden``, which ``hidden / dim`` may miss by rounding."""
    ratio = hidden / dim
    return ratio if int(dim * ratio) == hidden else (hidden + 0.5) / dim


def translate(state, cells):
    """Weights of a timm model, without its heads, under the names of a :class:`~.vit.ViT`.

    ``cells`` is the number of patches of its table of positions, which gets one row for the class
    token; rows of registers are added to these.
    """
    renamed = (('.gamma_1', '.ls1.gamma'), ('.gamma_2', '.ls2.gamma'))
    state = {k: v for k, v in state.items() if not k.startswith(HEADS)}
    for old, new in renamed:
        state = {k.replace(old, new): v for k, v in state.items()}
    for name in [n for n in state if n.endswith('.proj.weight') and n.startswith('blocks.')]:
        _fuse_projection(state, name.removesuffix('proj.weight'))
    for name in [n for n in state if n.endswith('.mlp.fc1.weight')]:
        _split_gate(state, name.removesuffix('fc1.weight'))
    _place_rows(state, cells)
    return state


def _fuse_projection(state, prefix):
    """Put projections and biases of queries, keys and values under ``qkv``."""
    if prefix + 'q_proj.weight' in state:
        parts = [state.pop(f'{prefix}{part}_proj.weight') for part in 'qkv']
        state[prefix + 'qkv.weight'] = torch.cat(parts)
    for q, v in (('q_bias', 'v_bias'), ('q_proj.bias', 'v_proj.bias')):
        if prefix + q in state:
            q, v = state.pop(prefix + q), state.pop(prefix + v)
            state[prefix + 'qkv.bias'] = torch.cat([q, torch.zeros_like(q), v])


def _split_gate(state, prefix):
    """Split the packed input layer of a SwiGLU."""
    if state[prefix + 'fc1.weight'].shape[0] != 2 * state[prefix + 'fc2.weight'].shape[1]:
        return
    for kind in ('weight', 'bias'):
        if prefix + f'fc1.{kind}' in state:
            gate, value = state.pop(prefix + f'fc1.{kind}').chunk(2)
            state |= {prefix + f'fc1_g.{kind}': gate, prefix + f'fc1_x.{kind}': value}


def _place_rows(state, cells):
    """Give the table of positions a row for the class token and one for each cell."""
    dim = state['patch_embed.proj.weight'].shape[0]
    table = state.pop('pos_embed', None)
    if table is None:
        table = state['patch_embed.proj.weight'].new_zeros(1, cells, dim)
    extra = table.shape[1] - cells
    first, table = table[:, :extra], table[:, extra:]
    row = first[:, : int('cls_token' in state)]
    first = first[:, row.shape[1] :]
    if first.shape[1]:  # of registers
        state['reg_token'] = state['reg_token'] + first
    state['pos_embed'] = torch.cat([row, table], 1) if row.shape[1] else F.pad(table, (0, 0, 1, 0))


def check_same(name, kwargs):
    """Raise an ArgumentError unless a ViT computes the same as a timm model of these arguments.

    Compares the tokens of one block with random weights in double precision, once by name and
    arguments.
    """
    difference = _difference(name, tuple(sorted((k, repr(v)) for k, v in kwargs.items())), kwargs)
    if difference:
        raise ArgumentError(
            f"timm model '{name}' {difference}, which TimmViT does not support: choose a plain ViT "
            f"such as 'vit_base_patch16_224', or, as a backbone without taps, "
            f"type='mmpretrain.TIMMBackbone'"
        )


_KNOWN = {}


def _difference(name, key, kwargs):
    if (name, key) not in _KNOWN:
        with torch.device('cpu'), torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)
            _KNOWN[name, key] = _compare(name, kwargs)
    return _KNOWN[name, key]


def _compare(name, kwargs):
    """First difference between a timm model and the ViT of its form, or None."""
    with torch.device('meta'):
        model = create(name, **kwargs)
    if not isinstance(model, VisionTransformer | Eva):
        return f'is a {type(model).__name__}'
    for key, module in model.named_modules():
        rate = next(
            (getattr(module, k) for k in ('p', 'drop_prob', 'prob') if hasattr(module, k)), 0
        )
        if rate and not key.startswith(HEADS):
            return f'has {type(module).__name__} of rate {rate} as {key}'
    try:
        side = PROBE_SIDE * model.patch_embed.patch_size[0]
        model = create(name, **kwargs | dict(img_size=side, depth=1)).double().eval()
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.2)
        form = form_of(model)
        normed = isinstance(model.norm, nn.LayerNorm)
        vit = ViT(**form, out_type='raw', final_norm=normed).double().eval()
        state = translate(model.state_dict(), PROBE_SIDE**2)
    except (AttributeError, KeyError, TypeError, ArgumentError) as error:
        return f'is of another kind ({type(model).__name__}, {reason_of(error)})'
    state = {key: value for key, value in state.items() if not key.startswith('fc_norm.')}
    differing = set(vit.state_dict()) ^ set(state)
    if differing:
        return f"has no or another '{min(differing)}'"
    vit.load_state_dict(state)
    images = torch.randn(1, form['in_channels'], side, side, dtype=torch.double)
    ours, theirs = vit(images)[0], model.forward_features(images)
    if ours.shape != theirs.shape or not torch.allclose(ours, theirs, rtol=1e-5, atol=1e-5):
        return f'({type(model).__name__}) computes something else than mmlite.ViT'
    return None


def create(model_name, **kwargs):
    """Call ``timm.create_model`` without weights; an ArgumentError names similar models."""
    with refusals(model_name, kwargs):
        return timm.create_model(model_name, **kwargs)


@contextmanager
def refusals(model_name, kwargs):
    """Turn whatever timm raises while it builds a model into an ArgumentError."""
    try:
        yield
    except Exception as error:  # assertions and type errors of any depth
        names = [*timm.list_models(), *timm.list_models(pretrained=True)]
        near = [] if model_name in names else near_names(str(model_name), names)
        given = ', '.join(f'{key}={value!r}' for key, value in kwargs.items() if value is not None)
        reason = f'{reason_of(error)} (given {given})' if given else reason_of(error)
        message = f'timm cannot build model_name {model_name!r}: {reason}'
        raise ArgumentError(with_near(message, near)) from error


def reason_of(error):
    """First line of an error's text."""
    return str(error).strip().split('\n')[0] or type(error).__name__
