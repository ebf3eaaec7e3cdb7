"""Sweeps without trainings: grids, trials, metrics of logs, and the table."""

import math

import pytest
from tiny import write_log

from mmlite.errors import UserError
from mmlite.experiments import grid
from mmlite.experiments.results import Table, choose_metric, companions, read_metrics
from mmlite.experiments.trial import last_error

LR = 'optim_wrapper.optimizer.lr'
SCHEDULES = [{'a.max_epochs': 50, 's.0.end': 10, 's.1.begin': 10}, {'a.max_epochs': 100}]


def test_values_are_read_as_cfg_options_are():
    found = grid.parse_grid([f'{LR}=0.01, 1e-1', 'o.mixed=[0.9,1],(0.9,None),True,a/b.pth'])
    assert found == {LR: [0.01, 0.1], 'o.mixed': [[0.9, 1], (0.9, None), True, 'a/b.pth']}


@pytest.mark.parametrize('text', ['lr', 'lr=', '=1', 'lr=1,,2', 'lr=[1,2', 'lr=1],[2'])
def test_a_malformed_option_is_one_sentence(text):
    with pytest.raises(UserError, match='is not of the form KEY=V1,V2'):
        grid.parse_grid([text])
    for item in ('=a.pth', 'mae='):
        with pytest.raises(UserError, match='is not of the form NAME=CHECKPOINT or NAME'):
            grid.init_axis([item], {})


def test_axes_are_called_by_the_last_part_of_their_keys():
    axes = grid.grid_axes(
        {LR: [0.01, 0.1], 'a.wd': [0], 'b.wd': [[0.5, 1]], 'schedule': SCHEDULES, '--iters': [5]}
    )
    assert axes == {
        'lr': [('0.01', {LR: 0.01}), ('0.1', {LR: 0.1})],
        'a.wd': [('0', {'a.wd': 0})],
        'b.wd': [('[0.5,1]', {'b.wd': [0.5, 1]})],
        'schedule': [('50,10', SCHEDULES[0]), ('100', SCHEDULES[1])],
        'iters': [('5', {'--iters': 5})],
    }
    with pytest.raises(UserError, match=r"sweep_grid\['lr'\] must be a list of values \(got 0.1\)"):
        grid.grid_axes(dict(lr=0.1))


def test_initializations_are_the_options_of_a_training():
    """Any name may label a checkpoint; one of the suite brings its form and its usual file."""
    items = ['scratch', 'mae', 'beit=b/c=1.pth', 'mine=b/c=1.pth']
    assert grid.init_axis(items, dict(type='mmlite.ViT')) == [
        ('scratch', {'--init': 'scratch'}),
        ('mae', {'--init': 'mae=checkpoints/mae_vit-tiny_400e_in1k.pth'}),
        ('beit', {'--init': 'beit=b/c=1.pth'}),
        ('mine', {'--init': 'b/c=1.pth'}),
    ]


@pytest.mark.parametrize('value', [' a.pth', 'a,b.pth', '(a).pth,b', '17', "'a'"])
def test_a_value_that_options_cannot_carry_is_refused(value):
    with pytest.raises(UserError, match='cannot be passed to a training'):
        grid.make_trials({'x': [('x', {'x': value})]})


@pytest.mark.parametrize(
    'value', ['a b.pth', 17, 1e-4, True, None, [0.9], (1, [2, 'a']), [[1]], {'a': 1}]
)
def test_values_reach_the_training_as_they_are(value):
    words = grid.option_words({'key': value, '--epochs': 3})
    assert words[:3] == ['--epochs', '3', '--cfg-options'] and len(words) == 4
    assert grid.parse_value(words[3].removeprefix('key=')) == value


@pytest.mark.parametrize(
    ('axes', 'fixed', 'message'),
    [
        ({}, (), 'nothing to sweep: give --init, --seeds or --grid'),
        ({LR: [0.1, 1e-1]}, (), 'two trials are called lr=0.1: give each value once'),
        ({'m.backbone': [1], 'm.backbone.depth': [2]}, (), 'but backbone sets m.backbone'),
        ({LR: [1]}, ('optim_wrapper.optimizer',), 'but --cfg-options sets optim_wrapper.optimi'),
        ({'x': ['a/b', 'a:b']}, (), 'two trials are called x=a-b'),
    ],
)
def test_axes_that_interfere_are_one_sentence(axes, fixed, message):
    with pytest.raises(UserError, match=message):
        grid.make_trials(grid.grid_axes(axes), fixed)


def test_trials_are_all_combinations_with_readable_directories():
    axes = {'init': grid.init_axis(['scratch', 'mae=m.pth'], {})}
    axes |= grid.grid_axes({'schedule': SCHEDULES[:1]})
    axes['seed'] = [(str(seed), {'randomness.seed': seed}) for seed in (0, 1)]
    trials = grid.make_trials(axes)
    assert [trial.name for trial in trials] == [
        'init=scratch_schedule=50-10_seed=0',
        'init=scratch_schedule=50-10_seed=1',
        'init=mae_schedule=50-10_seed=0',
        'init=mae_schedule=50-10_seed=1',
    ]
    assert trials[3].labels == ('mae', '50,10') and trials[3].seed == '1'
    assert trials[3].options == {'--init': 'mae=m.pth', **SCHEDULES[0], 'randomness.seed': 1}


@pytest.mark.parametrize(
    ('output', 'reason'),
    [
        ('a\nerror: no such key\nTerminated\n', 'no such key'),
        ('Traceback\n  File x\nValueError: lr < 0\n\n', 'ValueError: lr < 0'),
        ('', 'it printed nothing'),
    ],
)
def test_the_reason_of_a_failure(output, reason):
    assert last_error(output) == reason


def train(step, loss):
    return dict(loss=loss, lr=0.1, time=1.0, data_time=0.1, step=step)


def val(step, value):
    return {'mIoU': value, 'time': 1.0, 'data_time': 0.1, 'step': step}


def test_metrics_of_an_interrupted_and_resumed_trial(tmp_path):
    first = [train(1, 9.0), val(1, 40.0), train(2, 8.0), val(2, 60.0), train(3, math.nan)]
    write_log(tmp_path, first)
    write_log(tmp_path, [train(3, 8.5), val(3, 50.0), train(4, 7.0)], '2')
    assert read_metrics(tmp_path) == dict(validation=dict(mIoU=50.0), training=dict(loss=7.0))


def result(validation=None, **training):
    return dict(validation=validation or {}, training=training)


COCO = {
    'coco/disc_precision': 0.5, 'coco/bbox_mAP': 0.3, 'coco/bbox_mAP_50': 0.6,
    'coco/bbox_mAP_75': 0.2, 'coco/bbox_mAP_s': 0.1, 'coco/segm_mAP': 0.25,
}  # fmt: skip


@pytest.mark.parametrize(
    ('validation', 'name', 'save_best', 'metric'),
    [
        (COCO, None, None, 'coco/bbox_mAP'),
        (COCO, None, 'auto', 'coco/bbox_mAP'),
        (COCO, None, ['coco/segm_mAP', 'coco/bbox_mAP'], 'coco/segm_mAP'),
        (COCO, 'coco/bbox_mAP_50', 'coco/segm_mAP', 'coco/bbox_mAP_50'),
        (COCO, 'loss', None, 'loss'),
        ({}, None, None, 'loss'),
        ({'coco/disc_precision': 0.5}, None, None, 'coco/disc_precision'),
    ],
)
def test_the_metric_that_decides(validation, name, save_best, metric):
    assert choose_metric([result(validation, loss=1.0)], name, save_best) == metric


def test_metrics_of_the_same_kind_are_shown_beside_it():
    shown = ['coco/segm_mAP', 'coco/bbox_mAP_50', 'coco/bbox_mAP_75']
    assert companions('coco/bbox_mAP', [result(COCO, loss=1.0)]) == shown
    assert companions('loss', [result({}, loss=1.0, loss_rec=0.5)]) == ['loss_rec']


@pytest.fixture
def table():
    """Function: a table over two rates and three seeds, of which the last is missing."""
    axes = grid.grid_axes({LR: [0.1, 0.3]})
    axes['seed'] = [(str(seed), {'randomness.seed': seed}) for seed in (0, 1, 2)]
    trials = grid.make_trials(axes)
    values = dict(zip((trial.name for trial in trials), (1.0, 2.0, 6.0, 4.0, 5.0), strict=False))
    results = {name: result(dict(mIoU=v, aAcc=10 * v), loss=v) for name, v in values.items()}

    def make(lower=False, results=results):
        return Table(axes, trials, results, 'mIoU', lower)

    return make


def cells(markdown):
    """Cells of a Markdown table, without its rule."""
    lines = [line for line in markdown.splitlines() if line.startswith('|')]
    return [[cell.strip() for cell in line.split('|')[1:-1]] for line in (lines[0], *lines[2:])]


def test_a_table_for_people(table):
    """Means, standard deviations with n - 1, every seed; percentages with two decimals."""
    text = table().markdown()
    assert cells(text) == [
        ['lr', 'mIoU', 'n', 'seed 0', 'seed 1', 'seed 2', 'aAcc'],
        ['0.1', '3.0000 ± 2.6458', '3', '1.0000', '2.0000', '6.0000', '30.00 ± 26.46'],
        ['**0.3**', '**4.5000 ± 0.7071**', '**2**', '**4.0000**', '**5.0000**', '**-**',
         '**45.00 ± 7.07**'],
    ]  # fmt: skip
    assert 'mean ± standard deviation (n - 1) over the seeds, bold: highest mIoU.\n' in text
    assert 'bold: lowest mIoU' in table(lower=True).markdown() and table(lower=True).best() == [0]


@pytest.mark.parametrize('nan', [math.nan, None])
def test_a_tie_marks_both_and_nan_never_wins(nan, table):
    """A diverged seed is no number that could be left out of a mean; JSON has None for it."""
    tie = {f'lr={lr}_seed=0': result(dict(mIoU=0.5)) for lr in ('0.1', '0.3')}
    assert table(results=tie).best() == [0, 1]
    lost = dict(tie, **{'lr=0.1_seed=1': result(dict(mIoU=nan))})
    assert table(results=lost).best() == [1]
    assert cells(table(results=lost).markdown())[1][1:5] == ['-', '2', '0.5000', '-']
    assert table(results={name: result(dict(mIoU=nan)) for name in tie}).best() == []


def test_curves_are_means_over_the_seeds_in_ascending_order(tmp_path):
    """Two initializations and blocks in no order; one combination is not finished."""
    axes = {'init': grid.init_axis(['mae=a.pth', 'moco=b.pth'], {})} | grid.grid_axes(
        {'blocks': [12, 0, 6]}
    )
    axes['seed'] = [(str(seed), {'randomness.seed': seed}) for seed in (0, 1)]
    trials = grid.make_trials(axes)
    results = {}
    for trial in trials:
        init, blocks = trial.labels
        if (init, blocks) != ('moco', '6'):
            value = int(blocks) * (2 if init == 'mae' else 3) + int(trial.seed)
            results[trial.name] = result({'accuracy/top1': float(value)})
    table = Table(axes, trials, results, 'accuracy/top1')
    assert table.curves('blocks') == {
        'init mae': ([0.0, 6.0, 12.0], [0.5, 12.5, 24.5]),
        'init moco': ([0.0, 12.0], [0.5, 36.5]),
    }
    assert table.curves('init') == {}
    table.write(tmp_path)
    assert [file.name for file in tmp_path.glob('*.png')] == ['curves_blocks.png']
