"""Curves of a sweep: read from its table, one line for all that is not the horizontal axis."""

import runpy
from pathlib import Path

import cv2
import pytest

from mmlite.analysis.sweep_curves import sweep_curves
from mmlite.engine import sweep
from mmlite.engine.sweep_results import Table
from mmlite.errors import DataError, UserError

ROOT = Path(__file__).resolve().parents[2]


def tool(*args):
    main = runpy.run_path(str(ROOT / 'tools/analysis_tools/plot_sweep.py'))['main']
    return main([str(arg) for arg in args])


@pytest.fixture
def work(tmp_path):
    """A sweep over two starts, blocks in no order and two seeds, of which one cell is missing."""
    axes = [
        sweep.parse_axis('start:a=mae,moco'),
        sweep.parse_axis('blocks:b=12,0,6'),
        sweep.seed_axis([0, 1]),
    ]
    cells = sweep.make_cells(axes)
    results = {}
    for cell in cells:
        start, blocks = cell.combination
        if (start, blocks) == ('moco', '6'):
            continue
        value = float(blocks) * (2 if start == 'mae' else 3) + int(cell.seed)
        values = {
            name: dict(final=x, min=x, max=x)
            for name, x in (('accuracy/top1', value), ('accuracy/top5', 2 * value))
        }
        results[cell.name] = dict(validation=values, training={})
    table = Table.of(axes, cells, results, 'accuracy/top1', lower=False)
    (tmp_path / 'grid.csv').write_text(table.csv())
    return tmp_path


def test_means_over_the_seeds_in_ascending_order(work):
    metric, curves = sweep_curves(work, 'blocks')
    assert metric == 'accuracy/top1'
    assert curves == {
        'start mae': ([0.0, 6.0, 12.0], [0.5, 12.5, 24.5]),
        'start moco': ([0.0, 12.0], [0.5, 36.5]),
    }
    metric, curves = sweep_curves(work / 'grid.csv', 'blocks', 'accuracy/top5')
    assert curves['start mae'][1] == [1.0, 25.0, 49.0]


def test_the_tool_draws_a_panel_for_every_sweep(work, tmp_path, capsys):
    out = tmp_path / 'deep' / 'blocks.png'
    args = (work, work / 'grid.csv', '--x', 'blocks', '--out', out)
    assert tool(*args, '--titles', 'Pets', 'Cars') == 0
    assert f'blocks of 2 sweeps is in {out}' in capsys.readouterr().out
    picture = cv2.imread(str(out))
    assert picture.shape[1] > 2 * picture.shape[0]
    assert tool(*args, '--titles', 'Pets') == 2
    assert '2 sweeps need as many different --titles' in capsys.readouterr().err


def test_mistakes_are_named(work, tmp_path):
    with pytest.raises(UserError, match=r"no axis 'lr'; it has start, blocks"):
        sweep_curves(work, 'lr')
    with pytest.raises(UserError, match=r"no metric 'mAP'; it has accuracy/top1, accuracy/top5"):
        sweep_curves(work, 'blocks', 'mAP')
    with pytest.raises(UserError, match=r"axis 'start' of .* has the value 'mae': only numbers"):
        sweep_curves(work, 'start')
    with pytest.raises(DataError, match=r'nothing does not exist'):
        sweep_curves(tmp_path / 'nothing', 'x')
    (tmp_path / 'other.csv').write_text('a,b\n1,2\n')
    with pytest.raises(DataError, match=r'other\.csv was not written by tools/sweep\.py'):
        sweep_curves(tmp_path / 'other.csv', 'a')
    (tmp_path / 'empty.csv').write_text('a,n,m mean\n1,0,\n')
    with pytest.raises(DataError, match='has no finished cell yet'):
        sweep_curves(tmp_path / 'empty.csv', 'a')
