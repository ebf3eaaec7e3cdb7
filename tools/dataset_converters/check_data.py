"""Print what a data set holds, check every file of it, and write a page with samples.

    python tools/dataset_converters/check_data.py data/mine
    check_data.py data/mine/instances_train.json --out check.html
    check_data.py --images DIR --annotations DIR --classes 19
    check_data.py configs/seg/CONFIG.py

PATH is a data set of any format that the suite reads (COCO, YOLO, Pascal VOC, LabelMe, label maps,
class folders, videos, images), or a config, whose data sets are built and judged as for training.
Exits with 1 if something is wrong.
"""

import argparse
import sys
from pathlib import Path

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.analysis.report.data import UNITS, count_table, survey_page
from mmlite.datasets.formats.find import match_maps, read_dataset
from mmlite.datasets.formats.record import Record
from mmlite.datasets.formats.survey import judge_values, label_findings, survey_split
from mmlite.engine.cli import positive_int, tool
from mmlite.engine.config_file import load_config
from mmlite.engine.datasets import judge_config
from mmlite.errors import DataError, UserError
from mmlite.utils import Progress, render_table, write_text

LISTED = 20  # problems that are printed


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('path', nargs='?', type=Path, help='directory, annotation file or config')
    add('--images', type=Path, metavar='DIR', help='in place of PATH, with --annotations')
    add('--annotations', type=Path, metavar='DIR', help='label maps of --images')
    add('--classes', type=positive_int, metavar='K', help='number of classes of label maps')
    add('--ignore-index', type=int, default=255, help='ignored label; default: 255')
    add('--workers', type=positive_int, default=8, help='threads; default: 8')
    add('--out', type=Path, metavar='HTML', help='page with samples')
    args = parser.parse_args(argv)
    if (args.images is None) != (args.annotations is None):
        raise UserError('--images and --annotations belong together')
    if (args.path is None) == (args.images is None):
        raise UserError('give either PATH, or --images and --annotations')
    return args


def read(args):
    """Record of the options."""
    if args.path:
        return read_dataset(args.path, strict=False)
    record = Record('seg', 'label maps', args.images, {})
    record.splits['train'] = match_maps(args.images, args.annotations, record)
    if not record.splits['train'].images:
        raise DataError(f"no image of '{args.images}' has a label map in '{args.annotations}'")
    return record


def check(record, args):
    """Survey of each split, and sentences about what is wrong."""
    total = sum(len(split.images) for split in record.splits.values())
    with Progress('check', total, 'images') as progress:
        surveys = {
            name: survey_split(split, record.task, args.workers, progress.advance)
            for name, split in record.splits.items()
        }
    found = [*record.problems, *(pair for s in surveys.values() for pair in s.problems)]
    found = [f'{file}: {text}' for file, text in found]
    notes = list(record.findings)
    if record.task == 'seg':
        pixels = sum((s.counts for s in surveys.values()), start=type(surveys['train'].counts)())
        classes = args.classes or len(record.classes) or None
        classes, zero, why = judge_values(pixels, classes, args.ignore_index)
        notes.append(f'reduce_zero_label={"?" if zero is None else zero}: {why}')
        first = int(bool(zero))
        named = len(record.classes) == classes
        names = record.classes if named else range(first, classes + first)
        found += label_findings(pixels, names, first, args.ignore_index)
    return surveys, notes, found


def write_lines(record, surveys, notes, found):
    """The report as lines of text."""
    items, counted = UNITS[record.task]
    classes = f', {len(record.classes) or "unnamed"} classes' if counted else ''
    yield f'{record.root}: {record.format}{classes}'
    for name, survey in surveys.items():
        line = f'{name}: {survey.images} {items}'
        if len(survey.sizes):
            low, high = survey.sizes.min(0), survey.sizes.max(0)
            line += f', {low[0]} x {low[1]} to {high[0]} x {high[1]} pixels'
        yield line
    header, rows = count_table(record, surveys)
    if rows:
        yield render_table(header, rows, left=1)
    yield from notes
    yield from found[:LISTED]
    if len(found) > LISTED:
        yield f'and {len(found) - LISTED} more problems'


@tool
def main(argv=None):
    args = parse_args(argv)
    if args.path and args.path.suffix == '.py':
        for line in judge_config(load_config(args.path)):
            print(line)
        return
    record = read(args)
    surveys, notes, found = check(record, args)
    print('\n'.join(write_lines(record, surveys, notes, found)))
    if args.out:
        write_text(args.out, survey_page(record, surveys, notes, found))
        print(f'page: {args.out}')
    if found:
        raise DataError(f'{len(found)} problems in the data: see the report')


if __name__ == '__main__':
    sys.exit(main())
