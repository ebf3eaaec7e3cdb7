"""Counting of parameters and multiply-adds."""

import re

import pytest
import torch
from run_tool import run_tool
from torch import nn

from mmlite.analysis.complexity import count_macs
from mmlite.models import Hiera, ViT
from mmlite.models.layers import DecomposedAttention
from mmlite.utils.paths import suite_path

CONFIGS = suite_path('configs')
RECIPE = 'det/mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px.py'


def test_linear_convolution_and_attention_are_counted():
    assert count_macs(nn.Linear(5, 7), torch.zeros(3, 5))[0] == 3 * 5 * 7
    assert count_macs(nn.Conv2d(2, 4, 3, padding=1), torch.zeros(1, 2, 6, 6))[0] == 36 * 72
    attn = DecomposedAttention(8, 2, grid=(2, 3))
    projections, products, positions = 6 * 8 * 32, 2 * 2 * 36 * 4, 2 * 6 * (2 + 3) * 4
    macs, _ = count_macs(lambda x: attn(x, (2, 3)), torch.zeros(1, 6, 8))
    assert macs == projections + products + positions
    assert DecomposedAttention.explicit_bias is False


@pytest.mark.parametrize(
    ('model', 'gmac'), [(Hiera(out_type='avg_featmap'), 1.20), (ViT(out_type='raw'), 1.2535)]
)
def test_cost_at_224_pixels(model, gmac):
    """Hiera-Tiny 1.20 GMAC (paper's model, head left out); ViT-Tiny with its attention."""
    macs, _ = count_macs(model.to('meta'), torch.zeros(1, 3, 224, 224, device='meta'))
    assert macs / 1e9 == pytest.approx(gmac, abs=0.005)


def test_the_tool_prints_table_8(capsys):
    assert run_tool('analysis_tools/get_flops', CONFIGS / RECIPE) == 0
    lines = [re.split('  +', line.strip()) for line in capsys.readouterr().out.splitlines()]
    rows = {name: numbers for name, *numbers in lines}
    assert rows['total, mask head not run'] == ['27,652,512', '204.29']
    assert rows['mask_head'] == ['2,644,304', '52.99']
    assert run_tool('analysis_tools/get_flops', CONFIGS / RECIPE, '--shape', 1, 2, 3) == 2
    assert '--shape takes one or two numbers of pixels, got 3' in capsys.readouterr().err
