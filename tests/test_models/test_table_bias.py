"""Attention with a bias from a table, one head at a time, against all heads at once."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mmlite.models.layers import BiasTableAttention, attend, relative_position_index, table_bias
from mmlite.models.layers.table_bias import (
    HeadwiseAttention,
    TableBias,
    attend_headwise,
    runs_headwise,
)

CPU = torch.device('cpu')


def inputs(batch=3, heads=2, grid=(3, 4), with_cls=True, width=4, dtype=torch.float32):
    """q, k, v as the slices of a fused projection that a block gives, and a bias."""
    torch.manual_seed(0)
    index = relative_position_index(grid, with_cls, CPU)
    tokens = len(index)
    qkv = torch.randn(batch, tokens, 3, heads, width, dtype=dtype, requires_grad=True)
    rows = (2 * grid[0] - 1) * (2 * grid[1] - 1) + 3
    table = torch.randn(rows, heads, dtype=dtype, requires_grad=True)
    return qkv, table, index


def split(qkv):
    return qkv.permute(2, 0, 3, 1, 4).unbind(0)


@pytest.mark.parametrize('images', [1, 2, 3], ids=lambda n: f'{n} images a step')
@pytest.mark.parametrize('with_cls', [True, False])
def test_outputs_and_gradients_equal_those_of_all_heads_at_once(with_cls, images, monkeypatch):
    qkv, table, index = inputs(with_cls=with_cls)
    monkeypatch.setattr(table_bias, 'CACHED', images * index.numel())
    got = attend_headwise(*split(qkv), TableBias(table, index))
    q, k, v = split(qkv)
    want = (q @ k.mT + TableBias(table, index).dense()).softmax(dim=-1) @ v
    torch.testing.assert_close(got, want)
    weight = torch.randn_like(got)
    pairs = (torch.autograd.grad((out * weight).sum(), (qkv, table)) for out in (got, want))
    torch.testing.assert_close(*pairs, rtol=1e-4, atol=1e-5)


def test_nothing_as_large_as_the_logits_is_kept():
    qkv, table, index = inputs(grid=(8, 8))
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x):
        attend_headwise(*split(qkv), TableBias(table, index))
    floats = [x.numel() for x in kept if x.is_floating_point()]
    assert len(floats) == 5 and max(floats) < index.numel()


@pytest.mark.parametrize('few', [0, 10**9])
def test_the_block_gives_the_same_either_way(few, monkeypatch):
    """At the grid of the table and at another, which resamples it."""
    calls = []
    apply = HeadwiseAttention.apply
    monkeypatch.setattr(table_bias, 'FEW', few)
    monkeypatch.setattr(HeadwiseAttention, 'apply', lambda *x: calls.append(1) or apply(*x))
    torch.manual_seed(0)
    attn = BiasTableAttention(8, 2, grid=(3, 3))
    torch.nn.init.normal_(attn.relative_position_bias_table)
    for grid in ((3, 3), (5, 4)):
        x = torch.randn(2, grid[0] * grid[1] + 1, 8)
        got, _ = attn(x, grid)
        want, taps = attn(x, grid, want=('attn_logits', 'v'))  # always all heads at once
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)
        grads = (torch.autograd.grad(out.square().sum(), attn.parameters()) for out in (got, want))
        torch.testing.assert_close(*grads, rtol=1e-3, atol=1e-4)
    assert len(calls) == (2 if few == 0 else 0)


def test_half_precision_keeps_its_type():
    qkv, table, index = inputs()
    out = attend_headwise(*split(qkv.bfloat16()), TableBias(table, index))
    assert out.dtype == torch.bfloat16
    out.sum().backward()
    assert table.grad.dtype == torch.float32 and qkv.grad.dtype == torch.float32


def test_only_many_logits_on_a_cpu_run_head_by_head(monkeypatch):
    q = torch.zeros(2, 3, 5, 4)
    assert not runs_headwise(q)  # few
    monkeypatch.setattr(table_bias, 'FEW', 2 * 3 * 5 * 5 - 1)
    assert runs_headwise(q)
    assert not runs_headwise(q.to('meta'))
    with sdpa_kernel(SDPBackend.MATH):
        assert not runs_headwise(q)
    with torch.autocast('cpu'):
        assert not runs_headwise(q)
    assert not torch.compile(lambda x: x + int(runs_headwise(x)), backend='eager')(q).any()
    traced = torch.jit.trace(lambda x: x + int(runs_headwise(x)), q, check_trace=False)
    assert not traced(q).any()


def test_the_textbooks_products_are_counted_in_both_passes():
    """What `get_flops.py` and the benchmarks count does not depend on how it is run."""
    qkv, table, index = inputs(batch=2, grid=(4, 4))
    product = 2 * 2 * len(index) ** 2 * 4  # images, heads, pairs, width
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        attend(*split(qkv), TableBias(table, index)).sum().backward()
    assert counter.get_total_flops() == 2 * 6 * product
