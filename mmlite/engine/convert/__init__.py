"""Converts checkpoints of other code bases to the suite's own keys.

What a converted checkpoint holds, under ``state_dict``:

- ``backbone.*``: the encoder, by timm's names, as :class:`mmlite.ViT` or :class:`mmlite.Hiera`
  have them, with the norms (``norm``, ``fc_norm``), relative position tables and LayerScale;
- ``head.fc.*``: the linear classifier (mmpretrain's ``LinearClsHead``);
- ``neck.levels.*``: the simple feature pyramid of ViTDet;
- ``pos_embed_z``, ``pos_embed_x`` and ``head.{ctr,offset,size}.*``: positions of template and
  search tokens and the centre head of OSTrack, as :class:`mmlite.OSTrack` has them;
- with ``keep_extra``, what only pre-training needs, by its official names: ``decoder_*``,
  ``mask_token``, ``encoder_norm.*``, ``multi_scale_fusion_heads.*``, the attention-only block of
  D2-MAE (``blocks.12.*``), ``tch_model.*`` and ``attn_adapter.*``;

and under ``meta``: ``backbone`` (what ``describe()`` of the backbone gives), ``source``,
``license`` and ``num_heads_from``.

:func:`convert` works on what was read, :func:`save` writes it, :func:`summary` tells of it.
"""

import re

import torch

from mmlite.errors import UserError
from mmlite.models import Hiera, ViT
from mmlite.models.weights import find_weights

from .architecture import check_weights, hiera_arguments, shortest_config, vit_arguments
from .files import SUFFIXES, check_destination, save, summary
from .layouts import SOURCES, recognise
from .ledger import complete_vit, place

__all__ = ['SOURCES', 'SUFFIXES', 'check_destination', 'convert', 'save', 'summary']

LICENSES = {'mae-lite': 'Apache-2.0', 'mae': 'CC-BY-NC 4.0', 'hiera': 'CC-BY-NC 4.0'}


def convert(contents, source, heads=None, keep_extra=False):
    """Convert the contents of a checkpoint.

    Every block gets a fused ``qkv.bias`` (zeros where the file has none: exact), a shared table of
    relative positions is copied to every block (exact), and ``pos_embed`` always starts with the
    class token's row (zeros where it has none: exact). The distillation token of DeiT has no place
    in :class:`mmlite.ViT` and is dropped with its row, which changes the features. The ``norm`` of
    D2-MAE is kept, although it was trained behind the eighth block.

    Args:
        contents (dict): What was read from the file: weights, by name or under one of the keys
            ``state_dict``, ``model``, ``model_state`` and ``net``; ``module.`` in front of their
            names is ignored.
        source (str): Code base that wrote it, one of ``SOURCES``.
        heads (int, optional): Attention heads (of the first stage of Hiera). Defaults to what
            relative position tables tell, else to what ``source`` builds at that width: 3 for the
            192 channels of DeiT and timm, 12 for those of MAE-Lite.
        keep_extra (bool): Keep what only pre-training needs. Defaults to False.

    Returns:
        dict: ``state_dict`` and ``meta``, see the module's text, and ``report`` on what happened:
        ``converted`` ({old key: [new keys]}), ``dropped`` ({old key: reason}), ``zeros`` (new keys
        that the file lacked), ``beside`` (entries of the file that are no weights) and
        ``backbone_cfg`` (config of a backbone that the weights fit).

    Raises:
        UserError: If ``source`` or ``heads`` cannot be right, or ``heads`` is needed.
        CheckpointError: If the weights are not what ``source`` writes, or have no equivalent here.
    """
    if source not in SOURCES:
        raise UserError(f"source '{source}' is unknown: choose from {', '.join(SOURCES)}")
    weights, beside = find_weights(contents)
    ledger = place(weights, recognise(weights, source), keep_extra)
    state = ledger.state
    if any(re.fullmatch(r'backbone\.blocks\.\d+\.proj\.weight', key) for key in state):
        cls, arguments = Hiera, hiera_arguments
    else:
        cls, arguments = ViT, vit_arguments
        complete_vit(ledger)
    kwargs, heads_from = arguments(state, source, heads)
    backbone = check_weights(state, cls, kwargs)
    license_name = LICENSES.get(source, 'unknown')
    if any(key.startswith('tch_model.') for key in state):
        license_name += f' (tch_model: {LICENSES["mae"]})'
    report = dict(
        converted=ledger.converted(),
        dropped=ledger.dropped,
        zeros=[name for name, origins in ledger.origins.items() if not origins],
        beside=beside,
        backbone_cfg=shortest_config(backbone, kwargs),
    )
    meta = dict(
        backbone=backbone.describe(),
        source=source,
        license=license_name,
        num_heads_from=heads_from,
    )
    return dict(
        # cloned: a view would be saved together with all of the storage that it looks at
        state_dict={
            name: tensor.detach().clone(memory_format=torch.contiguous_format)
            for name, tensor in state.items()
        },
        meta=meta,
        report=report,
    )
