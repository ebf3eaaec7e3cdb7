"""Synchronized batch normalization, in one process and in two."""

from datetime import timedelta

import pytest
import torch
import torch.multiprocessing as mp
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS
from parity import check, maps
from torch import distributed as dist
from torch import nn
from torch.nn import functional as F

from mmlite.stack.ops import sync_bn  # first in the processes that the test starts, too

BATCHES = {'default': [3, 3], 'N': [3, 1], 'empty': [4, 0]}


def sync_batch_norm(**options):
    import mmcv.ops  # noqa: F401  after mmlite

    return MODELS.build(dict(type='MMSyncBN', num_features=5, **options))


def data(batch=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 5, 3, 2, generator=generator) * 2 + 1


@pytest.mark.parametrize('mode', ['default', 'N'])
@pytest.mark.parametrize('momentum', [0.1, None])
def test_one_process_is_batch_norm(device, mode, momentum):
    layer = sync_batch_norm(momentum=momentum, stats_mode=mode)
    plain = nn.BatchNorm2d(5, momentum=momentum)
    plain.load_state_dict(layer.state_dict())
    for seed in range(2):
        results = []
        for norm in (layer.to(device), plain.to(device)):
            x = data(seed=seed).to(device).requires_grad_()
            output = norm(x)
            results.append(
                (output, *torch.autograd.grad(output.pow(3).sum(), [x, norm.weight, norm.bias]))
            )
        torch.testing.assert_close(*results)
    torch.testing.assert_close(layer.state_dict(), plain.state_dict())
    x = data(seed=3).to(device)
    torch.testing.assert_close(layer.eval()(x), plain.eval()(x))
    assert type(revert_sync_batchnorm(layer)).__name__ == '_BatchNormXd'


def test_types(device):
    x, weight = maps(4, 5, 3, 2), torch.rand(5, dtype=torch.float64, requires_grad=True)
    check(
        lambda x, *affine: sync_bn.sync_batch_norm(x, None, None, *affine, 0.1, 1e-5, None, 1, 'N'),
        lambda x, *affine: F.batch_norm(x, None, None, *affine, training=True),
        *(x, weight, torch.zeros_like(weight, requires_grad=True)),
        device=device,
    )


def work(rank, folder):
    """One of two processes: saves outputs, gradients and statistics of its share of the batches."""
    torch.set_num_threads(1)
    meeting = dict(init_method=f'file://{folder}/group', timeout=timedelta(seconds=120))
    dist.init_process_group('gloo', rank=rank, world_size=2, **meeting)
    results = {}
    for case, batches in BATCHES.items():
        layer = sync_batch_norm(stats_mode='default' if case == 'default' else 'N')
        nn.init.ones_(layer.weight)
        x = data(sum(batches)).split(batches)[rank].clone().requires_grad_()
        output = layer(x)
        output.pow(3).sum().backward()
        results[case] = output.detach(), x.grad, layer.weight.grad, layer.running_mean
    dist.destroy_process_group()
    torch.save(results, folder / f'{rank}.pth')


def other(index, folder):
    work(1, folder)


@pytest.fixture(scope='module')
def of_two(tmp_path_factory):
    folder = tmp_path_factory.mktemp('two')
    process = mp.spawn(other, (folder,), join=False)
    work(0, folder)
    process.join()
    return [torch.load(folder / f'{rank}.pth') for rank in (0, 1)]


@pytest.mark.parametrize('case', BATCHES)
def test_two_processes_are_one_large_batch(of_two, case):
    """If each has the same batch; in mode N if one has less, or nothing."""
    outputs, grads, weight_grads, means = zip(*(results[case] for results in of_two), strict=True)
    plain, x = nn.BatchNorm2d(5), data(sum(BATCHES[case])).requires_grad_()
    expected = plain(x)
    expected.pow(3).sum().backward()
    torch.testing.assert_close(torch.cat(outputs), expected)
    torch.testing.assert_close(torch.cat(grads), x.grad, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(sum(weight_grads), plain.weight.grad, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(means, (plain.running_mean,) * 2)


def test_no_statistics_of_nothing():
    layer = sync_batch_norm(stats_mode='N')
    layer(data(0))
    assert not layer.running_mean.any() and (layer.running_var == 1).all()
