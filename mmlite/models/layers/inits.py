"""Schemes of weight initialization, named after the code base that introduced them."""

import math

import torch
from timm.layers import trunc_normal_
from torch import nn


def init_linears(module, weight, bias=0.0):
    """Initialize all linear layers: ``weight`` fills a tensor in place, biases are constant."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            weight(layer.weight)
            if layer.bias is not None:
                nn.init.constant_(layer.bias, bias)


def init_norms(module, bias=0.0):
    """Initialize all layer norms with weight 1 and the given bias."""
    for layer in module.modules():
        if isinstance(layer, nn.LayerNorm):
            nn.init.ones_(layer.weight)
            nn.init.constant_(layer.bias, bias)


def xavier_flat(conv):
    """Initialize a convolution Xavier-uniform as a linear map of flattened patches."""
    nn.init.xavier_uniform_(conv.weight.view(len(conv.weight), -1))


def _truncated(tensor):
    trunc_normal_(tensor, std=0.02)


def _timm(vit):
    """Linear layers, tokens and positions truncated normal 0.02, zero biases."""
    init_linears(vit.blocks, _truncated)
    _truncated(vit.pos_embed)
    for token in (vit.cls_token, vit.reg_token):
        if token is not None:
            _truncated(token)


def _mae(vit):
    """Linear layers Xavier-uniform, patch projection as a linear layer, class token normal 0.02
    (MAE, appendix A.1; the projection keeps PyTorch's bias)."""
    _timm(vit)
    init_linears(vit.blocks, nn.init.xavier_uniform_)
    xavier_flat(vit.patch_embed.proj)
    if vit.cls_token is not None:
        nn.init.normal_(vit.cls_token, std=0.02)


def _moco(vit):
    """As MAE, but queries, keys and values separately, zero bias of the patch projection, and class
    token normal 1e-6 (MoCo-v3, appendix).
    """
    _mae(vit)
    for block in vit.blocks:
        fan = block.attn.qkv.weight.shape[0] // 3 + block.attn.qkv.weight.shape[1]
        nn.init.uniform_(block.attn.qkv.weight, -math.sqrt(6 / fan), math.sqrt(6 / fan))
    nn.init.zeros_(vit.patch_embed.proj.bias)
    if vit.cls_token is not None:
        nn.init.normal_(vit.cls_token, std=1e-6)


@torch.no_grad()
def _beit(vit):
    """As timm, with the output projections of block l, from 1, divided by sqrt(2 l) (BEiT)."""
    _timm(vit)
    _truncated(vit.patch_embed.proj.weight)
    nn.init.zeros_(vit.patch_embed.proj.bias)
    for depth, block in enumerate(vit.blocks, start=1):
        block.attn.proj.weight.div_(math.sqrt(2 * depth))
        block.mlp.fc2.weight.div_(math.sqrt(2 * depth))


def _hiera(hiera):
    """Weights and positions truncated normal 0.02, all biases 0.02 (official Hiera)."""
    init_linears(hiera, _truncated, bias=0.02)
    init_norms(hiera, bias=0.02)
    _truncated(hiera.patch_embed.proj.weight)
    nn.init.constant_(hiera.patch_embed.proj.bias, 0.02)
    for name in ('pos_embed', 'pos_embed_window'):
        if hasattr(hiera, name):
            _truncated(getattr(hiera, name))


def _hiera_mae(hiera):
    """Linear layers Xavier-uniform, zero biases, plain layer norms (official Hiera MAE)."""
    _hiera(hiera)
    init_linears(hiera, nn.init.xavier_uniform_)
    init_norms(hiera)
    xavier_flat(hiera.patch_embed.proj)


def init_swin(module):
    """Linear layers, bias tables and mask token truncated normal 0.02, zero biases, plain norms;
    convolutions keep PyTorch's (official Swin)."""
    init_linears(module, _truncated)
    init_norms(module)
    for name, parameter in module.named_parameters():
        if name.endswith(('relative_position_bias_table', 'mask_token')):
            _truncated(parameter)


#: Name -> function of a ViT.
VIT_INITS = dict(timm=_timm, mae=_mae, moco=_moco, beit=_beit)
#: Name -> function of a Hiera.
HIERA_INITS = dict(hiera=_hiera, mae=_hiera_mae)
