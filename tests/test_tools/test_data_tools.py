"""From a directory of any format to a trained checkpoint: check, import, new, train."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from run_tool import run_tool

sys.path.append(str(Path(__file__).parents[1] / 'test_datasets'))
from test_formats_readers import write_folders, write_format, write_maps  # noqa: E402


def test_a_yolo_export_becomes_a_checkpoint(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    source = write_format(tmp_path / 'export', 'YOLO')
    assert run_tool('dataset_converters/check_data', source, '--out', 'check.html') == 0
    out = capsys.readouterr().out
    assert 'YOLO, 2 classes' in out and 'train: 4 images, 80 x 64 to 80 x 64 pixels' in out
    page = Path('check.html').read_text()
    assert page.count('data:image/jpeg') == 8 and 'green' in page
    assert run_tool('dataset_converters/import_data', source, '--to', 'mine') == 0
    assert run_tool('new', 'det', 'mine', '--gpus', 0) == 0
    assert 'mmlite train mine_det.py' in capsys.readouterr().out
    assert run_tool('new', 'det', 'mine') == 2
    small = ['--iters', 1, '--image-size', 96, '--work-dir', 'run', '--cfg-options']
    small += ['train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False']
    small += ['val_dataloader.num_workers=0', 'val_dataloader.persistent_workers=False']
    assert run_tool('train', 'mine_det.py', *small) == 0
    assert Path('run/iter_1.pth').is_file()


def test_problems_of_files_are_listed_and_the_exit_code_is_1(tmp_path, capsys):
    root = write_maps(tmp_path / 'data')
    maps = root / 'annotations' / 'training'
    cv2.imwrite(str(maps / '0.png'), np.full((8, 9), 7, np.uint8))
    cv2.imwrite(str(maps / '1.png'), np.full((4, 9), 1, np.uint8))
    (maps / '2.png').unlink()
    (root / 'images' / 'validation' / '0.jpg').write_bytes(b'\xff\xd8')
    assert run_tool('dataset_converters/check_data', root, '--classes', 2) == 1
    out, err = capsys.readouterr()
    assert f'{maps}/1.png: its size is 9 x 4, but image' in out
    assert 'no label map in' in out and 'the JPEG is truncated' in out
    assert 'labels outside the range of 2 classes: 7 (72 pixels)' in out
    assert 'error: 5 problems in the data' in err


@pytest.mark.parametrize(('classes', 'zero'), [(1, 'True'), (2, 'False')])
def test_masks_of_two_directories_are_judged_by_the_number_of_classes(
    classes, zero, tmp_path, capsys
):
    root = write_maps(tmp_path / 'data')
    for file in root.glob('annotations/*/*.png'):
        cv2.imwrite(str(file), np.eye(8, 9, dtype=np.uint8))
    folders = '--images', root / 'images/training', '--annotations', root / 'annotations/training'
    run_tool('dataset_converters/check_ade20k', *folders, '--classes', classes)
    assert f'reduce_zero_label={zero}' in capsys.readouterr().out


def test_masks_of_0_and_255_are_reported(tmp_path, capsys):
    root = write_maps(tmp_path / 'data')
    for file in root.glob('annotations/*/*.png'):
        cv2.imwrite(str(file), np.eye(8, 9, dtype=np.uint8) * 255)
    assert run_tool('dataset_converters/check_data', root, '--classes', 2) == 1
    assert 'classes without a pixel: 1' in capsys.readouterr().out


def test_class_folders_are_counted(tmp_path, capsys):
    assert run_tool('dataset_converters/check_data', write_folders(tmp_path / 'data')) == 0
    assert 'class folders, 2 classes' in capsys.readouterr().out
