"""A sample of the models of OpenMMLab: with it, every operator of the libraries' models runs."""

import pytest
from run_tool import run_tool

from mmlite.analysis.zoo import representatives, stages

FAMILIES = {
    'mmdet atss cuda-code': 'sigmoid_focal_loss',
    'mmdet bytetrack cpu': '',
}


@pytest.mark.parametrize('case', FAMILIES)
def test_family_builds_trains_and_predicts(case):
    library, family, device = case.split()
    (file,) = (file for file in representatives(library) if file.parent.name == family)
    *_, result = stages(file, device)
    assert result.ok, result
    assert ' '.join(result.operators) == FAMILIES[case]
