"""Plain vision transformers of timm with the taps of :class:`~.vit.ViT`."""

import re
from contextlib import contextmanager

import timm
import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from timm.layers import LayerScale
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from mmlite.errors import ArgumentError, CheckpointError
from mmlite.registry import MODELS
from mmlite.utils.names import near_names, with_near

from ..weights import summarise
from .vit import ViT

#: Modules that ViT leaves out, or has if the timm model has them: heads, final norms, LayerScale.
COPIED = re.compile(r'norm|fc_norm|(head|attn_pool).*|blocks\.\d+\.ls[12]')


@MODELS.register_module()
class TimmViT(ViT):
    """A ViT whose architecture and weights come from timm, e.g. as teacher of a distillation.

    Weights are loaded by ``init_weights()``. Another image normalization of the timm model is
    folded into the patch projection, which is exact.

    Args:
        model_name (str): Name of a timm model, e.g. ``'vit_base_patch16_224.augreg_in21k'``.
        pretrained (bool): Load timm's weights of that name, from its cache or over the network.
            Defaults to False.
        checkpoint_path (str, optional): Load this file of timm's layout instead.
        img_size (int, optional): Image size in pixels. Defaults to the timm model's.
        input_mean, input_std (Sequence[float]): Normalization of the input images, in 0 to 255.
            Default to ImageNet's.
        timm_kwargs (dict, optional): Further arguments of ``timm.create_model``. With
            ``checkpoint_path``, ``pretrained_cfg_overlay=dict(mean=..., std=...)`` sets the
            normalization, in 0 to 1, of the images it was trained on.
        out_type (str): As in :class:`~.vit.ViT`. Defaults to ``'raw'``.
        final_norm (bool, optional): As in :class:`~.vit.ViT`. Defaults to whether the timm model
            has a norm at that point: after pooling (``'avg_featmap'``) or before.
        **kwargs: ``out_indices``, ``drop_path_rate``, ``with_cp``, ``frozen_stages`` and
            ``init_cfg`` of :class:`~.vit.ViT`.

    Raises:
        ArgumentError: timm does not know the name, or ViT cannot compute the model.
    """

    def __init__(
        self, model_name, pretrained=False, checkpoint_path=None, img_size=None,
        input_mean=(123.675, 116.28, 103.53), input_std=(58.395, 57.12, 57.375), timm_kwargs=None,
        out_type='raw', final_norm=None, **kwargs,
    ):  # fmt: skip
        if bool(pretrained) + bool(checkpoint_path) + bool(kwargs.get('init_cfg')) > 1:
            raise ArgumentError('pretrained, checkpoint_path and init_cfg exclude one another')
        if max(input_std) <= 1:
            raise ArgumentError(
                f'input_std {tuple(input_std)} is for pixels in 0 to 1: give input_mean and '
                f'input_std in 0 to 255, as in the data pre-processor'
            )
        timm_kwargs = dict(timm_kwargs or {}, img_size=img_size)
        with torch.device('meta'):
            model = create(model_name, **timm_kwargs)
        check_plain(model, model_name)
        norm = model.fc_norm if out_type == 'avg_featmap' else model.norm
        has_norm = isinstance(norm, nn.LayerNorm)
        if final_norm and not has_norm:
            raise ArgumentError(
                f"timm model '{model_name}' has no final norm for out_type '{out_type}': set "
                f'final_norm=False'
            )
        block = model.blocks[0]
        scale = isinstance(block.ls1, LayerScale)
        super().__init__(
            arch=dict(
                embed_dims=model.embed_dim,
                num_layers=len(model.blocks),
                num_heads=block.attn.num_heads,
                mlp_ratio=_mlp_ratio(model.embed_dim, block.mlp.fc1.out_features),
            ),
            img_size=model.patch_embed.img_size[0],
            patch_size=model.patch_embed.patch_size[0],
            in_channels=model.patch_embed.proj.in_channels,
            out_type=out_type,
            final_norm=out_type != 'featmap' and has_norm if final_norm is None else final_norm,
            with_cls_token=model.has_class_token,
            qkv_bias=block.attn.qkv.bias is not None,
            layer_scale_init_value=getattr(block.ls1, 'init_values', 1e-5) if scale else None,
            **kwargs,
        )
        self.model_name = model_name
        self.timm_kwargs = timm_kwargs
        self.pretrained = pretrained
        self.checkpoint_path = checkpoint_path
        self.input_mean, self.input_std = input_mean, input_std
        differing = set(self.state_dict()) ^ set(self.translate(model.state_dict()))
        if differing:
            raise ArgumentError(
                f"timm model '{model_name}' and mmlite.ViT do not both have '{min(differing)}'"
            )

    def init_weights(self):
        if self._is_init:
            return
        super().init_weights()
        if not (self.pretrained or self.checkpoint_path):
            return
        file = self.checkpoint_path
        try:
            model = timm.create_model(
                self.model_name, self.pretrained, checkpoint_path=file, **self.timm_kwargs
            )
        except Exception as error:  # of the network, of the file's reader or of its contents
            raise CheckpointError(
                f'{file or "the pre-trained weights"} cannot be loaded into timm model '
                f"'{self.model_name}': {_reason(error)}"
            ) from error
        self.load_timm(model)

    @torch.no_grad()
    def load_timm(self, model):
        """Load the weights of a timm model, whose ``pretrained_cfg`` holds its mean and std."""
        state = self.translate(model.state_dict())
        given = [torch.tensor(v, dtype=torch.double) for v in (self.input_mean, self.input_std)]
        cfg = model.pretrained_cfg
        expected = [255 * torch.tensor(cfg[key], dtype=torch.double) for key in ('mean', 'std')]
        weight, bias = (f'patch_embed.proj.{kind}' for kind in ('weight', 'bias'))
        folded = fold_normalization(state[weight], state[bias], given, expected)
        state[weight], state[bias] = folded
        self.load_state_dict(state)
        unused = [key for key in model.state_dict() if key not in state]
        print_log(
            f"weights of timm model '{self.model_name}': {len(state)} used, "
            f'{len(unused)} left over: {summarise(unused)}',
            logger='current',
        )

    def translate(self, state):
        """Weights of a timm model without its head, and with a row of positions for each token."""
        other = 'norm.' if self.norm_name == 'fc_norm' else 'fc_norm.'
        outside = ['head.', 'attn_pool.', other]
        if isinstance(getattr(self, self.norm_name), nn.Identity):
            outside.append(f'{self.norm_name}.')
        state = {k: v for k, v in state.items() if not k.startswith(tuple(outside))}
        if state['pos_embed'].shape[1] == self.grid[0] * self.grid[1]:  # DeiT III
            state['pos_embed'] = F.pad(state['pos_embed'], (0, 0, 1, 0))
        return state


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
        reason = f'{_reason(error)} (given {given})' if given else _reason(error)
        message = f'timm cannot build model_name {model_name!r}: {reason}'
        raise ArgumentError(with_near(message, near)) from error


def check_plain(model, name):
    """Raise an ArgumentError if :class:`~.vit.ViT` cannot compute what ``model`` computes."""
    feature = next(_foreign_features(model), None)
    if feature:
        raise ArgumentError(
            f"timm model '{name}' has {feature}, which TimmViT does not support: choose a plain "
            f"ViT such as 'vit_base_patch16_224', or, as a backbone without taps, "
            f"type='mmpretrain.TIMMBackbone'"
        )
    (height, width), (patch, across) = model.patch_embed.img_size, model.patch_embed.patch_size
    if patch != across or height != width:
        raise ArgumentError(
            f"timm model '{name}' has images of {height}x{width} and patches of {patch}x{across} "
            f'pixels: both must be square'
        )
    if height % patch:
        lower = height // patch * patch
        raise ArgumentError(
            f"timm model '{name}': {height} is not a multiple of patch_size {patch}: use "
            f'img_size={lower + patch}{f" or {lower}" if lower else ""}'
        )


def _foreign_features(model):
    """Modules and tokens of ``model`` that timm's default ViT does not have."""
    with torch.device('meta'):
        plain = VisionTransformer(img_size=16, embed_dim=8, depth=1, num_heads=1)
    expected = {key: _kind(module) for key, module in plain.named_modules()}
    for key, module in model.named_modules():
        wanted = expected.get(re.sub(r'^blocks\.\d+', 'blocks.0', key), 'nothing')
        if _kind(module) != wanted and not COPIED.fullmatch(key):
            yield f'{_kind(module)} instead of {wanted} as {key or "its class"}'
    for key, _ in model.named_parameters(recurse=False):
        if key not in ('cls_token', 'pos_embed'):
            yield f"the parameter '{key}'"
    if model.pos_embed is None:
        yield 'no table of absolute positions'


def _kind(module):
    """Class of a module, with the settings that change its output but not its weights."""
    settings = [
        f'{key}={getattr(module, key)}'
        for key in ('eps', 'p', 'approximate')
        if getattr(module, key, 'none') != 'none'
    ]
    return f'{type(module).__name__}({", ".join(settings)})' if settings else type(module).__name__


def fold_normalization(weight, bias, given, expected):
    """Adapt a patch projection, weight (D, C, h, w) and bias (D,), to another image normalization.

    For pixels p, images are ``given`` as x = (p - m) / s but ``expected`` as x' = (p - m') / s',
    pairs of float64 (C,): x' = x s / s' + (m - m') / s'.
    """
    scale = given[1] / expected[1]
    shift = (given[0] - expected[0]) / expected[1]
    exact = weight.double()
    folded = bias.double() + torch.einsum('dchw,c->d', exact, shift)
    return (exact * scale[:, None, None]).to(weight.dtype), folded.to(bias.dtype)


def _mlp_ratio(dim, hidden):
    """Ratio with ``int(dim * ratio) == hidden``, which ``hidden / dim`` may miss by rounding."""
    ratio = hidden / dim
    return ratio if int(dim * ratio) == hidden else (hidden + 0.5) / dim


def _reason(error):
    """First line of an error's text."""
    return str(error).strip().split('\n')[0] or type(error).__name__
