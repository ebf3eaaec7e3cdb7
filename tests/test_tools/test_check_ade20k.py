"""The checker of segmentation data as a command: report, exit code, comparison with a config."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from run_tool import run_tool

from mmlite.datasets.shapes import Job, generate, task_spec

ROOT = Path(__file__).resolve().parents[2]
SMALL = ROOT / 'configs/shapes/seg/semfpn_vit-tiny_8xb2-amp-160k_ade20k-512x512_shapes.py'
ADE20K = ROOT / 'configs/seg/semfpn_vit-tiny_8xb2-amp-160k_ade20k-512x512.py'


@pytest.fixture
def ade(tmp_path):
    """Generated data of 4 + 4 classes in ADE20K's folders."""
    spec = task_spec('seg', size=64, classes=4, min_size=0.3, max_objects=3)
    generate(Job('seg', tmp_path / 'ade', spec, train=12, val=4))
    return tmp_path / 'ade/ADEChallengeData2016'


def run(*args):
    return run_tool('dataset_converters/check_ade20k', *args)


def labels_of(root):
    return sorted(root.glob('annotations/*/*.png'))


def test_generated_data_are_clean_and_suit_their_config(ade, capsys, tmp_path):
    out = tmp_path / 'new/report.json'
    assert run(ade, '--config', SMALL, '--out', out) == 0
    text = capsys.readouterr()
    assert 'training: 12 images, 12 label maps, 12 pairs, 0 ignored pixels' in text.out
    assert 'check: 16/16 pairs' in text.err and '0:00:00 left' in text.err
    report = json.loads(out.read_text())
    assert report['clean'] and report['classes'] == 8 and report['config'] == []
    pixels = sum(np.bincount(np.asarray(Image.open(p)).ravel(), minlength=9)
                 for p in labels_of(ade) if 'training' in p.parent.name)  # fmt: skip
    values = report['splits']['training']['values']
    assert [value['pixels'] for value in values] == pixels.tolist()
    assert [value['share'] for value in values] == pytest.approx(pixels / (12 * 64 * 64))
    assert [values[i]['name'] for i in (0, 1, 8)] == ['(unlabelled)', 'clouds', 'star']


def test_planted_defects_are_in_one_report_and_long_lists_are_cut_in_print_only(ade, capsys):
    labels, images = labels_of(ade), sorted(ade.glob('images/training/*.jpg'))
    first = np.array(Image.open(labels[0]))
    first[:2, :3] = 77
    Image.fromarray(first).save(labels[0])
    labels[3].write_bytes(labels[3].read_bytes()[:60])
    images[5].unlink()
    for index in range(25):
        (ade / f'images/training/extra{index:02d}.jpg').touch()
    assert run(ade, '--out', ade / 'r.json') == 1
    out, err = capsys.readouterr()
    found = f'  {labels[0]}: value 77 in 6 pixels', f'  {labels[3]}: ', f'  {labels[5]}\n'
    for line in (*found, 'training: 36 images, 12 label maps, 11 pairs', '  and 5 more'):
        assert line in out, line
    assert 'extra19.jpg' in out and 'extra20.jpg' not in out
    assert 'error: 28 problems in the data, 0 in the config' in err
    problems = json.loads((ade / 'r.json').read_text())['splits']['training']['problems']
    kinds = [problem['kind'] for problem in problems]
    assert kinds == ['no_label'] * 25 + ['no_image', 'value', 'unreadable']


def test_any_two_folders_can_be_checked(ade, capsys):
    folders = '--images', ade / 'images/training', '--annotations', ade / 'annotations/training'
    assert run(*folders, '--classes', 8) == 0
    assert 'pairs: 12 images, 12 label maps, 12 pairs' in capsys.readouterr().out
    assert run(*folders, '--classes', 5) == 1  # disc is 5, star 8
    assert 'value 8 in ' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('args', 'code', 'message'),
    [
        (['gone'], 1, "folder 'gone' does not exist: give the one that holds images/"),
        ([], 2, 'give either ROOT, or --images and --annotations'),
        (['x', '--images', 'y'], 2, '--images and --annotations belong together'),
        (['x', '--config', 'none.py'], 2, 'config not found: none.py'),
    ],
)
def test_wrong_options_are_one_sentence(args, code, message, capsys):
    assert run(*args) == code
    assert capsys.readouterr().err.startswith(f'error: {message}')


def test_the_classes_of_the_config_and_of_the_list_are_compared(ade, tmp_path, capsys):
    config = tmp_path / 'config.py'
    config.write_text(f"_base_ = '{ADE20K}'\nmodel = dict(decode_head=dict(num_classes=9))\n")
    assert run(ade, '--config', config) == 1
    out, err = capsys.readouterr()
    key = 'train_dataloader.dataset'
    assert f'{config}: {key} has 150 classes, but the data have 8' in out
    assert f'{config}: model.decode_head.num_classes is 9, but {key} has 150 classes\n' in out
    assert 'error: the data are clean, 2 in the config: see the report' in err
    config.write_text("default_scope = 'mmdet'\n")
    assert run(ade, '--config', config) == 2
    assert "has default_scope='mmdet'; it should be 'mmseg'" in capsys.readouterr().err
    (ade / 'objectInfo8.txt').rename(ade / 'objectInfo7.txt')
    assert run(ade) == 1
    assert 'objectInfo7.txt lists 8 classes' in capsys.readouterr().err
