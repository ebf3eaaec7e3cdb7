"""Plain vision transformers of timm with the taps of :class:`~.vit.ViT`."""

import timm
import torch
from mmengine.logging import print_log
from torch import nn

from mmlite.errors import ArgumentError, CheckpointError
from mmlite.registry import MODELS

from ..weights import summarise
from .timm_form import HEADS, check_same, create, form_of, reason_of, translate
from .vit import ViT


@MODELS.register_module()
class TimmViT(ViT):
    """A ViT whose architecture and weights come from timm, e.g. as teacher of a distillation.

    Takes DeiT, DINOv2 (with registers), DINOv3, EUPE, SigLIP 2, EVA-02 and others. Whether
    :class:`~.vit.ViT` computes the same is measured with random weights. Images may have any size,
    zero-padded to whole patches. Heads, attention pooling included, are left out.

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
        with_prefix (bool): Keep the class and register tokens of the timm model. False for windows
            and trackers. Defaults to True.
        **kwargs: ``out_indices``, ``drop_path_rate``, ``window_size``, ``global_blocks``,
            ``with_cp``, ``frozen_stages``, ``init_cfg`` and others of :class:`~.vit.ViT`.

    Raises:
        ArgumentError: timm does not know the name, or ViT cannot compute the model.
    """

    def __init__(
        self, model_name, pretrained=False, checkpoint_path=None, img_size=None,
        input_mean=(123.675, 116.28, 103.53), input_std=(58.395, 57.12, 57.375), timm_kwargs=None,
        out_type='raw', final_norm=None, with_prefix=True, **kwargs,
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
        check_size(model, model_name)
        check_same(model_name, timm_kwargs)
        norm = model.fc_norm if out_type == 'avg_featmap' else model.norm
        has_norm = isinstance(norm, nn.LayerNorm)
        if final_norm and not has_norm:
            raise ArgumentError(
                f"timm model '{model_name}' has no final norm for out_type '{out_type}': set "
                f'final_norm=False'
            )
        form = form_of(model)
        if not with_prefix:
            form.update(with_cls_token=False, num_registers=0)
        final_norm = out_type != 'featmap' and has_norm if final_norm is None else final_norm
        super().__init__(**form | dict(out_type=out_type, final_norm=final_norm) | kwargs)
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
                f"'{self.model_name}': {reason_of(error)}"
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
        unused = [key for key in model.state_dict() if key.startswith(self._outside())]
        print_log(
            f"weights of timm model '{self.model_name}': {len(state)} used, "
            f'{len(unused)} left over: {summarise(unused)}',
            logger='current',
        )

    def translate(self, state):
        """Weights of a timm model under the names of this one, without what it lacks."""
        state = translate(state, self.grid[0] * self.grid[1])
        return {key: value for key, value in state.items() if not key.startswith(self._outside())}

    def _outside(self):
        """Beginnings of the names of weights that have no place here."""
        names = {'norm', 'fc_norm'} - {self.norm_name}
        if isinstance(getattr(self, self.norm_name), nn.Identity):
            names.add(self.norm_name)
        tokens = [key for key in ('cls_token', 'reg_token') if getattr(self, key) is None]
        return (*HEADS, *(f'{name}.' for name in names), *tokens)


def check_size(model, name):
    """Raise an ArgumentError unless images and patches of a timm model are square and whole."""
    if not hasattr(model, 'patch_embed') or not hasattr(model.patch_embed, 'img_size'):
        return
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
