import argparse
import os
from collections import Counter
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from mmlite.engine import cli
from mmlite.errors import DataError, Stopped, UserError


@pytest.mark.parametrize(
    ('raised', 'code'),
    [(UserError('wrong key'), 2), (DataError('wrong\n  file'), 1), (KeyboardInterrupt(), 130)],
)
def test_errors_of_users_become_one_line_and_an_exit_code(raised, code, capsys):
    @cli.tool
    def main(argv):
        raise raised

    assert main([]) == code
    err = capsys.readouterr().err
    assert err == (f'error: {" ".join(str(raised).split())}\n' if str(raised) else '')


def test_a_bug_keeps_its_traceback_and_success_is_zero():
    @cli.tool
    def main(argv):
        if argv:
            raise RuntimeError('bug')

    assert main([]) == 0
    with pytest.raises(RuntimeError, match='bug'):
        main(['x'])


class Trainer:
    """Refers to itself, as a runner does through its loops, and holds a wrapped model."""

    def __init__(self):
        self.itself = self
        self.model = DistributedDataParallel(torch.nn.Linear(2, 1))
        self.model(torch.ones(1, 2)).sum().backward()


@pytest.mark.parametrize('end', [None, Stopped, DataError, KeyboardInterrupt])
def test_no_thread_of_a_distributed_run_outlives_the_tool(end, tmp_path):
    @cli.tool
    def main(argv):
        meeting = f'file://{tmp_path}/meeting'
        dist.init_process_group('gloo', init_method=meeting, rank=0, world_size=1)
        trainer = Trainer()
        assert Counter(threads()) - Counter(before)  # before torch 2.8 they have no names
        if end:
            raise end('end')
        return trainer

    before = threads()
    main([])
    assert not dist.is_initialized()
    assert not Counter(threads()) - Counter(before)  # those of other tests may end meanwhile


@pytest.mark.parametrize(('end', 'waits'), [(None, True), (Stopped, True), (DataError, False)])
def test_a_process_that_failed_does_not_wait_for_others_on_gpus(end, waits, monkeypatch):
    closed = []
    monkeypatch.setattr(dist, 'is_initialized', lambda: True)
    monkeypatch.setattr(dist, 'get_backend', lambda: 'nccl')
    monkeypatch.setattr(cli, 'close_process_group', lambda: closed.append(True))

    @cli.tool
    def main(argv):
        if end:
            raise end('end')

    main([])
    assert bool(closed) == waits


def threads():
    """Names of the threads of this process that libraries may have started, too."""
    names = (Path(task, 'comm').read_text() for task in Path('/proc/self/task').iterdir())
    return sorted(name.strip() for name in names)


def test_sentence_is_found_in_the_report_of_a_worker():
    report = (
        'Caught DataError in DataLoader worker process 0.\nOriginal Traceback (most recent call '
        'last):\n  File "x.py", line 3, in f\n    raise DataError(path)\n'
        'mmlite.errors.DataError: image a.jpg cannot be read: it is empty\n'
    )
    assert cli.sentence(DataError(report)) == 'image a.jpg cannot be read: it is empty'


def parse(*options):
    parser = argparse.ArgumentParser()
    cli.add_config_options(parser)
    cli.add_launch_options(parser)
    return parser.parse_args(['c.py', *options])


def test_cfg_options_are_parsed():
    args = parse('--cfg-options', 'a.b=1', 'c=[1,2]', 'd=x=y')
    assert args.cfg_options == {'a.b': 1, 'c': [1, 2], 'd': 'x=y'}
    args = parse('--cfg-options', 'a=1', 'b=2', '--cfg-options', 'b=3')
    assert args.cfg_options == {'a': 1, 'b': 3}


@pytest.mark.parametrize(
    ('text', 'value'),
    [
        ('/my set/', '/my set/'),
        ('"/a,b (1)/"', '/a,b (1)/'),
        ("it's", "it's"),
        ("[ 'a,b' , c d,'e']", ['a,b', 'c d', 'e']),
        ('"[a, 1]"', ['a', 1]),
        ('[(0.8, 0.9)]', [(0.8, 0.9)]),
        ('(cat,)', ('cat',)),
        ('/a (1)/b[2]', '/a (1)/b[2]'),
        ('[x[1],(a b,)]', ['x[1]', ('a b',)]),
        ("'it's, b',c", ["it's, b", 'c']),
        ('(1,2),(3,4)', [(1, 2), (3, 4)]),
        ('1,', [1]),
        ('1,,-2', [1, '', -2]),
        ('', ''),
        ('[]', []),
        ('None', None),
        ('"5"', 5),
        ('1e-4', 1e-4),
        ('epoch_{}.pth', 'epoch_{}.pth'),
        ('{"a": 1, "b": [true, null]}', {'a': 1, 'b': [True, None]}),
        ("[{'a': (1, 2)},3]", [{'a': (1, 2)}, 3]),
    ],
)
def test_spaces_and_quoted_commas_stay_in_strings(text, value):
    assert parse('--cfg-options', f'a={text}').cfg_options == {'a': value}


@pytest.mark.parametrize('option', ['model.depth', '=3', 'a=[1,(2]', 'a=1],[2', 'a={b}'])
def test_malformed_cfg_options_are_refused(option, capsys):
    with pytest.raises(SystemExit) as exit_:
        parse('--cfg-options', option)
    assert exit_.value.code == 2
    assert 'error: argument --cfg-options' in capsys.readouterr().err


def test_local_rank_of_the_environment_wins(monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '3')
    cli.export_local_rank(parse('--local_rank', '1'))
    assert os.environ['LOCAL_RANK'] == '3'
    monkeypatch.delenv('LOCAL_RANK')
    cli.export_local_rank(parse('--local-rank', '1'))
    assert os.environ['LOCAL_RANK'] == '1'


@pytest.mark.parametrize(
    ('launcher', 'variable', 'rank', 'waits'),
    [
        ('none', 'LOCAL_RANK', '1', False),
        ('pytorch', 'LOCAL_RANK', '0', False),
        ('pytorch', 'LOCAL_RANK', '1', True),
        ('slurm', 'SLURM_LOCALID', '2', True),
        ('slurm', 'LOCAL_RANK', '2', False),
    ],
)
def test_other_ranks_wait_for_the_first_to_report(launcher, variable, rank, waits, monkeypatch):
    slept = []
    monkeypatch.setattr(cli.time, 'sleep', slept.append)
    monkeypatch.setenv(variable, rank)
    with pytest.raises(UserError), cli.report_errors_once(launcher, seconds=7):
        raise UserError('the same for all')
    assert slept == ([7] if waits else [])
