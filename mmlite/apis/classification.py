"""Classification of images."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from mmlite.utils.images import LINE, put_text, text_width
from mmlite.visualization import legible

from .image_inferencer import SIDES, ImageInferencer

GAP = 6  # px
BAR, PAPER = (160, 200, 230), (250, 250, 250)
NARROWEST = 320  # px


@dataclass
class Classification:
    """Classes of an image, best first.

    Args:
        image (str): Its path, or ``'array 3'`` for the fourth of the inputs.
        labels (list[int]): The ``top_k`` classes.
        names (list[str]): Their names.
        scores (list[float]): Their scores from 0 to 1, after the head's softmax or sigmoid.
    """

    image: str
    labels: list
    names: list
    scores: list

    label = property(lambda self: self.labels[0], doc='int: Best class.')
    name = property(lambda self: self.names[0], doc='str: Name of the best class.')
    score = property(lambda self: self.scores[0], doc='float: Score of the best class.')

    def record(self):
        """dict: For JSON."""
        found = zip(self.labels, self.names, self.scores, strict=True)
        return dict(
            image=self.image,
            classes=[dict(label=label, name=name, score=score) for label, name, score in found],
        )

    def summary(self):
        """str: The classes in a line."""
        return ', '.join(f'{n} {s:.2f}' for n, s in zip(self.names, self.scores, strict=True))


class ClsInferencer(ImageInferencer):
    """Classify images; see :class:`~.image_inferencer.ImageInferencer` for arguments.

    A call takes the option ``top_k`` (int), the number of classes of each image; it defaults to 5.
    Results are :class:`Classification`. A drawn image has its classes below it.
    """

    TASK = 'classification'
    FIELD = 'pred_score'
    OPTIONS = {'top_k': (5, int, 1, math.inf, '>= 1')}

    def _result(self, place, sample, options):
        scores = sample.pred_score.cpu()
        best = scores.topk(min(options['top_k'], len(scores)))
        labels = best.indices.tolist()
        names = [self.name_of(label) for label in labels]
        return Classification(place, labels, names, best.values.tolist())

    def _draw(self, name, image, result):
        image = legible(image[..., ::-1], *SIDES)[0]
        missing = max(0, NARROWEST - image.shape[1])
        image = cv2.copyMakeBorder(image, 0, GAP, 0, missing, cv2.BORDER_CONSTANT, value=PAPER)
        rows = [
            _draw_score(name, score, image.shape[1])
            for name, score in zip(result.names, result.scores, strict=True)
        ]
        return {f'{name}.jpg': np.concatenate([image, *rows])}


def _draw_score(name, score, width):
    """Draw a row of ``width`` pixels: a class and its score upon a bar of that length."""
    row = np.full((LINE, width, 3), PAPER, np.uint8)
    length = round(min(max(score, 0.0), 1.0) * (width - 2 * GAP))
    row[1:-1, GAP : GAP + length] = BAR
    score = f'{score:.3f}'
    right = width - 2 * GAP - text_width(score)
    put_text(row, name, (2 * GAP, LINE - 8), width=right - 3 * GAP)
    put_text(row, score, (right, LINE - 8))
    return row
