"""EoMT: a plain ViT whose last blocks read queries, without a decoder (arXiv 2503.19108)."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmdet.models import MaskFormer
from mmdet.models.dense_heads import Mask2FormerHead
from mmdet.models.dense_heads.anchor_free_head import AnchorFreeHead
from mmdet.registry import TASK_UTILS
from mmseg.models import EncoderDecoder
from mmseg.models.decode_heads import Mask2FormerHead as SegMask2FormerHead
from torch import nn

from mmlite.errors import ArgumentError
from mmlite.registry import MODELS

from .backbones import ViT
from .layers import Attention, LN2d


class Predictions(NamedTuple):
    """Predictions of the queries: in training, in front of each query block and after the last.

    ``classes`` are logits (B, Q, classes + 1), the last of no object, ``masks`` logits
    (B, Q, h, w), and ``image_size`` (H, W) that of the images in pixels.
    """

    classes: list
    masks: list
    image_size: tuple


class ScaleBlock(nn.Sequential):
    """Double the size of a map (B, C, h, w)."""

    def __init__(self, dim):
        super().__init__(
            nn.ConvTranspose2d(dim, dim, 2, stride=2),
            nn.GELU(),
            nn.Conv2d(dim, dim, 3, padding=1, groups=dim, bias=False),
            LN2d(dim),
        )


@MODELS.register_module()
class EoMTHead(Mask2FormerHead):
    """Head of EoMT (Kerssies et al., "Your ViT is secretly an image segmentation model", CVPR 2025)
    for instance and panoptic segmentation, with Mask2Former's matching and losses of mmdet.

    Queries enter in front of the last blocks of the backbone. While a block is not annealed, a
    query attends to the patches inside its own predicted mask only
    (:class:`~mmlite.engine.hooks.MaskAnnealingHook`). After annealing, nothing but one prediction
    follows the ViT.

    Args:
        in_channels (int): Width of the backbone. Defaults to 192.
        patch_size (int): Of the backbone. Masks have stride ``patch_size`` / 4 for 16 pixels, and
            / 2 for 14 and 8. Defaults to 16.
        num_things_classes, num_stuff_classes (int): Default to 80 and 53.
        num_queries (int): Defaults to 200, the paper's for instances and panoptics.
        num_blocks (int): Last blocks that read queries. Defaults to 3.
        no_object_weight (float): Weight of queries without an object in ``loss_cls``. Defaults to
            0.1.
        loss_cls, loss_mask, loss_dice, train_cfg, test_cfg, init_cfg: As in mmdet's
            ``Mask2FormerHead``.
    """

    def __init__(
        self, loss_cls, loss_mask, loss_dice, in_channels=192, patch_size=16,
        num_things_classes=80, num_stuff_classes=53, num_queries=200, num_blocks=3,
        no_object_weight=0.1, train_cfg=None, test_cfg=None, init_cfg=None,
    ):  # fmt: skip
        super(AnchorFreeHead, self).__init__(init_cfg=init_cfg)
        self.num_things_classes, self.num_stuff_classes = num_things_classes, num_stuff_classes
        self.num_classes = num_things_classes + num_stuff_classes
        self.in_channels, self.patch_size = in_channels, patch_size
        self.num_queries, self.num_blocks = num_queries, num_blocks
        self.train_cfg, self.test_cfg = train_cfg, test_cfg
        if train_cfg:
            self.assigner = TASK_UTILS.build(train_cfg['assigner'])
            self.sampler = TASK_UTILS.build(train_cfg['sampler'], default_args=dict(context=self))
            for key, value in dict(
                num_points=12544, oversample_ratio=3.0, importance_sample_ratio=0.75
            ).items():
                setattr(self, key, train_cfg.get(key, value))
        self.class_weight = [1.0] * self.num_classes + [no_object_weight]
        self.loss_cls = MODELS.build(dict(loss_cls, class_weight=self.class_weight))
        self.loss_mask = MODELS.build(loss_mask)
        self.loss_dice = MODELS.build(loss_dice)

        self.query_embed = nn.Embedding(num_queries, in_channels)
        self.cls_embed = nn.Linear(in_channels, self.num_classes + 1)
        self.mask_embed = nn.Sequential(
            nn.Linear(in_channels, in_channels), nn.GELU(),
            nn.Linear(in_channels, in_channels), nn.GELU(),
            nn.Linear(in_channels, in_channels),
        )  # fmt: skip
        doublings = max(1, patch_size.bit_length() - 3)
        self.stride = patch_size / 2**doublings
        self.upscale = nn.Sequential(*(ScaleBlock(in_channels) for _ in range(doublings)))
        #: Probability that a query block masks the attention of a query; 0 after annealing.
        self.register_buffer('mask_share', torch.ones(num_blocks))

    def init_weights(self):
        """Keep PyTorch's initialization, as the official code does."""
        super(AnchorFreeHead, self).init_weights()

    def check(self, backbone):
        """Raise an ArgumentError if queries cannot enter ``backbone``."""
        if not isinstance(backbone, ViT):
            raise ArgumentError(f'EoMT requires a mmlite.ViT, not {type(backbone).__name__}')
        own, its = (self.in_channels, self.patch_size), (backbone.embed_dims, backbone.patch_size)
        if own != its:
            raise ArgumentError(
                f'EoMTHead has in_channels {own[0]} and patch_size {own[1]}, but the backbone '
                f'{its[0]} and {its[1]}: use those of the backbone'
            )
        if not 0 < self.num_blocks <= len(backbone.blocks):
            raise ArgumentError(
                f'num_blocks {self.num_blocks} must be from 1 to {len(backbone.blocks)}'
            )
        for block in backbone.blocks[-self.num_blocks :]:
            if type(block.attn) is not Attention or block.window_size:
                raise ArgumentError(
                    'queries have no place in windows or relative positions: set rel_pos=None and '
                    f'window_size=0, or global_blocks for the last {self.num_blocks} blocks'
                )
        if isinstance(backbone.norm, nn.Identity):
            raise ArgumentError('EoMT predicts from normalized tokens: set final_norm=True')

    def encode(self, backbone, images):
        """Run ``backbone`` with queries on normalized images (B, 3, H, W): :class:`Predictions`."""
        first = len(backbone.blocks) - self.num_blocks
        tokens, grid = backbone.embed(images), backbone.context(images)
        if first:
            tap = f'blocks.{first - 1}'
            tokens = backbone.encode(tokens, [tap], grid, until_last_tap=True)[1][tap]
        queries = self.query_embed.weight.to(tokens.dtype).expand(len(tokens), -1, -1)
        tokens = torch.cat([queries, tokens], dim=1)
        shares = [None] * self.num_blocks if self.training else self.mask_share.tolist()
        found = []
        for index, block in enumerate(backbone.blocks[first:]):
            mask = None
            if self.training or shares[index]:
                found.append(self.predict_masks(backbone.norm(tokens), grid, images.shape[-2:]))
                mask = self.attention_mask(found[-1][1], grid, tokens.shape[1], index)
            where, options = backbone.block_inputs(grid, block)
            tokens, _ = block(tokens, where, mask=mask, **options)
        found.append(self.predict_masks(backbone.norm(tokens), grid, images.shape[-2:]))
        classes, masks = zip(*found, strict=True)
        return Predictions(classes, masks, tuple(images.shape[-2:]))

    def predict_masks(self, tokens, grid, image_size):
        """Class logits (B, Q, classes + 1) and mask logits (B, Q, h, w) of normalized tokens."""
        queries, patches = tokens[:, : self.num_queries], tokens[:, -grid[0] * grid[1] :]
        maps = self.upscale(patches.transpose(1, 2).unflatten(2, grid))
        h, w = (-int(-side // self.stride) for side in image_size)  # without padding
        masks = torch.einsum('bqc,bchw->bqhw', self.mask_embed(queries), maps[..., :h, :w])
        return self.cls_embed(queries), masks

    @torch.no_grad()
    def attention_mask(self, masks, grid, num_tokens, index):
        """Bool (B, 1, N, N), True where a token may attend, of mask logits (B, Q, h, w).

        All may attend to all, but queries not to patches outside their mask. In training, a query
        sees all patches with the probability 1 - ``mask_share``.
        """
        full = [int(round(side * self.patch_size / self.stride)) for side in grid]
        pad = (0, full[1] - masks.shape[3], 0, full[0] - masks.shape[2])
        masks = F.interpolate(F.pad(masks.float(), pad), grid, mode='bilinear')
        inside = masks.flatten(2) > 0
        if self.training:
            draw = torch.rand(*inside.shape[:2], 1, device=inside.device)
            inside = inside | (draw >= self.mask_share[index])
        mask = inside.new_ones(len(inside), 1, num_tokens, num_tokens)
        mask[:, 0, : self.num_queries, -inside.shape[2] :] = inside
        return mask

    def forward(self, x, batch_data_samples=None):
        """Lists of class and of mask logits of ``x``, the result of :meth:`encode`."""
        return x.classes, x.masks


@MODELS.register_module()
class EoMTSegHead(EoMTHead, SegMask2FormerHead):
    """Head of EoMT for semantic segmentation in mmseg.

    Args:
        num_classes (int): Number of classes.
        num_queries (int): Defaults to 100, the paper's for semantic segmentation.
        ignore_index (int): Label that is not trained on. Defaults to 255.
        align_corners (bool): Of mmseg's resizing of the result. Defaults to False.
        **kwargs: As in :class:`EoMTHead`.
    """

    def __init__(
        self, num_classes, num_queries=100, ignore_index=255, align_corners=False, **kwargs
    ):
        super().__init__(
            num_things_classes=num_classes, num_stuff_classes=0, num_queries=num_queries, **kwargs
        )
        self.out_channels = num_classes
        self.ignore_index, self.align_corners = ignore_index, align_corners

    def predict(self, x, batch_img_metas, test_cfg):
        """Sum over queries of class times mask probability: (B, classes, H, W)."""
        masks = F.interpolate(x.masks[-1], x.image_size, mode='bilinear').sigmoid()
        classes = x.classes[-1].softmax(dim=-1)[..., :-1]
        return torch.einsum('bqc,bqhw->bchw', classes, masks)


@MODELS.register_module()
class EoMTDetector(MaskFormer):
    """EoMT for instance and panoptic segmentation: mmdet's ``MaskFormer`` without a decoder.

    Arguments are those of ``MaskFormer``, with a :class:`~mmlite.models.ViT` as backbone and an
    :class:`EoMTHead` as ``panoptic_head``.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.panoptic_head.check(self.backbone)

    def extract_feat(self, batch_inputs):
        """Predictions of the queries."""
        return self.panoptic_head.encode(self.backbone, batch_inputs)


@MODELS.register_module()
class EoMTSegmentor(EncoderDecoder):
    """EoMT for semantic segmentation: mmseg's ``EncoderDecoder`` without a decoder.

    Arguments are those of ``EncoderDecoder``, with a :class:`~mmlite.models.ViT` as backbone and an
    :class:`EoMTSegHead` as ``decode_head``.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.decode_head.check(self.backbone)

    def extract_feat(self, inputs):
        """Predictions of the queries."""
        return self.decode_head.encode(self.backbone, inputs)
