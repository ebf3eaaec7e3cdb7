"""The lightweight zoo: the models behind the paper's table, and a run with two small ones."""

import csv

import cv2
import pytest
import timm
import torch
from run_tool import run_tool

from mmlite.analysis import zoo, zoo_table
from mmlite.analysis.zoo_table import OURS, TABLE, Row, choose_rows
from mmlite.errors import UserError

SMALL = (
    Row('Small', 'test_resnet', '', False, 10, 0.5, 50.0, 64),
    Row('Small', 'test_resnet', 'MAE (IN1K)', True, 10, 0.5, 60.0, 64),
    Row('Gone', None, '', False, 20, 0.7, 65.0),
    Row('Tiny', 'test_vit', '', False, 30, 0.4, 70.0, 160),
)


def run(*args):
    """Run the tool in this process; returns its exit code."""
    return run_tool('analysis_tools/lightweight_zoo', *args)


OF_TIMM = {row.model: row for row in TABLE if row.model and row.model not in OURS}


@pytest.mark.parametrize('row', OF_TIMM.values(), ids=OF_TIMM)
def test_timm_builds_the_model_of_the_row(row):
    """Its size is the one that the paper prints (FastViT-T12: see the table)."""
    with torch.device('meta'):
        model = timm.create_model(row.model)
    printed = 7.55 if row.model == 'fastvit_t12' else row.params_m
    count = sum(p.numel() for p in model.parameters()) / 1e6
    assert count == pytest.approx(printed, rel=0.04)


@pytest.mark.parametrize(
    ('name', 'parameters', 'gmac'),
    [
        ('mmlite.ViT-Tiny', 5_717_416, 1.2537),
        ('mmlite.ViT-Tiny-RPE', 5_717_416 + 105_408, 1.2537),
        ('mmlite.Hiera-Tiny', 6_694_966, 1.2010),
    ],
)
def test_our_models_are_those_of_the_paper(name, parameters, gmac):
    contestant = zoo.Contestant.of(name, 224, torch.device('cpu'))
    assert contestant.parameters == parameters
    assert contestant.macs / 1e9 == pytest.approx(gmac, abs=5e-4)
    assert contestant.model(torch.zeros(2, 3, 224, 224)).shape == (2, 1000)


def test_table_and_plot_of_two_small_models(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(zoo_table, 'TABLE', SMALL)
    table, plot = tmp_path / 'deep' / 'zoo.csv', tmp_path / 'zoo.png'
    options = ('--batch-sizes', 1, 2, '--turns', 2, '--seconds', 0, '--warmup', 1)
    assert run(*options, '--device', 'cpu', '--csv', table, '--plot', plot) == 0
    rows = list(csv.DictReader(table.open()))
    assert [row['model'] for row in rows] == ['Small', 'Small', 'Gone', 'Tiny']
    assert [row['paper_top1'] for row in rows] == ['50.0', '60.0', '65.0', '70.0']
    first, second, gone, tiny = rows
    model = timm.create_model('test_resnet')
    assert int(first['parameters']) == sum(p.numel() for p in model.parameters())
    assert float(tiny['gmac']) > float(first['gmac']) > 0
    for n in ('1', '2'):
        columns = [f'batch{n}_{what}' for what in ('median_ms', 'p95_ms', 'passes')]
        median, p95, passes = (float(first[c]) for c in columns)
        assert 0 < median <= p95 and passes == 2 * 3  # three passes a turn at least
        assert [second[c] for c in columns] == [first[c] for c in columns]  # measured once
        assert not any(gone[c] for c in columns)
    out = capsys.readouterr().out
    assert '[8/8] turn 2 of 2, test_vit, batch 2: ' in out
    assert out.count('not in timm') == 1
    picture = cv2.imread(str(plot))
    assert picture.shape[1] > 2.5 * picture.shape[0]  # three panels
    for colour in zoo.COLOURS['timm'], '#ffffff':
        bgr = [int(colour[i : i + 2], 16) for i in (5, 3, 1)]
        assert (picture == bgr).all(-1).any()


def test_passes_are_timed_one_by_one():
    calls = []
    times = zoo.pass_times(lambda: calls.append(1), 0, warmup=2, device=torch.device('cpu'))
    assert len(times) == 3 and len(calls) == 5
    many = zoo.pass_times(lambda: calls.append(1), 1e-3, warmup=0, device=torch.device('cpu'))
    assert len(many) > 3 and sum(many) >= 1 > sum(many[:-1])


def test_models_are_chosen_by_either_name():
    assert choose_rows() == list(TABLE)
    deit = choose_rows(['deit-tiny', 'RESNET18'])
    assert [row.model for row in deit] == ['resnet18', 'deit_tiny_patch16_224']
    assert [row.top1 for row in choose_rows(['ViT-Tiny'])] == [75.8, 78.0, 78.7]
    assert choose_rows(['test_vit']) == [Row('test_vit', 'test_vit', size=160)]


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('Swin-1G', 'timm has no Swin-1G: leave it out'),
        ('resnet-18x', 'neither in the table nor a model of timm; near names: ResNet-18'),
        ('swin_tiny_patch4_window8', "'swin_tiny_patch4_window8' is neither"),
    ],
)
def test_a_wrong_name_is_one_sentence(name, message):
    with pytest.raises(UserError) as error:
        choose_rows([name])
    assert message in str(error.value)


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        (('--batch-sizes', 1, 0), '--batch-sizes must be 1 or more'),
        (('--turns', 0), '--turns must be 1 or more'),
        (('--warmup', -1), '--warmup is -1; give 0 or more'),
        (('--device', 'cpu', '--precision', 'fp16'), '--precision fp16 needs a GPU: give fp32'),
        (('--plot', 'zoo.txt'), '--plot zoo.txt must end in .png'),
    ],
)
def test_bad_options_are_one_sentence(args, message, capsys):
    assert run(*args) == 2
    assert message in capsys.readouterr().err
