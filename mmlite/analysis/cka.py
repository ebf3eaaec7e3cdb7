"""How alike layers represent the same images: centred kernel alignment, batch by batch."""

import numpy as np
import torch

from mmlite.errors import ArgumentError

LEAST = 4  # images of a batch: the estimator divides by n - 3
NEGLIGIBLE = 1e-12  # self-HSIC over the mean square of a Gram matrix: only rounding is left


def gram(features):
    """Inner products of all pairs of images (n, ...), float64 (n, n) with a zero diagonal."""
    rows = features.flatten(1).double()
    return (rows @ rows.T).fill_diagonal_(0)


def hsic(first, second):
    """Unbiased Hilbert-Schmidt independence criterion (Song et al., 2012); needs no centring.

    Of Gram matrices (..., n, n) of :func:`gram`, whose leading axes broadcast. It is near 0, and of
    either sign, for features that have nothing in common. Less than 4 images are an ArgumentError.
    """
    n = first.shape[-1]
    if n < LEAST:
        raise ArgumentError(
            f'a batch has {n} images, but the unbiased HSIC needs {LEAST} or more in every batch'
        )
    rows_of_first, rows_of_second = first.sum(-1), second.sum(-1)
    trace = (first * second).sum((-2, -1))
    sums = rows_of_first.sum(-1) * rows_of_second.sum(-1) / ((n - 1) * (n - 2))
    shared = (rows_of_first * rows_of_second).sum(-1) * 2 / (n - 2)
    return (trace + sums - shared) / (n * (n - 3))


class CKA:
    """CKA between all layers of two models, in memory that does not grow with the images.

    Minibatch CKA (arXiv 2010.15327): the three HSIC are averaged over batches of equal weight, and
    divided at the end.
    """

    def __init__(self):
        self.cross = self.first = self.second = self.first_scale = self.second_scale = 0.0

    def update(self, first, second):
        """Add the Gram matrices (n, n) of both models' layers over the same n >= 4 images."""
        first, second = torch.stack(list(first)), torch.stack(list(second))
        # row by row, so that no (layers, layers, n, n) is made
        self.cross = self.cross + torch.stack([hsic(layer, second) for layer in first]).cpu()
        self.first = self.first + hsic(first, first).cpu()
        self.second = self.second + hsic(second, second).cpu()
        self.first_scale = self.first_scale + first.square().mean((-2, -1)).cpu()
        self.second_scale = self.second_scale + second.square().mean((-2, -1)).cpu()

    def value(self):
        """Similarity over all batches, float64 (layers of the first, layers of the second).

        It is 1 for layers that are equal up to rotation and scale, and NaN for those that give all
        images the same features: their own HSIC is 0 up to rounding.
        """
        rows, columns = (np.array(layers, dtype=int) for layers in self.degenerate())
        selves = torch.outer(self.first.clamp(min=0).sqrt(), self.second.clamp(min=0).sqrt())
        similarity = (self.cross / selves).numpy()
        similarity[rows] = np.nan
        similarity[:, columns] = np.nan
        return similarity

    def degenerate(self):
        """Layers of the first and of the second model whose similarity is not defined."""
        pairs = ((self.first, self.first_scale), (self.second, self.second_scale))
        return tuple(
            (own <= NEGLIGIBLE * scale).nonzero().flatten().tolist() for own, scale in pairs
        )


@torch.no_grad()
def compare_models(reference, models, batches):
    """CKA of models (rows) with one reference (columns), over RGB uint8 batches (n, 3, H, W)."""
    measures = [CKA() for _ in models]
    for pixels in batches:
        wanted = reference.features(pixels, gram)
        for model, measure in zip(models, measures, strict=True):
            given = wanted if model is reference else model.features(pixels, gram)
            measure.update(given, wanted)
    return measures
