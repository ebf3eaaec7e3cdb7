"""Score results folders of trackers, ours or those of other toolkits, on a tracking data set.

    python tools/analysis_tools/score_tracker.py --dataset lasot --data-root data/lasot DIR DIR

A folder holds a file of boxes for every sequence, as test runs of mmlite, pytracking, OSTrack,
pysot or GOT-10k's toolkit write it. Prints a table and writes summary.json, sequences.csv,
groups.csv and plots. Of data sets whose annotation is kept by a server (GOT-10k test, TrackingNet
test) it writes the archives to upload.
"""

import argparse
import inspect
import sys
from pathlib import Path

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.datasets import sot
from mmlite.datasets.sot.base import SequenceDataset
from mmlite.engine.cli import CfgOptions, sentence, tool
from mmlite.errors import DataError, UserError
from mmlite.evaluation.sot.folders import MISSING, REFERENCES, common_sequences, score_folders
from mmlite.evaluation.sot.protocols import PROTOCOLS, find_protocol, usage_note
from mmlite.evaluation.sot.report import (
    LASOT_ATTRIBUTES,
    PRINTED_GROUPS,
    class_groups,
    group_table,
    read_attributes,
    summary_table,
    write_reports,
)
from mmlite.evaluation.sot.results import STYLES, read_track, write_track
from mmlite.evaluation.sot.submission import SERVERS, listed, write_submission

DATASETS = {
    cls.dataset: cls
    for name in sot.__all__
    if inspect.isclass(cls := getattr(sot, name)) and issubclass(cls, SequenceDataset)
}


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('results', nargs='+', type=Path, metavar='RESULTS_DIR', help='one folder a tracker')
    add('--dataset', required=True, choices=sorted(DATASETS))
    add('--data-root', required=True, help='folder of the data set')
    add('--split', help="default: the data set's usual one, e.g. test of LaSOT, val of GOT-10k")
    add(
        '--data-options', nargs='+', action=CfgOptions, metavar='KEY=VALUE', default={},
        help='further arguments of the data set, e.g. list_file=testing_set.txt',
    )  # fmt: skip
    add(
        '--protocol', choices=list(PROTOCOLS),
        help='how to count; default: got10k and trackingnet for these two, lasot for all others',
    )  # fmt: skip
    add('--names', nargs='+', metavar='NAME', help='of the trackers; default: their folders')
    add(
        '--available', action='store_true',
        help='score the sequences that every tracker has, where some are missing',
    )  # fmt: skip
    add(
        '--perfect', action='store_true',
        help='add a row for boxes equal to the annotation: the best that is possible',
    )  # fmt: skip
    add(
        '--motionless', action='store_true',
        help='add a row for the first box in every frame: what a tracker must beat',
    )  # fmt: skip
    add('--attributes', type=Path, metavar='DIR', help="<sequence>.txt with LaSOT's 14 flags")
    add(
        '--attribute-names', nargs='+', metavar='NAME', default=LASOT_ATTRIBUTES,
        help='what the flags stand for, if others than those of LaSOT',
    )  # fmt: skip
    add('--export', choices=list(STYLES), help='also write the boxes, in this style')
    add('--no-plots', action='store_true', help='table, CSV and JSON only')
    add(
        '--out', type=Path, default=Path('work_dirs/score_tracker'), metavar='DIR',
        help='default: %(default)s',
    )  # fmt: skip
    return parser.parse_args(argv)


def build_dataset(args):
    """The data set that the options name."""
    cls = DATASETS[args.dataset]
    options = dict(args.data_options, data_root=args.data_root)
    if args.split is not None:
        options['split'] = args.split
    legal = inspect.signature(cls).parameters
    for key in options:
        if key not in legal:
            raise UserError(f'data set {args.dataset} has no option {key}; {", ".join(legal)}')
    return cls(**options)


def name_trackers(folders, names):
    """Name -> folder; the folders' own names, with those above where they are equal."""
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f'{folder} is no folder of results')
    if names is None:
        paths = [folder.resolve() for folder in folders]
        names = [path.name for path in paths]
        if len(set(names)) < len(names):
            names = [f'{path.parent.name}/{path.name}' for path in paths]
    if len(names) != len(folders) or len(set(names)) < len(names):
        raise UserError(f'{len(folders)} folders need as many different --names, not {names}')
    return dict(zip(names, folders, strict=True))


def check_complete(evaluations, available, total):
    """The evaluations to compare; an error if sequences lack results and that is not allowed."""
    problems = []
    for evaluation in evaluations:
        for why in evaluation.failed.values():
            if why != MISSING:
                print(f'{evaluation.tracker}: {sentence(why)}', file=sys.stderr)
        if evaluation.failed:
            problems.append(
                f'{evaluation.tracker} lacks {len(evaluation.failed)} of {total} sequences '
                f'({listed(evaluation.failed)})'
            )
    if not problems:
        return evaluations
    if not available:
        raise DataError('; '.join(problems) + '; --available scores what every tracker has')
    evaluations = common_sequences(evaluations)
    print('; '.join(problems))
    print(f'scored are the {len(evaluations[0].scores)} sequences that every tracker has')
    return evaluations


def score(args, dataset, trackers):
    """Print the tables and write the files."""
    usual = dataset.metainfo['protocol']
    protocol = find_protocol(args.protocol, usual)
    references = [name for name in REFERENCES if getattr(args, name)]
    evaluations = score_folders(dataset, trackers, protocol, references)
    evaluations = check_complete(evaluations, args.available, len(dataset))
    names = [score.name for score in evaluations[0].scores]
    groups = class_groups(args.dataset, names)
    print(f'{args.dataset} ({dataset.split}), protocol {protocol.name}')
    print(summary_table(evaluations))
    if 1 < len(groups) <= PRINTED_GROUPS:
        print(group_table(evaluations, groups))
    if args.attributes:
        attributes = read_attributes(args.attributes, names, args.attribute_names)
        print(group_table(evaluations, attributes))
        groups = {**groups, **attributes}
    if note := usage_note(protocol, usual):
        print(note)
    files = write_reports(args.out, args.dataset, evaluations, groups, not args.no_plots)
    print(f'written: {", ".join(str(file) for file in files)}')


def export(args, dataset, trackers):
    """Write the boxes of all trackers in another style."""
    for tracker, folder in trackers.items():
        tracks = read_tracks(dataset, folder)
        for track in tracks:
            write_track(args.out / args.export / tracker, track, args.export)
        print(f'{len(tracks)} tracks in style {args.export}: {args.out / args.export / tracker}')


def submit(args, dataset, trackers):
    """Write the archives for the server."""
    for tracker, folder in trackers.items():
        file = args.out / f'{tracker.replace("/", "_")}_{args.dataset}_submission.zip'
        write_submission(file, args.dataset, read_tracks(dataset, folder), dataset.names)
        print(f'{tracker}: {file}')


def read_tracks(dataset, folder):
    """Tracks of all sequences of which the folder has one."""
    found = (
        read_track(folder, name, int(frames), dataset.metainfo['dataset'])
        for name, frames in zip(dataset.names, dataset.lengths, strict=True)
    )
    return [track for track in found if track is not None]


def annotated(dataset):
    """Whether there is anything to score; servers keep the annotation of whole splits."""
    if dataset.metainfo['dataset'] not in SERVERS:
        return True
    usable = next(i for i, name in enumerate(dataset.names) if name not in dataset.faults)
    return dataset[usable].annotated


@tool
def main(argv=None):
    args = parse_args(argv)
    trackers = name_trackers(args.results, args.names)
    dataset = build_dataset(args)
    if annotated(dataset):
        score(args, dataset, trackers)
    else:
        submit(args, dataset, trackers)
    if args.export:
        export(args, dataset, trackers)


if __name__ == '__main__':
    sys.exit(main())
