"""The scorecard from the command line: with stand-ins for trainings, and once for true."""

import csv
import json
import os
import re
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny_classifier
import torch

from mmlite.models import ViT

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools' / 'scorecard.py'
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
        configs=dict(vit={config!r}), options=['train_cfg.max_epochs={epochs}'], gmac=2.0,
        images=9_000_000_000,
    ),
]
"""
GAINS = dict(scratch=10, supervised=12, a=15, b=11)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Config, data, preset, and two checkpoints of the small classifier's backbone."""
    folder = tmp_path_factory.mktemp('scorecard')
    write_preset(folder, tiny_classifier.write(folder))
    for seed, name in enumerate('ab'):
        torch.manual_seed(seed)
        save(folder / name / 'epoch_1.pth', dict(embed_dims=24, num_layers=2, num_heads=3))
    return folder


def write_preset(folder, config, name='preset.py', seeds=(0, 1), epochs=2, images=0):
    text = PRESET.format(config=str(config), seeds=list(seeds), epochs=epochs, images=images)
    (folder / name).write_text(text)


def save(path, arch, meta=True):
    model = ViT(arch, img_size=32)
    path.parent.mkdir(exist_ok=True)
    state = {f'backbone.{k}': v for k, v in model.state_dict().items()}
    meta = dict(backbone=model.describe()) if meta else {}
    torch.save(dict(state_dict=state, meta=meta), path)
    return path


class StandIn:
    """In place of ``run_program``: notes commands and leaves what a sweep leaves."""

    def __init__(self):
        self.commands = []
        self.fails = ()
        self.settings = {'': 0}  # of the recipe's grid -> what it adds

    def __call__(self, command):
        self.commands.append([str(word) for word in command])
        words = command[command.index('--work-dir') + 1 :]
        inits = words[words.index('--init') + 1 : words.index('--seeds')]
        for name in (init.partition('=')[0] for init in inits):
            for seed in (0, 1):
                for setting, more in self.settings.items() if name not in self.fails else ():
                    cell = Path(words[0]) / f'init={name}_{setting}seed={seed}'
                    self.leave(cell, GAINS[name] + seed + more)
        return 1 if self.fails else 0

    def leave(self, cell, value):
        cell.mkdir(parents=True, exist_ok=True)
        (cell / 'epoch_2.pth').touch()
        (cell / 'last_checkpoint').write_text(str(cell / 'epoch_2.pth'))
        found = {'accuracy/top1': dict(final=value, min=value, max=value)}
        (cell / 'result.json').write_text(json.dumps(dict(training={}, validation=found)))
        log = cell / '1' / 'vis_data' / 'scalars.json'
        log.parent.mkdir(parents=True, exist_ok=True)
        records = [{'accuracy/top1': value - 2, 'step': 1}, {'accuracy/top1': value, 'step': 2}]
        log.write_text(''.join(json.dumps(record) + '\n' for record in records))


@pytest.fixture
def scorecard(folder, tmp_path, monkeypatch):
    """Function: run the tool with the stand-in; returns its exit code."""

    def run(*args, preset='preset.py'):
        main = runpy.run_path(str(TOOL))['main']
        monkeypatch.setitem(main.__wrapped__.__globals__, 'run_program', run.programs)
        words = [*args, '--preset', folder / preset, '--work-dir', tmp_path / 'card']
        return main([str(word) for word in words])

    run.programs = StandIn()
    return run


def checkpoint(folder, name):
    return f'{name}={folder / name / "epoch_1.pth"}'


def inits(command):
    """Names of the starts of a sweep."""
    between = command[command.index('--init') + 1 : command.index('--seeds')]
    return [word.partition('=')[0] for word in between]


def test_the_table_compares_with_both_baselines(scorecard, folder, tmp_path, capsys):
    assert scorecard(folder / 'a' / 'epoch_1.pth', checkpoint(folder, 'b'), '--jobs', 2) == 0
    first, second = scorecard.programs.commands
    assert inits(first) == ['scratch', 'a', 'b']
    assert inits(second) == ['scratch', 'supervised', 'a', 'b']
    baseline = tmp_path / 'card' / 'first' / 'init=scratch_seed=0' / 'epoch_2.pth'
    assert f'supervised={baseline}' in second
    assert second[-2:] == ['--cfg-options', 'train_cfg.max_epochs=2']
    assert first[first.index('--jobs') + 1] == '2'
    assert '| supervised | - | 125.0 ± 7.1 (+20.0) |' in capsys.readouterr().out

    rows = list(csv.DictReader((tmp_path / 'card' / 'scorecard.csv').open()))
    (row,) = [r for r in rows if (r['task'], r['start']) == ('second', 'b')]
    found = [float(row[k]) for k in ('n', 'mean', 'std', 'minus_scratch', 'minus_supervised')]
    assert found == pytest.approx([2, 115, 7.0711, 10, -10])
    content = json.loads((tmp_path / 'card' / 'scorecard.json').read_text())
    assert len(content['commands']) == 2 and content['problems'] == []
    assert content['seeds'] == [0, 1] and content['results'][0]['mean'] == 10.5

    page = (tmp_path / 'card' / 'scorecard.html').read_text()
    assert '<span class="up">+10.0</span> / <span class="down">-10.0</span>' in page
    assert page.count('<span class="best">') == 2 and '>155.0</span>' in page
    assert page.count('<img src="data:image/png;base64,') == 2  # a curve for each task
    assert 'train_cfg.max_epochs=2' in page and 'num_heads=3' in page
    assert not re.search(r'(src|href)="(?!data:)', page)


def test_of_a_grid_the_best_setting_counts(scorecard, folder, tmp_path, capsys):
    recipe = folder / 'grid.py'
    grid = "sweep_grid = ['model.backbone.drop_path_rate=0.0,0.1,0.2']\n"
    recipe.write_text((folder / 'small.py').read_text() + grid)
    write_preset(folder, recipe, 'grid_preset.py')
    scorecard.programs.settings = {f'drop_path_rate={r}_': 9 * r for r in (0.0, 0.2, 0.1)}
    assert scorecard(checkpoint(folder, 'a'), preset='grid_preset.py') == 0
    assert '| a | 17.3 ± 0.7 (+5.0) |' in capsys.readouterr().out
    page = (tmp_path / 'card' / 'scorecard.html').read_text()
    assert 'First and Second: the best setting of the recipe’s grid for each start.' in page
    assert page.count('<img src="data:image/png;base64,') == 2
    (baseline,) = [w for w in scorecard.programs.commands[1] if w.startswith('supervised=')]
    assert 'init=scratch_drop_path_rate=0.2_seed=0' in baseline


def test_another_checkpoint_joins_and_nothing_is_lost(scorecard, folder, tmp_path):
    assert scorecard(checkpoint(folder, 'a')) == 0
    assert scorecard(checkpoint(folder, 'b')) == 0
    assert inits(scorecard.programs.commands[-1]) == ['scratch', 'supervised', 'b']
    settings = json.loads((tmp_path / 'card' / 'settings.json').read_text())
    assert list(settings['starts']) == ['a', 'b']


def test_what_fails_or_is_missing_is_named_and_the_rest_goes_on(
    scorecard, folder, tmp_path, capsys
):
    lacking, small = folder / 'lacking.py', folder / 'small.py'
    lacking.write_text(
        small.read_text().replace(str(folder / 'data'), str(tmp_path / 'none'))
        + 'make_data = None\n'
    )
    write_preset(folder, small, 'half.py')
    text = (folder / 'half.py').read_text()
    (folder / 'half.py').write_text(text.replace(str(small), str(lacking), 1))
    scorecard.programs.fails = ('a',)
    assert scorecard(checkpoint(folder, 'a'), preset='half.py') == 1
    (command,) = scorecard.programs.commands
    assert inits(command) == ['scratch', 'a']  # without the first task no supervised baseline
    error = capsys.readouterr().err
    assert f"First was left out: train_dataloader.dataset.data_root names '{tmp_path}" in error
    assert 'Second: training ended with exit code 1' in error
    page = (tmp_path / 'card' / 'scorecard.html').read_text()
    assert '<h2>Not complete</h2>' in page and 'Second: training ended' in page
    assert '>105.0</span>' in page


def test_a_folder_of_other_settings_is_refused_or_moved_aside(scorecard, folder, tmp_path, capsys):
    assert scorecard(checkpoint(folder, 'a')) == 0
    capsys.readouterr()
    assert scorecard(checkpoint(folder, 'a'), '--seeds', 1) == 2
    file = tmp_path / 'card' / 'settings.json'
    assert f'{file}: seeds was [0, 1] and is now [1]; choose another' in capsys.readouterr().err
    assert scorecard(f'a={folder / "b" / "epoch_1.pth"}') == 2
    assert f'{file}: a was another checkpoint; choose' in capsys.readouterr().err
    write_preset(folder, folder / 'small.py', 'changing.py', epochs=2)
    assert scorecard(checkpoint(folder, 'a'), '--anew', preset='changing.py') == 0
    assert (tmp_path / 'card.1' / 'scorecard.html').is_file()
    write_preset(folder, folder / 'small.py', 'changing.py', epochs=3)
    capsys.readouterr()
    assert scorecard(checkpoint(folder, 'a'), preset='changing.py') == 2
    assert 'the preset changing has changed since; choose' in capsys.readouterr().err


def test_dry_run_tells_what_it_would_do(scorecard, folder, tmp_path, capsys):
    assert scorecard(checkpoint(folder, 'a'), '--dry-run', '--gpu-tflops', 15) == 0
    out = capsys.readouterr().out
    assert 'First: 4 trainings' in out and 'Second: 6 trainings' in out
    assert '--init scratch a=' in out
    hours = 3 * 2 * 2e9 * 9e9 / 15e12 / 3600
    assert f'about {hours:.0f} GPU-hours each' in out
    assert f'about {6 * hours:.0f} GPU-hours in all' in out and 'about 4 min 00 s in all' in out
    assert scorecard.programs.commands == [] and not (tmp_path / 'card').exists()


BAD = {
    'missing file': (['x=none.pth'], 'none.pth does not exist'),
    'name of a baseline': (['scratch={a}'], "'scratch' is a baseline of every scorecard"),
    'one name twice': (['{a}', 'a={b}'], "two checkpoints are called 'a'"),
    'two architectures': (['{a}', '{wide}'], 'num_heads=4, but .*: one scorecard compares'),
    'another architecture': (['{wide}'], 'trained with embed_dims=32 but the config builds'),
    'unrecorded': (['{bare}'], 'does not record its backbone: convert it by tools/model_conv'),
    'unknown task': (['{a}', '--tasks', 'secnd'], "preset.py has no task 'secnd': choose .*second"),
    'unknown preset': (['{a}', '--preset', 'shaps'], "there is no preset 'shaps': give a file or"),
}


@pytest.mark.parametrize('name', BAD)
def test_a_mistake_is_one_sentence(name, scorecard, folder, tmp_path, capsys):
    wide = save(tmp_path / 'wide' / '1.pth', dict(embed_dims=32, num_layers=2, num_heads=4))
    bare = save(tmp_path / 'bare' / '1.pth', dict(embed_dims=24, num_layers=2, num_heads=3), False)
    paths = {n: folder / n / 'epoch_1.pth' for n in 'ab'} | dict(wide=wide, bare=bare)
    words, message = BAD[name]
    words = [word.format(**paths) for word in words]
    if '--preset' in words:
        main = runpy.run_path(str(TOOL))['main']
        assert main([*words, '--work-dir', str(tmp_path / 'card')]) == 2
    else:
        assert scorecard(*words) in (1, 2)
    captured = capsys.readouterr()
    assert re.search(message, captured.err) and len(captured.err.splitlines()) == 1
    assert scorecard.programs.commands == [] and not (tmp_path / 'card').exists()


def test_a_kill_loses_at_most_the_running_training(folder, tmp_path):
    """For true: killed in the middle, the scorecard goes on and trains nothing twice."""
    write_preset(folder, folder / 'small.py', 'true.py', seeds=[0], images=6)
    words = [
        sys.executable,
        str(TOOL),
        checkpoint(folder, 'a'),
        '--preset',
        str(folder / 'true.py'),
    ]
    words += ['--work-dir', str(tmp_path / 'card')]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, start_new_session=True)
    done = tmp_path / 'card' / 'first' / 'init=scratch_seed=0' / 'result.json'
    deadline = time.monotonic() + 300
    while not done.is_file() and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait() == 128 + signal.SIGTERM
    before = done.stat().st_mtime_ns
    assert subprocess.run(words, stdout=subprocess.DEVNULL).returncode == 0
    assert done.stat().st_mtime_ns == before
    rows = list(csv.DictReader((tmp_path / 'card' / 'scorecard.csv').open()))
    assert [(row['task'], row['start']) for row in rows] == [
        ('first', 'scratch'), ('first', 'a'),
        ('second', 'scratch'), ('second', 'supervised'), ('second', 'a'),
    ]  # fmt: skip
    page = (tmp_path / 'card' / 'scorecard.html').read_text()
    assert page.count('<img src="data:image/png;base64,') == 4  # two curves, similarity, attention
    assert '<h2>Not complete</h2>' not in page
