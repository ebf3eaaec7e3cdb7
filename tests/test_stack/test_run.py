"""``mmlite run``: programs of others begin as if they imported mmlite."""

import subprocess
import sys
from pathlib import Path

import mmdet

from mmlite.utils.paths import suite_path

PRINT = Path(mmdet.__path__[0], '.mim', 'tools', 'misc', 'print_config.py')


def test_a_tool_of_mmdet_reads_its_own_bases(tmp_path):
    """Below another program, as mim starts it, and beside the start file of the environment."""
    (tmp_path / 'mine.py').write_text("_base_ = 'mmdet::_base_/models/retinanet_r50_fpn.py'\n")
    (tmp_path / 'sitecustomize.py').write_text("print('own start')\n")
    program = ['sh', '-c', '"$0" "$@"; exit 3', sys.executable, str(PRINT), 'mine.py']
    command = [sys.executable, str(suite_path('tools', 'run.py')), *program]
    environment = dict(PATH='/usr/bin:/bin', PYTHONPATH=f'{suite_path()}:{tmp_path}')
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert "type='RetinaNet'" in done.stdout and 'own start' in done.stdout, done.stderr
    assert done.returncode == 3


def test_mmlite_is_imported_after_mmengine_alone(tmp_path):
    """A process that does not import mmengine does not wait for torch."""
    program = (
        'import sys; print("torch" in sys.modules); import mmengine; print("mmlite" in sys.modules)'
    )
    command = [sys.executable, '-m', 'mmlite', 'run', sys.executable, '-c', program]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.split() == ['False', 'True'], done.stderr
