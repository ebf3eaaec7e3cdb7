"""Base class of the backbones: encoding with taps, layer depths, loading."""

import torch
from mmengine.model import BaseModule
from torch import nn
from torch.utils.checkpoint import checkpoint

from mmlite.errors import ArgumentError

from ..layers import BLOCK_TAPS, PositionCache, group_taps
from ..weights import load_pretrained


class Backbone(BaseModule):
    """Base of :class:`~.vit.ViT`, :class:`~.hiera.Hiera` and :class:`~.swin.Swin`.

    A subclass has ``blocks``, called ``block(tokens, context, want, only_taps) -> (tokens, taps)``,
    and

    - ``embed(images)``: images (B, 3, H, W) to tokens (B, N, C);
    - ``tap_shape(tap)``: channels, or heads of ``q``, ``k``, ``v`` and ``attn_logits``, and number
      of tokens of a tap of whole images;
    - ``tap_map(tokens, tap, image_size)``: the patch tokens (B, N, C) of a tap as a map
      (B, h, w, C) of whole images of ``image_size`` (H, W) pixels;
    - ``reset_parameters()``: initialization without a checkpoint;
    - ``describe()``: the architecture in plain types, recorded in checkpoints;
    - ``fit_to_size(name, given, current)``: the tensor ``given`` of a checkpoint resampled to the
      size of ``current``, or None if something else differs.

    Args:
        with_cp (bool): Recompute every block in the backward pass to save memory.
        frozen_stages (int): Freeze the embedding (0) and that many leading blocks; -1 freezes none.
        init_cfg (dict | list[dict], optional): ``'Pretrained'`` loads weights of any image size
            (:func:`~mmlite.models.weights.load_pretrained`); other types go to mmengine.
    """

    #: Parameters and modules of layer 0 in layer-wise learning-rate decay.
    embedding_names = ('cls_token', 'reg_token', 'pos_embed', 'patch_embed')
    #: Tokens before those of the patches.
    num_prefix_tokens = 0
    #: Attribute of the norm after the last block.
    norm_name = 'norm'
    #: Patterns of keys that a checkpoint of another task or recipe may lack.
    optional_keys = ()
    #: Kinds of taps of a block besides its output.
    tap_kinds = BLOCK_TAPS

    def __init__(self, with_cp=False, frozen_stages=-1, init_cfg=None):
        cfgs = [init_cfg] if isinstance(init_cfg, dict) else list(init_cfg or [])
        super().__init__([c for c in cfgs if c['type'] != 'Pretrained'] or None)
        self.pretrained_cfgs = [c for c in cfgs if c['type'] == 'Pretrained']
        self.with_cp = with_cp
        self.frozen_stages = frozen_stages
        self.positions = PositionCache()
        self._register_load_state_dict_pre_hook(self._fit_state_dict)

    def encode(self, tokens, taps=(), context=None, until_last_tap=False, prune=None):
        """Run the blocks on tokens (B, N, C) from :meth:`embed`, or a subset or union of such.

        Args:
            taps (Iterable[str]): Tensors to return, see
                :func:`~mmlite.models.layers.taps.group_taps`. Only tapped blocks compute logits.
            context: Token grid (H, W) for a :class:`~.vit.ViT` with windows, relative or rotary
                positions; or, with rotary ones, :class:`~mmlite.models.layers.Places`, of which
                ``prune`` may set ``keep``. :meth:`context` gives it.
            until_last_tap (bool): Stop at the last tap. Defaults to False.
            prune (dict[int, Callable], optional): ``prune[I](tokens, q, k) -> tokens`` drops or
                merges tokens between attention and MLP of block I. Not for :class:`~.hiera.Hiera`.

        Returns tokens of the last block, None if it stopped inside that, and a dict of the taps.
        """
        by_block = self.group_taps(taps)
        final = getattr(self, self.norm_name)
        normed = {tap: max(self.group_taps([tap])) for tap in taps if tap.startswith('norm')}
        if normed and isinstance(final, nn.Identity):
            raise ArgumentError(
                f"tap '{min(normed)}': the backbone has no final norm, set final_norm=True"
            )
        stop = max(by_block) if until_last_tap and by_block else None
        prune = prune or {}
        tapped = {}
        for index, block in enumerate(self.blocks):
            want = by_block.get(index, ())
            only_taps = index == stop and not {'', 'merged'} & set(want)
            grid, options = self.block_inputs(context, block)
            if self.with_cp and self.training and not want and index not in prune:
                tokens, _ = checkpoint(block, tokens, grid, use_reentrant=False, **options)
            else:
                options |= {'prune': prune[index]} if index in prune else {}
                tokens, found = block(tokens, grid, want, only_taps, **options)
                for kind, tensor in found.items():
                    tapped[f'blocks.{index}.{kind}'.rstrip('.')] = tensor
            if index == stop:
                break
        for tap, index in normed.items():
            tapped[tap] = final(tapped[f'blocks.{index}'])
        return tokens, tapped

    def context(self, images, **embed):
        """Argument ``context`` of :meth:`encode` for tokens of ``embed(images, **embed)``."""
        return tuple(-(-side // self.patch_size) for side in images.shape[-2:])

    def block_inputs(self, context, block):
        """Grid and further keyword arguments of a block, from the context of :meth:`encode`."""
        return context, {}

    def group_taps(self, taps):
        """Kinds of ``taps`` by block, see :func:`~mmlite.models.layers.taps.group_taps`."""
        return group_taps(taps, len(self.blocks), self.tap_kinds)

    def resolve_indices(self, indices, count):
        """Convert block or stage indices to 0 ... ``count`` - 1: ``-1`` is the last."""
        indices = [indices] if isinstance(indices, int) else list(indices)
        for index in indices:
            if not -count <= index < count:
                raise ArgumentError(
                    f'out_indices {index} does not exist: {type(self).__name__} has {count} '
                    f'outputs, use 0 to {count - 1} or -{count} to -1'
                )
        return tuple(index % count for index in indices)

    def get_layer_depth(self, param_name, prefix=''):
        """Layer of a parameter for layer-wise learning-rate decay, and their number (mmpretrain).

        The embedding is 0, block i (from 0) i + 1, all else the last. ``prefix`` is the backbone's
        name in the model, e.g. ``'backbone.'``.
        """
        layer, count = len(self.blocks) + 1, len(self.blocks) + 2
        name = param_name.removeprefix(prefix) if param_name.startswith(prefix) else ''
        if name.startswith(self.embedding_names):
            layer = 0
        elif name.startswith('blocks.'):
            layer = int(name.split('.')[1]) + 1
        return layer, count

    def no_weight_decay(self):
        """Names exempt from weight decay in fine-tuning besides biases and norms."""
        tokens = ('cls_token', 'reg_token')
        return {n for n, _ in self.named_parameters() if 'pos_embed' in n or n in tokens}

    def init_weights(self):
        """Initialize by the scheme of the class, then load ``Pretrained`` weights."""
        if self._is_init:
            return
        self.reset_parameters()
        super().init_weights()
        for cfg in self.pretrained_cfgs:
            load_pretrained(self, **{k: v for k, v in cfg.items() if k != 'type'})
        self._is_init = True

    def freeze(self):
        """Apply ``frozen_stages``."""
        for name, parameter in self.named_parameters():
            if self.get_layer_depth(name)[0] <= self.frozen_stages:
                parameter.requires_grad_(False)

    def train(self, mode=True):
        """Switch mode and forget resampled positions, whose source may change unnoticed."""
        self.positions.clear()
        return super().train(mode)

    @torch.no_grad()
    def _fit_state_dict(self, state_dict, prefix, *_):
        """Resample tensors of another image size before PyTorch compares shapes."""
        self.positions.clear()
        for name, tensor in self.state_dict().items():
            given = state_dict.get(prefix + name)
            if given is not None and given.shape != tensor.shape:
                fitted = self.fit_to_size(name, given, tensor)
                if fitted is not None:
                    state_dict[prefix + name] = fitted
