"""Distillation as a list: (student tap, teacher tap, adapter, loss, weight)."""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule, ModuleDict
from mmengine.utils import to_2tuple
from torch import nn

from mmlite.errors import ArgumentError
from mmlite.registry import MODELS
from mmlite.utils.names import check_known

from ..frozen_teacher import FrozenTeacher
from .distill_cache import FeatureCache
from .distill_losses import RelationalKLLoss

TOKENS = ('all', 'patches', 'cls')
#: Kinds of taps with an axis of heads, which are not tokens (B, N, C).
HEADS = ('q', 'k', 'v', 'attn_logits')


@MODELS.register_module()
class Distillation(FrozenTeacher, BaseModule):
    """Match intermediate features of a student to those of frozen teachers (MAE-Lite, 5.1).

    A teacher sees the same part of the same images, in evaluation mode and without gradient,
    stops after its last tap, and is not part of checkpoints.

    Args:
        teacher (dict): A :class:`~mmlite.models.backbones.timm_vit.TimmViT`, or another backbone
            with taps and an ``init_cfg`` of type ``'Pretrained'``. Or several of them by name.
        pairs (list[dict]): Each with

            - ``student``, ``teacher`` (str): Taps, see
              :func:`~mmlite.models.layers.taps.group_taps`.
            - ``of`` (str): Name of the teacher, where there are several.
            - ``tokens`` (str): ``'all'``, of which both must have the same number; ``'patches'``,
              where the student's map (B, C, h, w) is resized to the teacher's grid (bilinear) after
              the adapter; or ``'cls'``, the class token, or the mean of the tokens of a backbone
              without one. Defaults to ``'all'``.
            - ``adapter`` (dict | list[dict], optional): Modules from the student's tensor to the
              teacher's shape, in sequence. Channels are filled in.
            - ``target`` (dict, optional): Transform of the teacher's tensor, e.g. a
              :class:`~.distill_losses.Standardize`. Channels are filled in.
            - ``loss`` (dict): Defaults to the mean squared error over all elements (eqs. 5, 6).
            - ``weight`` (float): Of the loss in the sum. Defaults to 1.0.
            - ``name`` (str): Unique suffix of the loss's name. Defaults to ``'attn'`` for attention
              logits, ``'cls'`` for class tokens and ``'rep'`` otherwise, after the teacher's name.

        student (Backbone): Given by the model.
        teacher_size (int | tuple | dict, optional): Size (H, W) in pixels to which images are
            resized for the teacher (bilinear, antialiased), an integer for squares, or such sizes
            by name. Defaults to that of the images.
        cache (dict, optional): ``dir`` of a :class:`~.distill_cache.FeatureCache`, which keeps the
            teachers' features; for whole images and pipelines without random transforms.
    """

    def __init__(self, teacher, pairs, student, teacher_size=None, cache=None, init_cfg=None):
        super().__init__(init_cfg)
        if not pairs:
            raise ArgumentError('distill.pairs is empty: it requires at least one pair of taps')
        if 'type' in teacher:
            self.teacher = MODELS.build(teacher)
            self.teachers = {None: self.teacher}
        else:
            self.teacher = ModuleDict({name: MODELS.build(cfg) for name, cfg in teacher.items()})
            self.teachers = dict(self.teacher)
        self.freeze_teacher()
        sizes = teacher_size
        if not isinstance(sizes, dict):
            sizes = dict.fromkeys(self.teachers, teacher_size)
        for name in sizes:
            check_known('distill.teacher_size', name, self.teachers)
        self.sizes = {name: to_2tuple(size) for name, size in sizes.items() if size}
        self.pairs = nn.ModuleList(
            DistilledPair(student, self.teachers, index, **pair) for index, pair in enumerate(pairs)
        )
        names = [pair.name for pair in self.pairs]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ArgumentError(f"two pairs are called '{twice[0]}': set a different name=...")
        idle = self.teachers.keys() - {pair.of for pair in self.pairs}
        if idle:
            raise ArgumentError(f"no pair is of teacher '{min(idle)}': add one, or leave it out")
        self.student_patch = student.patch_size
        self.student_taps = {pair.student.tap for pair in self.pairs}
        self.cache = cache and FeatureCache(**cache, settings=repr((teacher, self.sizes)))

    def forward(self, images, embed, tapped, data_samples=None):
        """``loss_<name>`` of every pair, from the student's taps of normalized images (B, 3, H, W).

        ``embed`` holds the further arguments of the student's ``embed``; ``data_samples`` have the
        ``sample_idx`` of a cached image.
        """
        if self.cache:
            targets = self._cached(images, embed, data_samples)
        else:
            targets = self._targets(images, embed)
        size = None if embed else images.shape[-2:]
        return {f'loss_{pair.name}': pair(tapped, targets, size) for pair in self.pairs}

    @torch.no_grad()
    def _targets(self, images, embed):
        """Tensors of the teachers that the pairs read, by :attr:`DistilledPair.source`."""
        targets = {}
        for name, teacher in self.teachers.items():
            pairs = [pair for pair in self.pairs if pair.of == name]
            given = self._resize(images, self.sizes.get(name))
            cells = patch_grid(given, teacher.patch_size)
            own = patch_grid(images, self.student_patch)
            if embed and cells != own:
                raise ArgumentError(
                    f'under a mask, teacher and student have the same grid of patches, but the '
                    f"student's is {own[0]}x{own[1]} and the teacher's {cells[0]}x{cells[1]}: set "
                    f'distill.teacher_size'
                )
            tapped = read_taps(teacher, given, {pair.teacher.tap for pair in pairs}, embed)
            size = None if embed else given.shape[-2:]
            for pair in pairs:
                targets[pair.source] = pair.teacher(tapped, size)
        return targets

    def _cached(self, images, embed, data_samples):
        if embed:
            raise ArgumentError('a cache of features requires whole images, without a mask')
        if self.cache.samples is None:
            raise ArgumentError(
                'the cache of features does not know the number of samples: put '
                'mmlite.FrozenTeacherHook into custom_hooks'
            )
        ids = [sample.sample_idx for sample in data_samples]
        return self.cache.fetch(ids, images, lambda some: self._targets(some, {}), self.teacher)

    @staticmethod
    def _resize(images, size):
        """Images of another size; as the normalization is affine, as if they were raw."""
        if size is None or size == tuple(images.shape[-2:]):
            return images
        return F.interpolate(images, size, mode='bilinear', align_corners=False, antialias=True)


class DistilledPair(nn.Module):
    """One entry of :class:`Distillation`'s list."""

    def __init__(
        self, student_model, teachers, index, student, teacher, of=None, tokens='all',
        adapter=None, target=None, loss=None, weight=1.0, name=None,
    ):  # fmt: skip
        super().__init__()
        place = f'distill.pairs[{index}]'
        check_known(f'{place}.of', of, teachers)
        check_known(f'{place}.tokens', tokens, TOKENS)
        self.of = of
        self.student = Reading(student_model, student, tokens, f'{place}.student')
        self.teacher = Reading(teachers[of], teacher, tokens, f'{place}.teacher')
        parts = (of, teacher, tokens if tokens != 'all' else None)
        self.source = '/'.join(part for part in parts if part)
        length, target_length = self.student.length, self.teacher.length
        if tokens == 'all' and length != target_length:
            raise ArgumentError(
                f"{place}: the student has {length} tokens at '{student}' but the teacher has "
                f"{target_length} at '{teacher}': use the same token grid (image size, patch size, "
                f"class token, q_pool), or tokens='patches', which resizes it"
            )
        width, target_width = self.student.width, self.teacher.width
        self.adapter, channels = _build_adapter(adapter, width, target_width)
        self.target = target and MODELS.build(target, default_args=dict(channels=target_width))
        self.loss_module = MODELS.build(loss or dict(type='mmlite.MSELoss'))
        if channels != target_width and not isinstance(self.loss_module, RelationalKLLoss):
            kind = 'heads' if self.teacher.per_head else 'channels'
            after = 'after its adapter ' if adapter else ''
            raise ArgumentError(
                f"{place}: the student has {channels} {kind} {after}at '{student}' but the teacher "
                f"has {target_width} at '{teacher}': add an adapter that ends in {target_width}"
            )
        self.weight = weight
        kind = 'cls' if tokens == 'cls' else 'rep'
        kind = 'attn' if teacher.endswith('.attn_logits') else kind
        self.name = name or (f'{of}_{kind}' if of else kind)

    def forward(self, tapped, targets, size):
        """Weighted loss; ``size`` is (H, W) of the student's whole images, None under a mask."""
        given = self.student(tapped, size)
        target = targets[self.source]
        if self.student.tokens == 'patches' and size is not None:
            grid = given.shape[1:3]
            given = self.adapter(given.flatten(1, 2)).float()
            given = _resize_grid(given, grid, target.shape[1:3])
            target = target.flatten(1, 2)
        else:
            given = self.adapter(given)
        # half precision would lose the small differences that are left late in training
        given, target = given.float(), target.float()
        if self.target:
            target = self.target(target)
        return self.weight * self.loss_module(given, target)


class Reading:
    """Tokens of one tap of a backbone; the message of an unknown tap starts with ``place``."""

    def __init__(self, backbone, tap, tokens, place):
        try:
            backbone.group_taps([tap])
        except ArgumentError as error:
            raise ArgumentError(f'{place}: {error}') from error
        self.tap, self.tokens = tap, tokens
        self.width, self.length = backbone.tap_shape(tap)
        self.per_head = tap.endswith(tuple(f'.{kind}' for kind in HEADS))
        if self.per_head and tokens != 'all':
            raise ArgumentError(f"{place}: tap '{tap}' has heads: set tokens='all'")
        self.num_prefix = backbone.num_prefix_tokens
        self.to_map = backbone.tap_map

    def __call__(self, tapped, size):
        """Tokens (B, N, C), or a map (B, h, w, C) of the patches of whole images of ``size``."""
        tensor = tapped[self.tap]
        if self.tokens == 'all':
            return tensor
        if self.tokens == 'cls':
            return tensor[:, :1] if self.num_prefix else tensor.mean(dim=1, keepdim=True)
        return tensor[:, self.num_prefix :] if size is None else self.to_map(tensor, self.tap, size)


def read_taps(backbone, images, taps, embed=None):
    """Dict of the taps of normalized images (B, 3, H, W), by further arguments of ``embed``."""
    tokens = backbone.embed(images, **(embed or {}))
    context = backbone.context(images, **(embed or {}))
    return backbone.encode(tokens, taps, context, until_last_tap=True)[1]


def patch_grid(images, patch_size):
    """Grid (h, w) of the patches of images (B, C, H, W), which may be padded to whole ones."""
    return tuple(-(-side // patch_size) for side in images.shape[-2:])


def _resize_grid(tokens, grid, target):
    """Resize tokens (B, h * w, C) of a ``grid`` (h, w) to another one, bilinear."""
    if tuple(grid) == tuple(target):
        return tokens
    maps = tokens.transpose(1, 2).unflatten(2, grid)
    maps = F.interpolate(maps, tuple(target), mode='bilinear', align_corners=False)
    return maps.flatten(2).transpose(1, 2)


def _build_adapter(cfgs, channels, out_channels):
    """Adapter and its output channels."""
    cfgs = [cfgs] if isinstance(cfgs, dict) else list(cfgs or [])
    modules = []
    for cfg in cfgs:
        given = dict(in_channels=channels)
        if cfg is cfgs[-1]:
            given['out_channels'] = out_channels
        modules.append(MODELS.build(cfg, default_args=given))
        channels = modules[-1].out_channels
    return nn.Sequential(*modules), channels
