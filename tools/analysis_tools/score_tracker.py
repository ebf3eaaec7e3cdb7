"""Score results directories of trackers, of this suite or other toolkits, on a tracking data set.

    python tools/analysis_tools/score_tracker.py --dataset lasot --data-root data/lasot DIR DIR

A directory holds a file of boxes for every sequence, as written by test runs of mmlite, pytracking,
OSTrack, pysot or GOT-10k's toolkit. Prints a table and writes summary.json, sequences.csv,
groups.csv and plots. For data sets whose annotation is kept by a server (GOT-10k test, TrackingNet
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
from mmlite.evaluation.sot import report
from mmlite.evaluation.sot.folders import MISSING, REFERENCES, common_sequences, score_folders
from mmlite.evaluation.sot.protocols import PROTOCOLS, find_protocol
from mmlite.evaluation.sot.results import STYLES, read_track, write_track
from mmlite.evaluation.sot.submission import SERVERS, write_submission
from mmlite.utils.names import listed

CLASSES = [getattr(sot, name) for name in sot.__all__]
DATASETS = {cls.dataset: cls for cls in CLASSES if issubclass(cls, SequenceDataset)}


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('results', nargs='+', type=Path, metavar='RESULTS_DIR', help='one directory a tracker')
    add('--dataset', required=True, choices=sorted(DATASETS))
    add('--data-root', required=True, help='directory of the data set')
    add('--split', help="default: the data set's usual one, e.g. test of LaSOT, val of GOT-10k")
    add('--data-options', nargs='+', action=CfgOptions, metavar='KEY=VALUE', default={},
        help='further arguments of the data set, e.g. list_file=testing_set.txt')  # fmt: skip
    add('--protocol', choices=list(PROTOCOLS), help="default: got10k's, trackingnet's, else lasot")
    add('--names', nargs='+', metavar='NAME', help='of the trackers; default: their directories')
    add('--available', action='store_true', help='score only sequences that every tracker has')
    add('--perfect', action='store_true', help='add a row for boxes equal to the annotation')
    add('--motionless', action='store_true', help='add a row for the first box in every frame')
    add('--attributes', type=Path, metavar='DIR', help="<sequence>.txt with LaSOT's 14 flags")
    add('--attribute-names', nargs='+', metavar='NAME', default=report.LASOT_ATTRIBUTES,
        help='names of the flags, if not those of LaSOT')  # fmt: skip
    add('--export', choices=list(STYLES), help='also write the boxes, in this style')
    add('--no-plots', action='store_true', help='table, CSV and JSON only')
    out = Path('work_dirs/score_tracker')
    add('--out', type=Path, default=out, metavar='DIR', help='default: %(default)s')
    return parser.parse_args(argv)


def build_dataset(args):
    options = dict(args.data_options, data_root=args.data_root)
    if args.split is not None:
        options['split'] = args.split
    legal = inspect.signature(DATASETS[args.dataset]).parameters
    for key in options:
        if key not in legal:
            raise UserError(f'data set {args.dataset} has no option {key}; {", ".join(legal)}')
    return DATASETS[args.dataset](**options)


def name_trackers(folders, names):
    """Map names to directories: by default their own names, with the parents' if ambiguous."""
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f'{folder} is not a directory of results')
    if names is None:
        paths = [folder.resolve() for folder in folders]
        names = [path.name for path in paths]
        if len(set(names)) < len(names):
            names = [f'{path.parent.name}/{path.name}' for path in paths]
    if len(names) != len(folders) or len(set(names)) < len(names):
        raise UserError(f'{len(folders)} directories need as many different --names, not {names}')
    return dict(zip(names, folders, strict=True))


def check_complete(evaluations, available, total):
    """The comparable evaluations; an error if sequences lack results and that is not allowed."""
    problems = []
    for evaluation in evaluations:
        tracker, failed = evaluation.tracker, evaluation.failed
        for reason in failed.values():
            if reason != MISSING:
                print(f'{tracker}: {sentence(reason)}', file=sys.stderr)
        if failed:
            problems.append(
                f'{tracker} lacks {len(failed)} of {total} sequences ({listed(failed)})'
            )
    if not problems:
        return evaluations
    problem = '; '.join(problems)
    if not available:
        raise DataError(f'{problem}; --available scores what every tracker has')
    evaluations = common_sequences(evaluations)
    print(problem)
    print(f'scored are the {len(evaluations[0].scores)} sequences that every tracker has')
    return evaluations


def score(args, dataset, trackers):
    usual = dataset.metainfo['protocol']
    protocol = find_protocol(args.protocol, usual)
    references = [name for name in REFERENCES if getattr(args, name)]
    evaluations = score_folders(dataset, trackers, protocol, references)
    evaluations = check_complete(evaluations, args.available, len(dataset))
    names = [score.name for score in evaluations[0].scores]
    groups = report.class_groups(args.dataset, names)
    print(report.overview(f'{args.dataset} ({dataset.split})', evaluations, groups, usual))
    if args.attributes:
        attributes = report.read_attributes(args.attributes, names, args.attribute_names)
        print(report.group_table(evaluations, attributes))
        groups = {**groups, **attributes}
    files = report.write_reports(args.out, args.dataset, evaluations, groups, not args.no_plots)
    print(f'written: {", ".join(str(file) for file in files)}')


def read_tracks(dataset, folder):
    lengths = zip(dataset.names, dataset.lengths, strict=True)
    found = (read_track(folder, name, int(length), dataset.dataset) for name, length in lengths)
    return [track for track in found if track is not None]


@tool
def main(argv=None):
    args = parse_args(argv)
    trackers = name_trackers(args.results, args.names)
    dataset = build_dataset(args)
    usable = next(i for i, name in enumerate(dataset.names) if name not in dataset.faults)
    if args.dataset not in SERVERS or dataset[usable].annotated:
        score(args, dataset, trackers)
    else:
        for tracker, folder in trackers.items():
            file = args.out / f'{tracker.replace("/", "_")}_{args.dataset}_submission.zip'
            write_submission(file, args.dataset, read_tracks(dataset, folder), dataset.names)
            print(f'{tracker}: {file}')
    if args.export:
        for tracker, folder in trackers.items():
            out, tracks = args.out / args.export / tracker, read_tracks(dataset, folder)
            for track in tracks:
                write_track(out, track, args.export)
            print(f'{len(tracks)} tracks in style {args.export}: {out}')


if __name__ == '__main__':
    sys.exit(main())
