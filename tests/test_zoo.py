"""A sample of the models of OpenMMLab: together they call every operator that models have."""

import pytest
from run_tool import run_tool

from mmlite.analysis.zoo import (
    NOT_APPLICABLE,
    OK,
    Result,
    representatives,
    stages,
)

FAMILIES = {
    'mmdet carafe cpu': 'carafe nms roi_align',
    'mmdet centernet cpu': 'modulated_deform_conv2d',
    'mmdet dcn cpu': 'deform_conv2d nms roi_align',
    'mmdet deformable_detr cuda-code': 'ms_deform_attn sigmoid_focal_loss',
    'mmdet guided_anchoring cpu': 'deform_conv2d masked_conv2d nms',
    'mmdet pisa cpu': 'nms nms_match roi_align',
    'mmdet retinanet cpu': 'nms',
    'mmdet retinanet cuda-code': 'nms sigmoid_focal_loss',
    'mmdet rtmdet cpu': 'nms',
    'mmdet simple_copy_paste cpu': 'nms roi_align sync_batch_norm',
    'mmdet ssd cpu': 'nms',
    'mmdet reid cpu': '',
    'mmdet yolox cpu': 'nms',
    'mmseg bisenetv2 cpu': '',
    'mmseg fastscnn cpu': '',
    'mmseg pidnet cpu': '',
    'mmseg psanet cpu': 'psa_mask',
    'mmseg segformer cpu': '',
    'mmpretrain edgenext cpu': '',
    'mmpretrain lenet cpu': '',
    'mmpretrain levit cpu': '',
    'mmpretrain mobilenet_v2 cpu': '',
    'mmpretrain simsiam cpu': '',
    'mmpretrain vig cpu': '',
    'mmpretrain xcit cpu': '',
}
"""Library, family and device -> operators that are called."""


@pytest.mark.parametrize('case', FAMILIES)
def test_family_builds_trains_and_predicts(case):
    library, family, device = case.split()
    (file,) = (file for file in representatives(library) if file.parent.name == family)
    *_, result = stages(file, device)
    assert result.ok, result
    assert ' '.join(result.operators) == FAMILIES[case]


def test_what_is_not_ok():
    assert Result('', '', '', OK, NOT_APPLICABLE, OK).ok
    assert not Result('', '', '', OK, OK).ok and not Result('', '', '', OK, 'package').ok


def test_crashes_and_timeouts_are_rows(tmp_path, capsys):
    """Of models in processes of their own; the others are tried all the same."""
    crash, slow, wrong, page = (tmp_path / name for name in ('a.py', 'b.py', 'c.py', 'zoo.md'))
    crash.write_text('import os\nos._exit(7)\n')
    slow.write_text('import time\ntime.sleep(300)\n')
    wrong.write_text("default_scope = 'mmdet'\nmodel = dict(type='RetinaNet')\n")
    lenet = 'mmpretrain::lenet/lenet5_mnist.py'
    args = (crash, slow, wrong, lenet, '--timeout', 20, '--workers', 4, '--out', page)
    assert run_tool('check_zoo', *args) == 0
    assert 'mmpretrain: 1 of 1 build, train and predict' in capsys.readouterr().out
    rows = {}
    for line in page.read_text().splitlines():
        if line.startswith('| '):
            cells = [cell.strip() for cell in line.strip('|').split('|')]
            rows[cells[1]] = (*cells[2:5], cells[6])
    assert rows['lenet5_mnist.py'] == (OK, OK, OK, '')
    assert rows['a.py'] == ('fails', '', '', 'the process ended with code 7')
    assert rows['b.py'] == ('fails', '', '', 'not done after 20 s')
    assert rows['c.py'][0] == 'fails' and 'backbone' in rows['c.py'][3]


@pytest.mark.parametrize('name', ['absent.py', 'mmdet::absent.py', 'timm::resnet.py'])
def test_configs_that_are_not_there(name, capsys):
    assert run_tool('check_zoo', name) == 2
    assert 'absent.py is not a file' in (err := capsys.readouterr().err) or 'timm' in err
