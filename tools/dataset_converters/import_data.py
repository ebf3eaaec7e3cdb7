"""Write a clean copy of a data set in the layout of the suite; images are linked, not copied.

    python tools/dataset_converters/import_data.py ~/exports/yolo --to data/mine
    import_data.py ~/photos/by-class --to data/mine --split 0.9

Reads COCO, YOLO, Pascal VOC, LabelMe, label maps, class folders, videos and images. Repaired
annotations are written repaired.
"""

import argparse
import sys
from pathlib import Path

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.datasets.formats.find import read_dataset
from mmlite.datasets.formats.write import split_record, write_record
from mmlite.engine.cli import tool


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('path', type=Path, help='directory or annotation file')
    add('--to', type=Path, required=True, metavar='DIR', help='new or empty directory')
    add('--split', type=float, metavar='F', help='share to train on, where there is no val split')
    add('--seed', type=int, default=0, help='of the random split; default: 0')
    return parser.parse_args(argv)


@tool
def main(argv=None):
    args = parse_args(argv)
    record = read_dataset(args.path)
    if args.split is not None:
        if record.task == 'pretrain' or 'val' in record.splits:
            why = 'there is a validation split' if 'val' in record.splits else 'there are no labels'
            record.findings.append(f'--split is left out: {why}')
        else:
            split_record(record, args.split, args.seed)
    write_record(record, args.to)
    for text in record.findings:
        print(text)
    counts = ', '.join(f'{len(s.images)} {name}' for name, s in record.splits.items())
    classes = f'; {len(record.classes)} classes' if record.classes else ''
    print(f'{record.format} -> {args.to}: {counts}{classes}')
    if 'val' not in record.splits and record.task != 'pretrain':
        print('there is no validation split: --split 0.9 makes one')


if __name__ == '__main__':
    sys.exit(main())
