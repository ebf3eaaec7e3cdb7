"""From a directory of any format to a trained checkpoint: check, import, new, train."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from run_tool import run_tool

from mmlite.datasets.formats.find import read_dataset
from mmlite.datasets.formats.write import write_record

sys.path.append(str(Path(__file__).parents[1] / 'test_datasets'))
from test_formats_readers import (  # noqa: E402
    write_folders,
    write_format,
    write_maps,
    write_videos,
)


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
    run_tool('dataset_converters/check_data', *folders, '--classes', classes)
    assert f'reduce_zero_label={zero}' in capsys.readouterr().out


@pytest.mark.parametrize('tool', ['check_data', 'check_ade20k'])
def test_masks_of_0_and_255_are_reported(tool, tmp_path, capsys):
    root = write_maps(tmp_path / 'data')
    for file in root.glob('annotations/*/*.png'):
        cv2.imwrite(str(file), np.eye(8, 9, dtype=np.uint8) * 255)
    assert run_tool(f'dataset_converters/{tool}', root, '--classes', 2) == 1
    assert 'classes without a pixel: 1' in capsys.readouterr().out


def test_class_folders_are_counted(tmp_path, capsys):
    assert run_tool('dataset_converters/check_data', write_folders(tmp_path / 'data')) == 0
    assert 'class folders, 2 classes' in capsys.readouterr().out


def test_videos_are_counted_and_drawn_without_a_trace(tmp_path, capsys):
    root = write_videos(tmp_path / 'data')
    cat = root / 'train' / 'cat'
    (cat / 'groundtruth.txt').write_text('1,2,3,4\nnan,nan,nan,nan\n0,0,3,4\n')
    for number in (2, 3):
        cv2.imwrite(str(cat / f'000{number}.png'), np.zeros((8, 9, 3), np.uint8))
    before = sorted(root.rglob('*'))
    assert run_tool('dataset_converters/check_data', root, '--out', tmp_path / 'a.html') == 0
    out = capsys.readouterr().out
    assert 'train: 1 sequences, 9 x 8 to 9 x 8 pixels' in out and 'val: 1 sequences' in out
    rows = [line.split() for line in out.splitlines()]
    assert ['boxes', '2', '1'] in rows and ['frames', '3', '1'] in rows
    page = (tmp_path / 'a.html').read_text()
    assert page.count('data:image/jpeg') == 3 and 'frame 3' in page and 'frame 2' not in page
    assert sorted(root.rglob('*')) == before
    (cat / '0002.png').write_bytes(b'no image')
    (root / 'val' / 'cat' / 'groundtruth.txt').write_text('1,2,3,4\n1,2,3,4\n')
    assert run_tool('dataset_converters/check_data', root, '--out', tmp_path / 'a.html') == 1
    out = capsys.readouterr().out
    assert '0002.png cannot be read' in out and '2 boxes for the 1 frames' in out


def test_images_of_several_suffixes_train_a_segmentation(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    root = write_maps(tmp_path / 'data')
    for split in ('training', 'validation'):
        image = root / 'images' / split / '0.jpg'
        image.rename(image.with_suffix('.PNG'))
        label = root / 'annotations' / split / '1.png'
        label.rename(label.with_suffix('.bmp'))
    assert run_tool('new', 'seg', 'data') == 2
    assert "'data' (label maps) has no directory images/train: import it" in capsys.readouterr().err
    assert run_tool('dataset_converters/import_data', root, '--to', 'mine', '--split', 0.5) == 0
    out = capsys.readouterr().out
    assert '--split is left out: there is a validation split' in out and '3 train, 3 val\n' in out
    assert run_tool('new', 'seg', 'mine', '--gpus', 0) == 0
    assert run_tool('dataset_converters/check_data', 'mine_seg.py') == 0
    assert 'train: 3 samples load, 1 classes' in capsys.readouterr().out


def test_a_flat_directory_is_pre_trained_and_its_checkpoint_is_judged(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / 'my photos'
    folder.mkdir()
    for number, suffix in enumerate(('jpg', 'png', 'webp', 'JPG')):
        cv2.imwrite(str(folder / f'{number}.{suffix}'), np.full((40, 40, 3), 90, np.uint8))
    assert run_tool('new', 'pretrain', 'my photos', '--gpus', 0, '--out', 'a b.py') == 0
    assert "mmlite train 'a b.py'" in capsys.readouterr().out
    small = ['--epochs', 1, '--work-dir', 'run', '--cfg-options', 'train_dataloader.num_workers=0']
    small += ['train_dataloader.persistent_workers=False']
    assert run_tool('train', 'a b.py', *small) == 0
    write_record(read_dataset(write_folders(tmp_path / 'x')), tmp_path / 'mine')
    capsys.readouterr()
    for init, backbone, message in (
        ('gone.pth', 'vit-tiny', 'gone.pth does not exist'),
        ('a b.py', 'vit-tiny', 'is damaged or no checkpoint'),
        ('run/epoch_1.pth', 'hiera-tiny', 'trained with type=mmlite.ViT but the config builds'),
    ):
        assert run_tool('new', 'cls', 'mine', '--init', init, '--backbone', backbone) == 1
        assert message in capsys.readouterr().err and not Path('mine_cls.py').exists()
    assert run_tool('new', 'cls', 'mine', '--init', 'run/epoch_1.pth') == 0
