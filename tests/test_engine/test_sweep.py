"""Sweeps without trainings: grids, cells, commands, what a result belongs to, and tables."""

import csv
import json
import math
from pathlib import Path

import pytest
from mmengine.config import Config

from mmlite.engine import sweep
from mmlite.engine.sweep import Axis, Cell, Setting
from mmlite.engine.sweep_results import Table, choose_metric, companions, read_metrics
from mmlite.errors import UserError

TRUNCATED = dict(type='TruncNormal', std=0.02)
LR = 'optim_wrapper.optimizer.lr'


@pytest.fixture
def cfg():
    return Config(
        dict(
            model=dict(type='X', backbone=dict(type='Y')),
            optim_wrapper=dict(optimizer=dict(lr=0.1)),
            max_epochs=3,
        )
    )


def test_one_setting_varies():
    axis = sweep.parse_axis(f'{LR}=0.01, 0.1')
    assert axis == Axis('lr', (Setting('0.01', (f'{LR}=0.01',)), Setting('0.1', (f'{LR}=0.1',))))


def test_settings_change_together_and_share_values():
    axis = sweep.parse_axis('schedule:(train_cfg.max_epochs + s.1.end, s.0.end)=(50, 10),(100,20)')
    assert axis.name == 'schedule'
    assert [setting.options for setting in axis.settings] == [
        ('train_cfg.max_epochs=50', 's.1.end=50', 's.0.end=10'),
        ('train_cfg.max_epochs=100', 's.1.end=100', 's.0.end=20'),
    ]
    assert sweep.parse_axis('(a.b+a.c,a.d)=(1,2)').name == 'b,d'


def test_values_are_read_as_cfg_options_are():
    axis = sweep.parse_axis('o.betas=[0.9,0.95],(0.9,None),True,a/b.pth')
    parsed = [sweep.parse_options(setting.options)['o.betas'] for setting in axis.settings]
    assert parsed == [[0.9, 0.95], (0.9, None), True, 'a/b.pth']


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('lr', "--grid 'lr' is not understood: --grid takes KEY=V1,V2"),
        ('lr=', 'has an empty value'),
        ('=1', 'has an empty value'),
        ('lr=1,,2', 'has an empty value'),
        ('lr=[1,2', 'a lone bracket'),
        ('lr=1],[2', 'a lone bracket'),
        ('a+=1', 'is not understood: --grid takes'),
        ('a,b=(1,2)', 'is not understood'),
        ('(a,b)=1,2', r"couples keys, so '1' must be a tuple \(V,V\)"),
        ('(a,b)=(1,2),(1,2,3)', r'\(1,2,3\) has 3 of 2 values'),
    ],
)
def test_a_malformed_axis_is_one_sentence(text, message):
    with pytest.raises(UserError, match=message):
        sweep.parse_axis(text)


@pytest.mark.parametrize(
    ('own', 'scratch', 'clears'),
    [
        (dict(), None, False),
        (dict(init_cfg=None), None, True),
        (dict(init_cfg=TRUNCATED), TRUNCATED, True),
        (dict(init_cfg=dict(type='Pretrained', checkpoint='a.pth')), None, True),
        (dict(init_cfg=[dict(type='Pretrained', checkpoint='a.pth')]), None, True),
    ],
)
def test_initialisations_replace_the_own_one(own, scratch, clears):
    """What the options make of the config is exactly the initialisation that is asked for."""
    got = []
    axis = sweep.init_axis(['scratch', 'mae=b/c=1.pth'], own)
    for setting in axis.settings:
        config = Config(dict(model=dict(backbone=dict(own, depth=1))))
        for key, value in sweep.parse_options(setting.options).items():
            config.merge_from_dict({key: value})
        got.append(config.model.backbone)
    assert got[0].get('init_cfg') == scratch and got[0].depth == 1
    assert got[1].to_dict() == dict(
        depth=1, init_cfg=dict(type='Pretrained', checkpoint='b/c=1.pth')
    )
    assert any('_delete_' in option for option in axis.settings[1].options) == clears


@pytest.mark.parametrize('item', ['=a.pth', 'mae='])
def test_an_initialisation_has_a_name_and_a_path(item):
    with pytest.raises(UserError, match='is not of the form NAME=CHECKPOINT or NAME'):
        sweep.init_axis([item], {})


@pytest.mark.parametrize('path', ['a b.pth', 'a,b.pth', '(a).pth,b', '17'])
def test_a_path_that_options_cannot_carry_is_refused(path):
    with pytest.raises(UserError, match='must not hold spaces, commas, brackets'):
        sweep.init_axis([f'mae={path}'], {})


@pytest.mark.parametrize(
    ('items', 'fixed', 'message'),
    [
        ([], (), 'nothing to sweep: give --init, --seeds or --grid'),
        ([f'{LR}=1,1'], (), 'axis lr has 1 twice'),
        ([f'{LR}=0.1,1e-1'], (), 'two values of axis lr mean the same'),
        ([f'{LR}=1', 'model.lr=2'], (), 'two axes are called lr: name one by NAME:KEY'),
        ([f'{LR}=1', f'x:{LR}=2'], (), rf'x sets {LR}, but lr sets {LR}'),
        (['x:model.backbone=1', 'model.backbone.depth=2'], (), 'but x sets model.backbone'),
        ([f'{LR}=1'], ('optim_wrapper.optimizer',), 'but --cfg-options sets optim_wrapper.optimi'),
        (['max_epochs=1,2'], (), 'max_epochs is a variable of the config, .* train_cfg.max_epochs'),
        (['optim_wraper.a=1'], (), "no training reads 'optim_wraper'; near names: optim_wrapper"),
        (['work_dir=a,b'], (), 'work_dir is set by the sweep itself'),
    ],
)
def test_a_grid_without_effect_is_one_sentence(items, fixed, message, cfg):
    with pytest.raises(UserError, match=message):
        sweep.check_axes([sweep.parse_axis(item) for item in items], cfg, fixed)


def test_cells_are_all_combinations_with_readable_folders(cfg):
    axes = [
        sweep.init_axis(['scratch', 'mae=m.pth'], cfg.model.backbone),
        sweep.parse_axis('schedule:(train_cfg.max_epochs,param_scheduler.0.end)=(50,10)'),
        sweep.seed_axis([0, 1]),
    ]
    sweep.check_axes(axes, cfg)
    cells = sweep.make_cells(axes)
    assert [cell.name for cell in cells] == [
        'init=scratch_schedule=50-10_seed=0',
        'init=scratch_schedule=50-10_seed=1',
        'init=mae_schedule=50-10_seed=0',
        'init=mae_schedule=50-10_seed=1',
    ]
    assert cells[3].combination == ('mae', '(50,10)') and cells[3].seed == '1'
    assert sweep.parse_options(cells[3].options) == {
        'model.backbone.init_cfg.type': 'Pretrained',
        'model.backbone.init_cfg.checkpoint': 'm.pth',
        'train_cfg.max_epochs': 50,
        'param_scheduler.0.end': 10,
        'randomness.seed': 1,
    }


def test_two_cells_never_share_a_folder():
    with pytest.raises(UserError, match='two cells would use the folder x=a-b'):
        sweep.make_cells([Axis('x', (Setting('a/b', ()), Setting('a:b', ())))])


def test_the_command_of_a_cell():
    command = sweep.train_command('py', 'train.py', 'c.py', Path('w'), ['a=1', 'b=2'], ['--no-amp'])
    assert ' '.join(command) == 'py train.py c.py --work-dir w --no-amp --cfg-options a=1 b=2'
    command = sweep.train_command('py', 'train.py', 'c.py', 'w', [], resume=True)
    assert ' '.join(command) == 'py train.py c.py --work-dir w --resume'


@pytest.mark.parametrize(
    ('jobs', 'gpus', 'devices', 'threads'),
    [
        (None, ['0', '2'], ['0', '2'], None),
        (3, ['0', '2'], ['0', '2', '0'], None),
        (1, ['0', '2'], ['0'], None),
        (None, [], [None], None),
        (2, [], [None, None], '4'),
    ],
)
def test_trainings_share_the_machine(jobs, gpus, devices, threads):
    slots = sweep.make_slots(jobs, gpus, dict(HOME='/h'), cores=8)
    assert [slot.get('CUDA_VISIBLE_DEVICES') for slot in slots] == devices
    assert {slot.get('OMP_NUM_THREADS') for slot in slots} == {threads}
    assert all(slot['HOME'] == '/h' for slot in slots)


def test_the_users_number_of_threads_is_kept():
    slots = sweep.make_slots(2, [], dict(OMP_NUM_THREADS='7'), cores=8)
    assert [slot['OMP_NUM_THREADS'] for slot in slots] == ['7', '7']


@pytest.fixture
def identity(tmp_path):
    """Function: the identity of a cell with a checkpoint, by what differs."""
    checkpoint = tmp_path / 'mae.pth'

    def make(lr='0.1', flags=(), recipe='r', content='weights'):
        checkpoint.unlink(missing_ok=True)
        if content:
            checkpoint.write_text(content)
        options = (f'{LR}={lr}', f'{sweep.INIT}.checkpoint={checkpoint}')
        return sweep.identity(options, flags, recipe)

    return make


@pytest.mark.parametrize('same', [dict(), dict(lr='1e-1'), dict(content=None)])
def test_a_result_of_the_same_cell_is_taken_over(same, identity, tmp_path):
    file = tmp_path / 'result.json'
    file.write_text(json.dumps(dict(identity(), seconds=3)))
    assert sweep.read_same(file, identity(**same))['seconds'] == 3


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(lr='0.3'), rf'result.json: {LR} was 0.1 and is now 0.3; delete .* to train it anew'),
        (dict(flags=['--amp']), '--amp was not set and is now True'),
        (dict(recipe='s'), 'the config or one of its bases has changed since'),
        (dict(content='others'), r'the checkpoint .*mae.pth has changed since'),
    ],
)
def test_a_result_of_another_cell_is_refused(change, message, identity, tmp_path):
    file = tmp_path / 'result.json'
    file.write_text(json.dumps(identity()))
    with pytest.raises(UserError, match=message):
        sweep.read_same(file, identity(**change))


@pytest.mark.parametrize(('text', 'message'), [('{', 'no valid JSON'), ('[]', 'not written by')])
def test_a_foreign_file_is_refused(text, message, identity, tmp_path):
    file = tmp_path / 'result.json'
    file.write_text(text)
    with pytest.raises(UserError, match=message):
        sweep.read_same(file, identity())


def test_the_fingerprint_sees_every_value_of_a_config(cfg):
    before = sweep.fingerprint(cfg)
    assert before == sweep.fingerprint(Config(cfg.to_dict()))
    cfg.optim_wrapper.optimizer.lr = 0.2
    assert sweep.fingerprint(cfg) != before


@pytest.mark.parametrize(
    ('durations', 'running', 'waiting', 'jobs', 'left'),
    [
        ([], [], 3, 1, None),
        ([10, 20], [], 4, 1, 60),
        ([10, 20], [5], 4, 2, 35),
        ([10], [25], 0, 1, 0),
        ([10], [1], 0, 4, 9),
    ],
)
def test_time_left(durations, running, waiting, jobs, left):
    assert sweep.time_left(durations, running, waiting, jobs) == left


@pytest.mark.parametrize(
    ('seconds', 'text'),
    [(0.4, '0 s'), (59.6, '1 min 00 s'), (185, '3 min 05 s'), (7800, '2 h 10 min')],
)
def test_durations_for_people(seconds, text):
    assert sweep.duration(seconds) == text


@pytest.mark.parametrize(
    ('output', 'reason'),
    [
        ('a\nerror: no such key\nTerminated\n', 'no such key'),
        ('Traceback\n  File x\nValueError: lr < 0\n\n', 'ValueError: lr < 0'),
        ('', 'it printed nothing'),
    ],
)
def test_the_reason_of_a_failure(output, reason):
    assert sweep.last_error(output) == reason


def write_run(folder, name, records):
    file = folder / name / 'vis_data' / 'scalars.json'
    file.parent.mkdir(parents=True)
    file.write_text(''.join(json.dumps(record) + '\n' for record in records))


def train(step, loss):
    return dict(loss=loss, lr=0.1, time=1.0, data_time=0.1, step=step)


def val(step, value):
    return {'mIoU': value, 'time': 1.0, 'data_time': 0.1, 'step': step}


def test_metrics_of_an_interrupted_and_resumed_cell(tmp_path):
    first = [train(1, 9.0), val(1, 40.0), train(2, 8.0), val(2, 60.0), train(3, math.nan)]
    write_run(tmp_path, '1', first)
    write_run(tmp_path, '2', [train(3, 7.0), val(3, 50.0)])
    assert read_metrics(tmp_path) == dict(
        validation=dict(mIoU=dict(final=50.0, min=40.0, max=60.0)),
        training=dict(loss=dict(final=7.0, min=7.0, max=9.0)),
    )


def test_runs_of_an_earlier_training_do_not_count(tmp_path):
    write_run(tmp_path, '1', [train(1, 9.0), train(99, 1.0)])
    write_run(tmp_path, '2', [train(1, 8.0)])
    assert read_metrics(tmp_path, ['1'])['training']['loss']['final'] == 8.0
    with pytest.raises(UserError, match='holds no log of this training'):
        read_metrics(tmp_path, ['1', '2'])


def test_a_cell_without_its_last_validation_is_not_finished(tmp_path):
    write_run(tmp_path, '1', [train(1, 9.0), val(1, 40.0), train(2, 8.0)])
    with pytest.raises(UserError, match='the end of its last validation: delete the folder'):
        read_metrics(tmp_path)


def result(validation=None, **training):
    def values(metrics):
        return {k: dict(final=v, min=v / 2, max=v * 2) for k, v in metrics.items()}

    return dict(validation=values(validation or {}), training=values(training), seconds=1.0)


COCO = {
    'coco/disc_precision': 0.5, 'coco/bbox_mAP': 0.3, 'coco/bbox_mAP_50': 0.6,
    'coco/bbox_mAP_75': 0.2, 'coco/bbox_mAP_s': 0.1, 'coco/segm_mAP': 0.25,
}  # fmt: skip


@pytest.mark.parametrize(
    ('validation', 'wanted', 'save_best', 'metric'),
    [
        (COCO, None, None, 'coco/bbox_mAP'),
        (COCO, None, 'auto', 'coco/bbox_mAP'),
        (COCO, None, 'coco/segm_mAP', 'coco/segm_mAP'),
        (COCO, None, ['coco/segm_mAP', 'coco/bbox_mAP'], 'coco/segm_mAP'),
        (COCO, 'coco/bbox_mAP_50', 'coco/segm_mAP', 'coco/bbox_mAP_50'),
        (COCO, 'loss', None, 'loss'),
        ({}, None, None, 'loss'),
        ({'coco/disc_precision': 0.5}, None, None, 'coco/disc_precision'),
    ],
)
def test_the_metric_that_decides(validation, wanted, save_best, metric):
    assert choose_metric([result(validation, loss=1.0)], wanted, save_best) == metric


def test_an_unknown_metric_is_told_the_known_ones():
    message = '--metric top1 was not logged; near names: accuracy/top1; there are accuracy/top1, l'
    with pytest.raises(UserError, match=message):
        choose_metric([result({'accuracy/top1': 1.0}, loss=1.0)], 'top1')


def test_kin_of_the_metric_is_shown_beside_it():
    results = [result(COCO, loss=1.0)]
    kin = ['coco/segm_mAP', 'coco/bbox_mAP_50', 'coco/bbox_mAP_75']
    assert companions('coco/bbox_mAP', results) == kin
    assert companions('loss', [result({}, loss=1.0, loss_rec=0.5)]) == ['loss_rec']


@pytest.fixture
def table():
    """Function: a table over two rates and three seeds, of which the last is missing."""
    axes = [sweep.parse_axis(f'{LR}=0.1,0.3'), sweep.seed_axis([0, 1, 2])]
    cells = sweep.make_cells(axes)
    values = dict(zip((cell.name for cell in cells), (1.0, 2.0, 6.0, 4.0, 5.0), strict=False))
    results = {name: result(dict(mIoU=v, aAcc=10 * v), loss=v) for name, v in values.items()}

    def make(lower=False, results=results):
        return Table.of(axes, cells, results, 'mIoU', lower)

    return make


def test_a_table_for_people(table):
    """Means, standard deviations with n - 1, every seed; percentages with two decimals."""
    assert table().markdown().splitlines() == [
        '| lr | mIoU | n | seed 0 | seed 1 | seed 2 | aAcc |',
        '| --- | --- | --- | --- | --- | --- | --- |',
        '| 0.1 | 3.0000 ± 2.6458 | 3 | 1.0000 | 2.0000 | 6.0000 | 30.00 ± 26.46 |',
        '| **0.3** | **4.5000 ± 0.7071** | **2** | **4.0000** | **5.0000** | **-** | '
        '**45.00 ± 7.07** |',
        '',
        'Last value of each training, mean ± standard deviation (n - 1) over the seeds, '
        'bold: highest mIoU.',
    ]


def test_a_table_for_programs(table):
    rows = list(csv.DictReader(table().csv().splitlines()))
    assert [row['lr'] for row in rows] == ['0.1', '0.3']
    assert [row['n'] for row in rows] == ['3', '2']
    assert [float(row['mIoU mean']) for row in rows] == [3.0, 4.5]
    assert [float(row['mIoU std']) for row in rows] == pytest.approx([7**0.5, 0.5**0.5])
    assert [float(row['mIoU max']) for row in rows] == [6.0, 9.0]
    assert [row['mIoU seed 2'] for row in rows] == ['6.0', '']
    assert [row['best'] for row in rows] == ['0', '1']


def test_the_lowest_can_be_the_best(table):
    assert table(lower=True).best() == [0]
    assert 'mIoU min' in table(lower=True).csv()
    assert 'bold: lowest mIoU' in table(lower=True).markdown()


def test_a_tie_marks_both_and_nan_never_wins(table):
    tie = {f'lr={lr}_seed=0': result(dict(mIoU=0.5)) for lr in ('0.1', '0.3')}
    assert table(results=tie).best() == [0, 1]
    lost = dict(tie, **{'lr=0.1_seed=0': result(dict(mIoU=math.nan))})
    assert table(results=lost).best() == [1]
    none = {name: result(dict(mIoU=math.nan)) for name in tie}
    assert table(results=none).best() == []


def test_without_seeds_there_are_no_columns_of_seeds():
    axes = [sweep.parse_axis(f'{LR}=0.1,0.3')]
    cells = sweep.make_cells(axes)
    assert cells[0] == Cell('lr=0.1', ('0.1',), None, (f'{LR}=0.1',))
    results = {'lr=0.1': result(loss=0.5), 'lr=0.3': result(loss=0.25)}
    lines = Table.of(axes, cells, results, 'loss', lower=True).markdown().splitlines()
    assert lines[0] == '| lr | loss |'
    assert lines[2:4] == ['| 0.1 | 0.5000 |', '| **0.3** | **0.2500** |']
