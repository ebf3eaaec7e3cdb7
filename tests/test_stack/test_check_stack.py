"""``tools/check_stack.py``: its table, its advice and its exit code."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tools'))
import check_stack  # noqa: E402


def test_this_environment_is_right(capsys):
    assert check_stack.main() == 0
    output = capsys.readouterr().out
    rows = {line.split()[0]: line.split() for line in output.splitlines() if line.strip()}
    assert rows['mmengine'] == ['mmengine', '==0.10.7', '0.10.7', 'ok']
    assert 'GPU' in rows and output.splitlines()[-1] == 'All is right.'


@pytest.mark.parametrize('found, state', [(None, 'missing'), ('0.9.0', 'wrong version')])
def test_wrong_package(monkeypatch, capsys, found, state):
    installed = check_stack.installed
    monkeypatch.setattr(
        check_stack, 'installed', lambda name: found if name == 'timm' else installed(name)
    )
    assert check_stack.main() == 1
    output = capsys.readouterr().out
    row = next(line for line in output.splitlines() if line.strip().startswith('timm'))
    assert row.split(maxsplit=2)[2].split() == [*filter(None, [found]), *state.split()]
    assert 'To fix it: pip install "timm>=1.0.21,<1.1"' in output
    assert output.splitlines()[-1] == 'Wrong: timm.'


def test_compiled_mmcv_takes_the_place_of_mmcv_lite(monkeypatch):
    monkeypatch.setattr(check_stack, 'installed', dict(mmcv='2.1.0').get)
    rows = {row.name: row for row in check_stack.package_rows()}
    assert rows['mmcv'].ok and 'mmcv-lite' not in rows
    monkeypatch.setattr(check_stack, 'installed', dict(mmcv='2.2.0').get)
    rows = {row.name: row for row in check_stack.package_rows()}
    assert rows['mmcv'].state == 'wrong version'


def test_runs_where_nothing_is_installed():
    """Python without site-packages: no torch, no packaging."""
    command = [sys.executable, '-I', '-S', str(ROOT / 'tools' / 'check_stack.py')]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and not done.stderr
    assert 'To fix it: pip install "-r" "requirements.txt"' in done.stdout
    assert 'StackError: mmlite needs torch' in done.stdout
