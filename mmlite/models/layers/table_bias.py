"""Attention with a bias per pair of tokens that is read from a small table."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

CACHED = 2**20  # logits of one step of HeadwiseAttention: 4 MiB in float32
FEW = 4 * CACHED  # up to this many logits, all heads together are as fast


class TableBias(NamedTuple):
    """Bias of the logits: that of head h for query i and key j is ``table[index[i, j], h]``."""

    table: Tensor  # (R, heads)
    index: Tensor  # int64 (N, N), 0 to R - 1

    def dense(self):
        """Bias of all pairs, (1, heads, N, N)."""
        flat = self.index.flatten()
        return self.table.t().index_select(1, flat).unflatten(1, self.index.shape)[None]


def runs_headwise(q):
    """Whether to attend headwise: many queries, on a CPU, not traced, without autocast."""
    return (
        not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
        and q.device.type == 'cpu'
        and not torch.is_autocast_enabled('cpu')
        and torch.backends.cuda.flash_sdp_enabled()  # of sdpa_kernel, also on CPUs
        and q.shape[:-1].numel() * q.shape[-2] > FEW
    )


def attend_headwise(q, k, v, bias):
    """Attention (B, heads, N, D) of scaled queries, keys and values with a bias from a table."""
    return HeadwiseAttention.apply(q, k, v, bias.table.to(q.dtype), bias.index)


class HeadwiseAttention(torch.autograd.Function):
    """Attention with the bias and the logits of one head at a time in memory.

    PyTorch's fused CPU kernel has no gradient for a bias, its fallback keeps several (B, heads, N,
    N). The backward pass recomputes probabilities (FlashAttention, arXiv 2205.14135, algorithm 4).
    """

    @staticmethod
    def forward(ctx, q, k, v, table, index):
        out = torch.empty_like(v.transpose(1, 2), memory_format=torch.contiguous_format)
        out = out.transpose(1, 2)
        for head, bias in enumerate(_head_biases(table, index)):
            one = slice(head, head + 1)
            out[:, one] = F.scaled_dot_product_attention(
                q[:, one], k[:, one], v[:, one], attn_mask=bias, scale=1.0
            )
        ctx.save_for_backward(q, k, v, table, index, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        q, k, v, table, index, out = ctx.saved_tensors
        delta = (grad * out).sum(dim=-1, keepdim=True)
        q, k, v, grad = (x.contiguous() for x in (q, k, v, grad))  # for fast small products
        dq, dk, dv = (torch.empty_like(x) for x in (q, k, v))
        dtable = table.new_zeros(table.shape[::-1])
        flat = index.flatten()
        images = max(1, CACHED // index.numel())
        for head, bias in enumerate(_head_biases(table, index)):
            for start in range(0, len(q), images):
                part = slice(start, start + images), head
                p = torch.baddbmm(bias, q[part], k[part].mT).softmax(dim=-1)
                dv[part] = p.mT @ grad[part]
                dlogits = (grad[part] @ v[part].mT).sub_(delta[part]).mul_(p)
                dq[part] = dlogits @ k[part]
                dk[part] = dlogits.mT @ q[part]
                dbias = dlogits.sum(dim=0, keepdim=True) if len(dlogits) > 1 else dlogits
                dtable[head : head + 1].index_add_(1, flat, dbias.flatten(1))
        return dq, dk, dv, dtable.t(), None


def _head_biases(table, index):
    """Bias (N, N) of one head after the other."""
    flat = index.flatten()
    for row in table.t().contiguous():
        yield row.index_select(0, flat).view(index.shape)
