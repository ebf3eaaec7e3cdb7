"""Scores of results directories, of this suite and other toolkits."""

import numpy as np

from mmlite.errors import DataError, UserError

from .ope import score_sequence
from .report import Evaluation
from .results import Track, read_track

MISSING = 'missing'
"""Reason of a sequence without a score if it has no file."""

REFERENCES = {
    'perfect': lambda sequence: sequence.boxes,
    'motionless': lambda sequence: np.repeat(sequence.boxes[:1], len(sequence.frames), axis=0),
}
"""Boxes of reference trackers: the annotation itself, which checks the protocol and is its upper
bound; and the first box in every frame, a lower bound for any tracker."""


def score_folders(dataset, folders, protocol, references=()):
    """Score results directories by tracker, and ``references``, as an :class:`Evaluation` of each.

    Sequences without a valid file or annotation are ``failed``.
    """
    if taken := folders.keys() & set(references):
        name = taken.pop()
        raise UserError(f'{name!r} is a reference: {folders[name]} needs another name')
    evaluations = [Evaluation(name, protocol, []) for name in (*folders, *references)]
    for index, name in enumerate(dataset.names):
        for evaluation in evaluations:
            tracker = evaluation.tracker
            try:
                sequence = dataset[index]
                if tracker in folders:
                    frames = len(sequence.frames)
                    track = read_track(folders[tracker], name, frames, sequence.dataset)
                else:
                    track = Track(name, REFERENCES[tracker](sequence))
                if track is None:
                    evaluation.failed[name] = MISSING
                else:
                    evaluation.scores.append(score_sequence(sequence, track, protocol))
            except DataError as error:
                evaluation.failed[name] = str(error)
    return evaluations


def common_sequences(evaluations):
    """Limit evaluations to the sequences that all have."""
    names = set.intersection(*({score.name for score in e.scores} for e in evaluations))
    if not names:
        raise DataError('there is no sequence that every tracker has results of')
    return [evaluation.subset(names) for evaluation in evaluations]
