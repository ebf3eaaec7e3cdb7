"""Classification of images."""

from dataclasses import dataclass

import cv2
import numpy as np

from mmlite.errors import ArgumentError

from .image_drawing import FONT, GAP, INK, LINE, PAPER, fit_size, shorten
from .image_inferencer import ImageInferencer

TINT = (230, 200, 160)  # BGR of bars
NARROWEST = 320  # px


@dataclass
class Classification:
    """The classes of an image, best first.

    Args:
        image (str): Its path, or ``'array 3'`` for the fourth of the inputs.
        labels (list[int]): The ``top_k`` classes.
        names (list[str]): Their names.
        scores (list[float]): Their scores as the head gives them, from 0 to 1; those of a softmax
            sum up to 1 over all classes.
    """

    image: str
    labels: list
    names: list
    scores: list

    @property
    def label(self):
        """int: Of the best class."""
        return self.labels[0]

    @property
    def name(self):
        """str: Of the best class."""
        return self.names[0]

    @property
    def score(self):
        """float: Of the best class."""
        return self.scores[0]

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
    """Classifies images; see :class:`~.image_inferencer.ImageInferencer` for all that is common.

    A call takes one option more:

    - ``top_k`` (int): Classes of each image, at most as many as there are. Defaults to 5.

    Its results are :class:`Classification`. A drawn image has its classes below it.
    """

    TASK = 'classification'
    FIELD = 'pred_score'
    OPTIONS = {'top_k': 5}

    def _check(self, batch_size, on_unreadable, options):
        options = super()._check(batch_size, on_unreadable, options)
        if not isinstance(options['top_k'], int) or options['top_k'] < 1:
            raise ArgumentError(f'top_k must be 1 or more, got {options["top_k"]!r}')
        return options

    def _result(self, place, sample, options):
        scores = sample.pred_score.cpu()
        best = scores.topk(min(options['top_k'], len(scores)))
        labels = best.indices.tolist()
        return Classification(place, labels, [*map(self.name_of, labels)], best.values.tolist())

    def _pictures(self, name, picture, result):
        return {f'{name}.jpg': draw_classes(picture, result.names, result.scores)}


def draw_classes(picture, names, scores):
    """An image over its classes, with a bar for the score of each.

    Args:
        picture (ndarray): BGR uint8 (H, W, 3).
        names (Sequence[str]): Of the classes.
        scores (Sequence[float]): From 0 to 1.

    Returns:
        ndarray: BGR uint8, at least 320 pixels wide.
    """
    image = fit_size(picture)[0]
    width = max(image.shape[1], NARROWEST)
    left = (width - image.shape[1]) // 2
    right = width - image.shape[1] - left
    frame = dict(borderType=cv2.BORDER_CONSTANT, value=PAPER)
    image = cv2.copyMakeBorder(image, 0, GAP, left, right, **frame)
    lines = [_line(name, score, width) for name, score in zip(names, scores, strict=True)]
    return np.concatenate([image, *lines])


def _line(name, score, width):
    line = np.full((LINE, width, 3), PAPER, np.uint8)
    length = round(min(max(score, 0.0), 1.0) * (width - 2 * GAP))
    line[1:-1, GAP : GAP + length] = TINT
    text = f'{score:.3f}'
    room = width - 4 * GAP - cv2.getTextSize(text, FONT, 0.45, 1)[0][0]
    for words, x in ((shorten(name, room - GAP), 2 * GAP), (text, room + 2 * GAP)):
        cv2.putText(line, words, (x, LINE - 8), FONT, 0.45, INK, 1, cv2.LINE_AA)
    return line
