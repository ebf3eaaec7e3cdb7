"""CKA: the papers' numbers, a plain slow version, invariances, and what has no similarity."""

from itertools import permutations

import golden
import numpy as np
import pytest
import torch

from mmlite.analysis.cka import CKA, gram, hsic


def cka(batches):
    """CKA of pairs of lists of features."""
    measure = CKA()
    for first, second in batches:
        measure.update([gram(x) for x in first], [gram(y) for y in second])
    return measure.value()


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_value_of_the_official_code():
    batches = []
    for batch in range(2):
        first = [torch.from_numpy(golden.array(f'rep1{batch}{i}', (16, 20, 8))) for i in range(2)]
        noise = [torch.from_numpy(golden.array(f'rep2{batch}{j}', (16, 20, 8))) for j in range(3)]
        batches.append((first, [0.5 * first[j % 2] + noise[j] for j in range(3)]))
    want = golden.load('analysis')['cka']
    np.testing.assert_allclose(cka(batches), want, rtol=1e-4, atol=1e-5)


def test_hsic_is_the_plain_sum_over_four_images():
    """Song et al., 2012: the mean of K_ij (L_ij + L_qr - 2 L_iq) over distinct i, j, q, r."""
    K, L = gram(normal(6, 3) + 2), gram(normal(6, 5, seed=1))
    terms = [
        K[i, j] * (L[i, j] + L[q, r] - 2 * L[i, q]) for i, j, q, r in permutations(range(6), 4)
    ]
    torch.testing.assert_close(hsic(K, L), torch.stack(terms).mean())


def test_batches_are_averaged_before_the_division():
    """As one would do it with all Gram matrices at hand, and not as a mean of ratios."""
    batches = [([normal(n, 4, 3, seed=n)], [normal(n, 12, seed=n + 50)]) for n in (5, 9, 30)]
    pairs = [(gram(x), gram(y)) for (x,), (y,) in batches]
    kl, kk, ll = (
        torch.stack([hsic(*(pair[i] for i in which)) for pair in pairs]).mean()
        for which in ((0, 1), (0, 0), (1, 1))
    )
    streamed = cka(batches).item()
    assert streamed == pytest.approx((kl / (kk * ll).sqrt()).item())
    ratios = [cka([batch]).item() for batch in batches]
    assert abs(streamed - np.mean(ratios)) > 1e-3


@pytest.mark.parametrize('change', ['same', 'rotated', 'scaled', 'shifted', 'permuted'])
def test_what_leaves_a_representation_alike(change):
    x = normal(32, 10, 4)
    rotation = torch.linalg.qr(normal(40, 40, seed=1).double())[0]
    y = {
        'same': x,
        'rotated': x.flatten(1).double() @ rotation,
        'scaled': -7e3 * x,
        'shifted': x + normal(10, 4, seed=2),
        'permuted': x[:, torch.randperm(10, generator=torch.Generator().manual_seed(0))],
    }[change]
    assert cka([([x], [y])]).item() == pytest.approx(1, abs=1e-5)


def test_order_of_images_and_stretching_matter():
    x = normal(32, 40)
    assert abs(cka([([x], [x.roll(1, 0)])]).item()) < 0.3
    assert cka([([x], [x * torch.linspace(0.01, 3, 40) ** 3])]).item() < 0.97


def test_independent_features_are_near_zero_at_any_width():
    """The bias of the plain estimator grows with the width: it gives 0.9 and more here."""
    x, y = normal(128, 5000), normal(128, 5000, seed=1)
    assert abs(cka([([x], [y])]).item()) < 0.05


def test_constant_features_have_no_similarity():
    """Their own HSIC is a little above 0 by rounding here, but no more than that."""
    x, constant = normal(7, 6), torch.full((7, 6), 0.1)
    assert hsic(gram(constant), gram(constant)) > 0
    measure = CKA()
    layers = [x, constant, 0 * x, x * 2]
    measure.update([gram(layer) for layer in layers], [gram(x), gram(constant + 3)])
    assert measure.degenerate() == ([1, 2], [1])
    value = measure.value()
    assert np.isnan(value[1:3]).all() and np.isnan(value[:, 1]).all()
    np.testing.assert_allclose(value[[0, 3], 0], 1)
