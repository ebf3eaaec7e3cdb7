"""BEiT: predict the codes of hidden patches (arXiv 2106.08254)."""

import torch
import torch.nn.functional as F
from mmpretrain.models import BEiTV1Head
from mmpretrain.models.utils import TwoNormDataPreprocessor

from mmlite import stack
from mmlite.errors import ArgumentError, UserError
from mmlite.registry import MODELS

from ..layers import cut_patches, grid_of, take
from ..weights import check_weights, read_weights
from .base import MaskTokenPretrainer, Reconstruction, hidden_ids


@MODELS.register_module()
class TokenHead(BEiTV1Head):
    """mmpretrain's ``BEiTV1Head`` for hidden tokens only, by default with cross entropy.

    ``embed_dims`` are channels of the tokens, ``num_embed`` codes of the tokenizer.
    """

    def __init__(self, embed_dims, num_embed=8192, loss=None, **kwargs):
        super().__init__(
            embed_dims, num_embed, loss or dict(type='mmpretrain.CrossEntropyLoss'), **kwargs
        )

    def forward(self, tokens):
        """Logits (B, M, num_embed) of tokens (B, M, C)."""
        return self.cls_head(tokens)

    def loss(self, tokens, ids):
        """Loss and accuracy of tokens (B, M, C) whose codes are ``ids``, int64 (B, M)."""
        logits = self(tokens)
        return dict(
            loss_tokens=self.loss_module(logits.flatten(0, 1), ids.flatten()),
            token_accuracy=(logits.detach().argmax(dim=-1) == ids).float().mean(),
        )


@MODELS.register_module()
class BEiT(MaskTokenPretrainer):
    """Predict the code that a frozen tokenizer gives to every hidden patch (BEiT, section 2).

    The model sees the first view of an image with mask tokens, the tokenizer all of the second, see
    :class:`~mmlite.datasets.TwoSizeRandomResizedCrop`. For the fused bias see
    :class:`~.simmim.SimMIM`.

    Args:
        head (dict): A :class:`TokenHead`; ``embed_dims`` is filled in.
        target_generator (dict): The tokenizer, frozen and in float32: a module from images
            (B, 3, h, w) to codes, int64 (B, N), or logits (B, V, rows, columns), such as
            mmpretrain's ``DALL-E`` or :class:`~.tokenizer.DiscreteTokenizer`. A ``'Pretrained'``
            file must have all of its weights.
        data_preprocessor (dict): mmpretrain's ``TwoNormDataPreprocessor``.
        backbone, **kwargs: As in :class:`~.base.MaskTokenPretrainer`.
    """

    def __init__(self, backbone, head, target_generator, **kwargs):
        target_generator = dict(target_generator)
        self.tokenizer_init = None
        if (target_generator.get('init_cfg') or {}).get('type') == 'Pretrained':
            # mmengine would ignore missing weights
            self.tokenizer_init = target_generator.pop('init_cfg')
        super().__init__(backbone, target_generator=target_generator, **kwargs)
        if not isinstance(self.data_preprocessor, TwoNormDataPreprocessor):
            raise ArgumentError(
                'BEiT requires two views of an image: set data_preprocessor to type '
                'TwoNormDataPreprocessor with mean, std, second_mean and second_std'
            )
        self.head = MODELS.build(head, default_args=dict(embed_dims=self.backbone.embed_dims))
        self.vocab_size = self.head.cls_head.out_features
        self._check_vocabulary(getattr(self.target_generator, 'vocab_size', self.vocab_size))
        self.target_generator.requires_grad_(False).eval()

    def init_weights(self):
        super().init_weights()
        if self.tokenizer_init:
            options = {k: v for k, v in self.tokenizer_init.items() if k != 'type'}
            load_all(self.target_generator, **options)

    def train(self, mode=True):
        super().train(mode)
        self.target_generator.eval()
        return self

    def loss(self, inputs, data_samples):
        """Return ``loss_tokens`` and ``token_accuracy`` of views (B, 3, H, W) and (B, 3, h, w)."""
        images, ids, hidden = self._prepare(inputs, data_samples)
        return self.head.loss(self.encode_hidden(images, hidden), ids.gather(1, hidden))

    @torch.no_grad()
    def reconstruct(self, inputs, data_samples):
        """Decode predicted among true codes (``restored``), and true ones (``target``)."""
        if not hasattr(self.target_generator, 'decode'):
            raise UserError(
                f'{type(self.target_generator).__name__} has no decode(ids) to show predictions of '
                f'BEiT: use a config with mmlite.DiscreteTokenizer as target_generator'
            )
        images, ids, hidden = self._prepare(inputs, data_samples)
        logits = self.head(self.encode_hidden(images, hidden))
        guess = ids.scatter(1, hidden, logits.argmax(dim=-1))
        restored, target = (self._decode(codes, images) for codes in (guess, ids))
        side = self.backbone.patch_size
        restored = self.hide(images, hidden, side, take(cut_patches(restored, side)[0], hidden))
        return Reconstruction(self.hide(images, hidden, side), restored, target)

    def _prepare(self, inputs, data_samples):
        """First view, codes of the second (B, N), and hidden patches (B, M)."""
        if torch.is_tensor(inputs) or len(inputs) != 2:
            raise ArgumentError(
                'BEiT requires two views of every image: put mmlite.TwoSizeRandomResizedCrop into '
                'the pipeline'
            )
        images, view = inputs
        grid = grid_of(images, self.backbone.patch_size)
        return images, self.tokenize(view, grid), hidden_ids(data_samples)

    @torch.no_grad()
    def tokenize(self, view, grid):
        """Codes, int64 (B, N), of second views (B, 3, h, w) for a patch grid of the first ones."""
        with torch.autocast(view.device.type, enabled=False):
            codes = self.target_generator(view)
        found = codes.shape[1:]
        if codes.ndim == 4:
            self._check_vocabulary(codes.shape[1])
            found, codes = codes.shape[2:], codes.argmax(dim=1).flatten(1)
        if tuple(found) not in (grid, (grid[0] * grid[1],)):
            raise ArgumentError(
                f'the tokenizer gives {"x".join(map(str, found))} codes for a second view of '
                f'{view.shape[-2]}x{view.shape[-1]} pixels, but the first view has '
                f'{grid[0]}x{grid[1]} patches: change second_scale of the crop'
            )
        return codes

    def _check_vocabulary(self, size):
        if size != self.vocab_size:
            raise ArgumentError(
                f'the tokenizer has {size} codes but the head {self.vocab_size}: set '
                f'model.head.num_embed={size}'
            )

    def _decode(self, ids, images):
        """Images of codes (B, N), normalized and resized like the first view (B, 3, H, W)."""
        grid = grid_of(images, self.backbone.patch_size)
        processor = self.data_preprocessor
        pixels = self.target_generator.decode(ids.unflatten(1, grid)).float()
        pixels = pixels * processor.second_std + processor.second_mean
        pixels = F.interpolate(pixels, images.shape[-2:], mode='bilinear', align_corners=False)
        return (pixels - processor.mean) / processor.std


def load_all(module, checkpoint, prefix='', map_location='cpu'):
    """Load all weights of a module from a checkpoint, whose keys start with ``prefix``."""
    weights = read_weights(stack.load(checkpoint, map_location), checkpoint, prefix)
    check_weights(module, weights, checkpoint)
    module.load_state_dict(weights, strict=False)
