"""Scorecards by the tool: with stand-ins for the trainings, and once for real."""

import csv
import json
import re
from pathlib import Path
from unittest.mock import Mock

import pytest
import tiny_classifier
import torch
from mmengine.config import Config
from run_tool import TOOLS, run_tool
from tiny import write_log
from tiny_pretrain import save_backbone

from mmlite.engine.launch import read_config
from mmlite.experiments import Scorecard, Sweep, load_preset, read_inits
from mmlite.experiments import scorecard as module
from mmlite.experiments.preset import preset_names
from mmlite.models import ViT

KINDS = ('mmlite.ViT', 'mmlite.Hiera')
SMALL = dict(embed_dims=24, num_layers=2, num_heads=3)
PRESET = """
title = 'Two small tasks'
seeds = {seeds}
figure_images = {images}
archs = {{'mmlite.ViT': 'vit'}}
tasks = [
    dict(
        name='first', title='First', metric='accuracy/top1', label='top-1, %',
        configs=dict(vit={config!r}), minutes=1, supervised=True,
    ),
    dict(
        name='second', title='Second', metric='accuracy/top1', label='top-1, %', factor=10,
        configs=dict(vit={config!r}), options={{'train_cfg.max_epochs': {epochs}}}, minutes=2,
    ),
]
"""
TOP1 = dict(scratch=10, supervised=12, a=15, b=11)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Config, data, preset, and two checkpoints of the small classifier's backbone."""
    folder = tmp_path_factory.mktemp('scorecard')
    write_preset(folder, tiny_classifier.write(folder))
    for seed, name in enumerate('ab'):
        torch.manual_seed(seed)
        save_backbone(folder / name / 'epoch_1.pth', ViT(SMALL, img_size=32))
    return folder


def write_preset(folder, config, name='preset.py', seeds=(0, 1), epochs=2, images=0):
    text = PRESET.format(config=str(config), seeds=list(seeds), epochs=epochs, images=images)
    (folder / name).write_text(text)


class StandIn:
    """In place of ``Sweep.run``: leaves what trainings leave."""

    def __init__(self):
        self.inits = []  # of every sweep
        self.jobs = None
        self.failing = ()
        self.gains = {}  # setting of the recipe's grid -> what it adds

    def __call__(self, sweep, jobs=None):
        self.jobs = jobs
        self.inits.append([name for name, _ in sweep.axes['init']])
        for each, training in zip(sweep.trials, sweep.trainings, strict=True):
            if each.labels[0] in self.failing:
                training.failure = 'CUDA out of memory'
            elif training.result is None:
                value = TOP1[each.labels[0]] + int(each.seed)
                self.leave(training, value + sum(self.gains.get(s, 0) for s in each.labels))
        return sweep.table()

    def leave(self, training, value):
        records = [{'accuracy/top1': value - 2, 'step': 1},
                   {'accuracy/top1': value, 'accuracy/top5': value / 2, 'step': 2}]  # fmt: skip
        write_log(training.folder, records)
        (training.folder / 'epoch_2.pth').touch()
        (training.folder / 'last_checkpoint').write_text('elsewhere/epoch_2.pth')
        training.process, training.started = Mock(failure=lambda: None), 0
        training.finish()


@pytest.fixture
def scorecard(folder, tmp_path, monkeypatch):
    """Function: run the tool with the stand-in; returns its exit code."""

    def run(*args, preset='preset.py'):
        options = ('--preset', folder / preset, '--work-dir', tmp_path / 'card')
        return run_tool('scorecard', *options, *args)

    run.sweeps = StandIn()
    monkeypatch.setattr(Sweep, 'run', lambda sweep, jobs=None: run.sweeps(sweep, jobs))
    return run


def checkpoint(folder, name):
    return f'{name}={folder / name / "epoch_1.pth"}'


def test_the_table_compares_with_both_baselines(scorecard, folder, tmp_path, capsys):
    assert scorecard('--jobs', 2, folder / 'a' / 'epoch_1.pth', checkpoint(folder, 'b')) == 0
    assert scorecard.sweeps.inits == [['scratch', 'a', 'b'], ['scratch', 'supervised', 'a', 'b']]
    assert scorecard.sweeps.jobs == 2
    record = tmp_path / 'card' / 'second' / 'init=supervised_seed=0' / 'trial.json'
    settings = json.loads(record.read_text())['settings']
    baseline = tmp_path / 'card' / 'first' / 'init=scratch_seed=0' / 'epoch_2.pth'
    assert settings['--init'] == f'supervised={baseline}'
    assert settings['train_cfg.max_epochs'] == 2
    output = capsys.readouterr().out
    assert re.search(r'\| supervised +\| +- \| +125.0 ± 7.1 \(\+20.0\) \|', output)

    rows = list(csv.DictReader((tmp_path / 'card' / 'scorecard.csv').open()))
    (row,) = [r for r in rows if (r['task'], r['init']) == ('second', 'b')]
    found = [float(row[k]) for k in ('n', 'mean', 'std', 'minus_scratch', 'minus_supervised')]
    assert found == pytest.approx([2, 115, 7.0711, 10, -10], abs=1e-4)
    content = json.loads((tmp_path / 'card' / 'scorecard.json').read_text())
    assert content['problems'] == [] and content['results'][0]['mean'] == 10.5

    page = (tmp_path / 'card' / 'scorecard.html').read_text()
    gains = re.findall(r'<span class="(up|down)">([-+][\d.]+)</span>', page)
    assert ('up', '+10.0') in gains and ('down', '-10.0') in gains
    assert page.count('<span class="best">') == 2 and '<span class="best">155.0</span>' in page
    assert page.count('<img src="data:image/png;base64,') == 2  # a curve for each task
    assert 'num_heads=3' in page and not re.search(r'(src|href)="(?!data:)', page)


def test_of_a_grid_the_best_setting_counts(scorecard, folder, tmp_path, capsys):
    recipe = folder / 'grid.py'
    grid = "sweep_grid = {'model.backbone.drop_path_rate': [0.0, 0.1, 0.2]}\n"
    recipe.write_text((folder / 'small.py').read_text() + grid)
    write_preset(folder, recipe, 'grid_preset.py')
    scorecard.sweeps.gains = {'0.1': 0.9, '0.2': 1.8}
    assert scorecard(checkpoint(folder, 'a'), preset='grid_preset.py') == 0
    assert re.search(r'\| a +\| 17.3 ± 0.7 \(\+5.0\) \|', capsys.readouterr().out)
    record = tmp_path / 'card/second/init=supervised_drop_path_rate=0.0_seed=0/trial.json'
    assert 'init=scratch_drop_path_rate=0.2_seed=0/epoch_2.pth' in record.read_text()


def test_the_papers_numbers_and_those_of_shared_trainings_have_places(
    scorecard, folder, tmp_path, capsys
):
    """The baseline is trained again in its own task; a task of another has no trainings."""
    more = dict(of='first', name='more', title='More', metric='accuracy/top5', label='top-5, %')
    more['paper'] = dict(vit=dict(a=17.5))
    text = (folder / 'preset.py').read_text().replace('supervised=', 'again=True, supervised=')
    (folder / 'paper.py').write_text(f'{text}tasks.append({more})\n')
    assert scorecard(checkpoint(folder, 'a'), preset='paper.py') == 0
    assert scorecard.sweeps.inits == [
        ['scratch', 'a'], ['scratch', 'supervised', 'a'], ['scratch', 'supervised', 'a']
    ]  # fmt: skip
    table = capsys.readouterr().out
    assert re.search(r'\| supervised +\| +12.5 ± 0.7 \(\+2.0\) .*\| +6.2 ± 0.4 \(\+1.0\)', table)
    assert re.search(r'\| a, paper +\| +- \| +- \| +17.5 \|', table)
    page = (tmp_path / 'card' / 'scorecard.html').read_text()
    assert re.search(r'<td>a, paper</td>\s+<td>-</td>\s+<td>-</td>\s+<td>17.5</td>', page)
    assert not (tmp_path / 'card' / 'more').exists()
    rows = list(csv.DictReader((tmp_path / 'card' / 'scorecard.csv').open()))
    assert [r['paper'] for r in rows if r['init'] == 'a'] == ['', '', '17.5']
    assert scorecard(checkpoint(folder, 'a'), '--tasks', 'first', preset='paper.py') == 0
    assert len(scorecard.sweeps.inits) == 5  # twice, as before, and both of its columns


def test_the_preset_paper_lists_eleven_numbers_without_checkpoints(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run_tool('scorecard', '--preset', 'paper', '--dry-run') == 0
    out = capsys.readouterr().out
    lines = {words[1]: words[2:] for words in (re.split(r' *\| *', row) for row in out.split('\n'))
             if len(words) > 2}  # fmt: skip
    for name in ('scratch', 'supervised', 'mae', 'd-mae', 'd2-mae'):
        assert lines[name] == 11 * ['-'] + ['']
    found = {name: [float(v) for v in lines[f'{name}, paper'][:11]] for name in ('mae', 'd2-mae')}
    gains = [b - a for a, b in zip(*found.values(), strict=True)]  # as Table 6 states them
    assert gains == pytest.approx([0.7, 10.2, 13.9, 15.4, 9.4, 6.3, 2.2, 8.8, 4.5, 2.6, 2.1])
    assert 'ImageNet-1K: 5 trainings' in out and 'Pets: 60 trainings' in out
    assert 'the weights of mae are missing: checkpoints/mae_vit-tiny_400e_in1k.pth' in out
    assert run_tool('scorecard', '--preset', 'paper', 'mae') == 1  # not in earnest


def test_another_checkpoint_joins_but_no_other_settings(scorecard, folder, capsys):
    assert scorecard(checkpoint(folder, 'a')) == 0
    assert scorecard(checkpoint(folder, 'b')) == 0
    assert scorecard.sweeps.inits[-1] == ['scratch', 'supervised', 'b']
    capsys.readouterr()
    assert scorecard(f'a={folder / "b" / "epoch_1.pth"}') == 2
    write_preset(folder, folder / 'small.py', 'other.py', epochs=3)
    assert scorecard(checkpoint(folder, 'a'), preset='other.py') == 2
    weights, epochs = capsys.readouterr().err.splitlines()
    assert re.search(r'first/init=a_seed=0/trial.json: --init was .* and is n', weights)
    assert (
        'second/init=scratch_seed=0/trial.json: train_cfg.max_epochs was 2 and is now 3' in epochs
    )
    assert len(scorecard.sweeps.inits) == 4  # no training more


def test_what_fails_or_is_missing_is_named_and_the_rest_goes_on(
    scorecard, folder, tmp_path, capsys
):
    lacking, small = folder / 'lacking.py', folder / 'small.py'
    text = small.read_text().replace(str(folder / 'data'), str(tmp_path / 'none'))
    lacking.write_text(f"{text}make_data = 'python {tmp_path}/none.py'\n")
    write_preset(folder, small, 'half.py')
    text = (folder / 'half.py').read_text()
    (folder / 'half.py').write_text(text.replace(str(small), str(lacking), 1))
    scorecard.sweeps.failing = ('a',)
    assert scorecard(checkpoint(folder, 'a'), preset='half.py') == 1
    assert scorecard.sweeps.inits == [['scratch', 'a']]  # no supervised baseline without the first
    error = capsys.readouterr().err
    assert 'generating data: ' in error and "can't open file" in error
    assert f"First was left out: train_dataloader.dataset.data_root is '{tmp_path}" in error
    page = (tmp_path / 'card' / 'scorecard.html').read_text()
    for text in (error, page):
        assert 'Second, init=a_seed=0: CUDA out of memory (' in text
    assert '<h2>Not complete</h2>' in page and '105.0</span>' in page


def test_dry_run_prints_what_would_be_trained(scorecard, folder, tmp_path, capsys):
    assert scorecard(checkpoint(folder, 'a'), '--dry-run') == 0
    out = capsys.readouterr().out
    assert 'First: 4 trainings' in out and 'Second: 6 trainings' in out
    assert 'about 0:16:00 (h:mm:ss) on two CPU cores' in out
    assert scorecard.sweeps.inits == [] and not (tmp_path / 'card').exists()


BAD = {
    'x=none.pth': 'none.pth does not exist',
    'mocov4': '--init mocov4 is neither a file nor one of .*near names: mocov3',
    'x=': "--init 'x=' must have a checkpoint after =",
    'scratch={a}': "'scratch' is a baseline of every scorecard",
    '{a} a={b}': "two checkpoints are called 'a'",
    '{a} {wide}': 'trained with embed_dims=32 but the config builds',
    '{bare}': 'does not record its backbone: convert it by tools/model_conv',
    '{a} --tasks secnd': "preset.py has no task 'secnd': choose .*second",
    '{a} --preset {odd}': r"task first: got an unexpected .*'minute'",
}


@pytest.mark.parametrize('line', BAD)
def test_a_mistake_is_one_sentence(line, scorecard, folder, tmp_path, capsys):
    wide = ViT(dict(embed_dims=32, num_layers=2, num_heads=4), img_size=32)
    wide, bare = save_backbone(tmp_path / 'wide' / '1.pth', wide), tmp_path / 'bare.pth'
    torch.save(dict(state_dict={}), bare)
    odd = tmp_path / 'odd.py'
    odd.write_text((folder / 'preset.py').read_text().replace('minutes', 'minute'))
    paths = {n: folder / n / 'epoch_1.pth' for n in 'ab'} | dict(wide=wide, bare=bare, odd=odd)
    message = BAD[line]
    assert scorecard(*line.format(**paths).split()) in (1, 2)
    captured = capsys.readouterr()
    assert re.search(message, captured.err) and len(captured.err.splitlines()) == 1
    assert scorecard.sweeps.inits == [] and not (tmp_path / 'card').exists()


class InProcess:
    """In place of ``Program``: runs a tool at once."""

    def __init__(self, command, log):
        name = Path(command[1]).relative_to(TOOLS).with_suffix('')
        self.code = run_tool(name, *command[2:])

    wait = stop = lambda self: None

    def failure(self):
        return self.code and f'exit code {self.code}'


def test_figures_show_the_weights_before_fine_tuning(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(module, 'Program', InProcess)
    write_preset(folder, folder / 'small.py', 'figures.py', images=6)
    inits = read_inits([checkpoint(folder, name) for name in 'ab'])
    card = Scorecard(load_preset(str(folder / 'figures.py'), KINDS[0]), inits, tmp_path)
    card._draw_figures()
    card._write()
    assert card.problems == []
    page = (tmp_path / 'scorecard.html').read_text()
    assert page.count('<img src="data:image/png;base64,') == 2
    assert '<h2>Similarity of layers</h2>' in page and '<h2>Attention</h2>' in page


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('name', preset_names())
def test_recipes_and_options_of_a_preset_exist(name, kind):
    preset = load_preset(name, kind)
    baselines = [task.supervised for task in preset.tasks]
    assert baselines == [True] + [False] * (len(preset.tasks) - 1)
    for task in preset.tasks:
        cfg = Config.fromfile(task.config)
        assert cfg.model.backbone.type == kind
        for key in (key for key in task.options if not key.startswith('--')):
            value = cfg
            for part in key.split('.'):
                value = value[int(part) if isinstance(value, list) else part]
        changed = read_config(task.config, cfg_options=task.options)
        length = changed.train_cfg.get('max_epochs') or changed.train_cfg.get('max_iters')
        assert max(schedule.end for schedule in changed.param_scheduler) == length
        assert task.minutes
