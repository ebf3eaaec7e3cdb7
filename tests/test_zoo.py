"""A sample of the models of OpenMMLab: together they call every operator that models have."""

import multiprocessing

import pytest
from mmcv import _ext
from run_tool import run_tool

from mmlite.analysis import zoo
from mmlite.analysis.zoo import FAILS, NOT_APPLICABLE, OK, Result, representatives, stages

FAMILIES = {
    'mmdet carafe': 'carafe nms roi_align',
    'mmdet centernet': 'modulated_deform_conv2d',
    'mmdet dcn': 'deform_conv2d modulated_deform_conv2d nms roi_align',
    'mmdet deformable_detr': 'ms_deform_attn sigmoid_focal_loss',
    'mmdet dyhead': 'modulated_deform_conv2d nms sigmoid_focal_loss',
    'mmdet guided_anchoring': (
        'deform_conv2d masked_conv2d modulated_deform_conv2d nms sigmoid_focal_loss'
    ),
    'mmdet reid': '',
    'mmdet reppoints': 'deform_conv2d modulated_deform_conv2d nms sigmoid_focal_loss',
    'mmdet retinanet': 'nms sigmoid_focal_loss',
    'mmdet rtmdet': '',
    'mmdet simple_copy_paste': 'nms roi_align sync_batch_norm',
    'mmdet tood': 'deform_conv2d modulated_deform_conv2d nms',
    'mmdet yolox': 'nms',
    'mmseg bisenetv2': '',
    'mmseg fastscnn': '',
    'mmseg pidnet': '',
    'mmseg psanet': 'psa_mask',
    'mmseg segformer': '',
    'mmpretrain edgenext': '',
    'mmpretrain lenet': '',
    'mmpretrain levit': '',
    'mmpretrain mobilenet_v2': '',
    'mmpretrain simsiam': '',
    'mmpretrain vig': '',
    'mmpretrain xcit': '',
}
"""Library and family -> operators that are called."""


@pytest.fixture(autouse=True)
def smaller_images(monkeypatch):
    monkeypatch.setattr(zoo, 'SIZES', (64, 128, 256))


def last_stage(case):
    library, family = case.split()
    (file,) = (file for file in representatives(library) if file.parent.name == family)
    *_, result = stages(file)
    return result


@pytest.mark.parametrize('case', FAMILIES)
def test_family_builds_trains_and_predicts(case):
    result = last_stage(case)
    assert result.ok, result
    assert ' '.join(result.operators) == FAMILIES[case]


def test_a_missing_operator_of_the_gpu_code_is_found_on_the_cpu(monkeypatch):
    branch = 'mmdet.models.losses.focal_loss._sigmoid_focal_loss'
    monkeypatch.setattr(branch, _ext.sigmoid_focal_loss_forward)
    result = last_stage('mmdet retinanet')
    assert result[3:7] == (OK, OK, OK, FAILS) and not result.ok
    assert result.note.startswith('OperatorError') and 'sigmoid_focal_loss' in result.note


def test_what_is_not_ok():
    assert Result('', '', '', OK, NOT_APPLICABLE, OK, OK).ok
    assert not Result('', '', '', OK, OK, OK).ok and not Result('', '', '', OK, 'package').ok


def test_crashes_and_timeouts_are_rows(tmp_path, capsys, monkeypatch):
    """Of models in processes of their own; the others are tried all the same."""
    monkeypatch.setattr(zoo, 'CONTEXT', multiprocessing.get_context('fork'))  # without imports
    crash, slow, wrong, page = (tmp_path / name for name in ('a.py', 'b.py', 'c.py', 'zoo.md'))
    crash.write_text('_base_ = []\nimport os\nos._exit(7)\n')
    slow.write_text('import time\ntime.sleep(300)\n')
    wrong.write_text("default_scope = 'mmdet'\nmodel = dict(type='RetinaNet')\n")
    lenet = 'mmpretrain::lenet/lenet5_mnist.py'
    assert run_tool('check_zoo', crash, wrong, lenet, '--out', page) == 0
    assert 'mmpretrain: 1 of 1 build, train and predict' in capsys.readouterr().out
    assert run_tool('check_zoo', slow, '--timeout', 1) == 0
    assert 'not done after 1 s' in capsys.readouterr().out
    rows = {}
    for line in page.read_text().splitlines():
        if line.startswith('| '):
            cells = [cell.strip() for cell in line.strip('|').split('|')]
            rows[cells[1]] = (*cells[2:6], cells[7])
    assert rows['lenet5_mnist.py'] == (OK, OK, OK, NOT_APPLICABLE, '')
    assert rows['a.py'] == ('fails', '', '', '', 'the process ended with code 7')
    assert rows['c.py'][0] == 'fails' and 'backbone' in rows['c.py'][4]


@pytest.mark.parametrize('name', ['absent.py', 'mmdet::absent.py', 'timm::resnet.py'])
def test_configs_that_are_not_there(name, capsys):
    assert run_tool('check_zoo', name) == 2
    assert 'absent.py is not a file' in (err := capsys.readouterr().err) or 'timm' in err
