"""Classification of images."""

import math
from dataclasses import dataclass

from mmlite.utils import image_grid
from mmlite.visualization import legible

from .image_inferencer import SIDES, ImageInferencer


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
    Results are :class:`Classification`. A drawn image has its classes above it.
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
        lines = zip(result.scores, result.names, strict=True)
        title = '\n'.join(f'{score:.3f} {class_name}' for score, class_name in lines)
        return {f'{name}.jpg': image_grid([image], title=title)}
