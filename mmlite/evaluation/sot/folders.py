"""Scores of results folders, ours and those of other toolkits."""

import numpy as np

from mmlite.errors import DataError, UserError

from .ope import score_sequence
from .report import Evaluation
from .results import Track, read_track

MISSING = 'missing'
"""Why a sequence has no score if there is no file of it."""

REFERENCES = {
    'perfect': lambda sequence: sequence.boxes,
    'motionless': lambda sequence: np.repeat(sequence.boxes[:1], len(sequence.frames), axis=0),
}
"""Boxes of trackers without results: the annotation itself, a check of the protocol and the best
that it gives; and the first box in every frame, what a tracker must beat."""


def score_track(sequence, track, protocol):
    """Score the track of an annotated sequence.

    Args:
        sequence (Sequence): See :mod:`mmlite.datasets.sot`.
        track (Track): As many boxes as the sequence has frames.
        protocol (Protocol): How to count. If it limits boxes to the picture, frame 0 is read.

    Returns:
        SequenceScore: The score.

    Raises:
        DataError: If lengths differ, only the first frame is annotated, or it cannot be read.
    """
    if not sequence.annotated:
        raise DataError(f'sequence {sequence.name}: only its first frame is annotated')
    shape = sequence.frames.read(0).shape[:2] if protocol.bounded else None
    return score_sequence(
        sequence.name, track.boxes, sequence.boxes, sequence.visible, protocol,
        cover=sequence.cover, image_shape=shape, seconds=track.seconds,
    )  # fmt: skip


def score_folders(dataset, folders, protocol, references=()):
    """Score the results of several trackers on one data set.

    Args:
        dataset (SequenceDataset): Annotated sequences, see :mod:`mmlite.datasets.sot`.
        folders (dict[str, Path]): Tracker -> results in files, see :func:`~.results.read_track`.
        protocol (Protocol): How to count.
        references (Collection[str]): Names of ``REFERENCES`` to score beside them. Defaults to
            none.

    Returns:
        list[Evaluation]: One a tracker. ``failed`` are the sequences whose files are missing or
        bad or that the data set cannot give.

    Raises:
        UserError: If a tracker is called as a reference that is asked for.
    """
    for name in references:
        if name in folders:
            raise UserError(f'{name!r} is a reference: give {folders[name]} another name')
    found = {name: Evaluation(name, protocol, []) for name in (*folders, *references)}
    for index, name in enumerate(dataset.names):
        for tracker, evaluation in found.items():
            try:
                sequence = dataset[index]
                if tracker in folders:
                    track = read_track(
                        folders[tracker], name, len(sequence.frames), sequence.dataset
                    )
                else:
                    track = Track(name, REFERENCES[tracker](sequence))
                if track is None:
                    evaluation.failed[name] = MISSING
                else:
                    evaluation.scores.append(score_track(sequence, track, protocol))
            except DataError as error:
                evaluation.failed[name] = str(error)
    return list(found.values())


def common_sequences(evaluations):
    """Limit evaluations to the sequences that all of them have, so that means are comparable.

    Args:
        evaluations (list[Evaluation]): Of one data set.

    Returns:
        list[Evaluation]: With what failed as before.

    Raises:
        DataError: If there is no such sequence.
    """
    names = set.intersection(*({score.name for score in e.scores} for e in evaluations))
    if not names:
        raise DataError('there is no sequence that every tracker has results of')
    parts = [evaluation.subset(names) for evaluation in evaluations]
    for part, whole in zip(parts, evaluations, strict=True):
        part.failed = whole.failed
    return parts
