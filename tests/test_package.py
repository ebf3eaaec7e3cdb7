"""What is installed from a wheel works in an empty directory, without the repository."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
CLASSIFIER = 'cls/vit-tiny_8xb128-coslr-300e_in1k.py'


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """The wheel, built from the source distribution as package indices do."""
    out = tmp_path_factory.mktemp('dist')
    build = [sys.executable, '-m', 'build', '--no-isolation', '--outdir', str(out), str(ROOT)]
    built = subprocess.run(build, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    assert len(list(out.glob('*.tar.gz'))) == 1
    return next(out.glob('*.whl'))


@pytest.fixture(scope='module')
def run(wheel, tmp_path_factory):
    """Runs Python in an empty directory, with the installed wheel before everything else."""
    site, directory = tmp_path_factory.mktemp('site'), tmp_path_factory.mktemp('empty')
    pip = [sys.executable, '-m', 'pip', 'install', '-q', '--no-deps', '--target', site, wheel]
    subprocess.run(pip, check=True)

    def run(*arguments):
        environment = dict(os.environ, PYTHONPATH=str(site))
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=directory, env=environment, capture_output=True, text=True,
        )  # fmt: skip

    run.directory = directory
    return run


def test_the_wheel_holds_configs_tools_and_templates(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for kept in ('configs', 'tools'):
        files = {
            file.relative_to(ROOT).as_posix()
            for file in (ROOT / kept).rglob('*')
            if file.is_file() and '__pycache__' not in file.parts
        }
        assert {f'mmlite/.mim/{file}' for file in files} <= names
    templates = {file.relative_to(ROOT).as_posix() for file in ROOT.glob('mmlite/**/templates/*')}
    assert templates | {'mmlite/py.typed', 'mmlite/.mim/model-index.yml'} <= names
    assert not [name for name in names if '__pycache__' in name or name.startswith('tests')]


def test_config_of_ones_own_and_scorecard(run):
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    from mmlite.registry import MODELS

    config = run.directory / 'mine.py'
    config.write_text(
        f"_base_ = 'mmlite::{CLASSIFIER}'\n"
        'model = dict(head=dict(num_classes=2), data_preprocessor=dict(num_classes=2))\n'
        "classes = ('cat', 'dog')\n"
        'metainfo = dict(classes=classes)\n'
        'train_dataloader = dict(dataset=dict(metainfo=metainfo))\n'
        'test_dataloader = dict(dataset=dict(metainfo=metainfo))\n'
    )
    cfg = Config.fromfile(config)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    meta = dict(backbone=model.backbone.describe())
    torch.save(dict(state_dict=model.state_dict(), meta=meta), run.directory / 'weights.pth')
    Image.fromarray(np.full((40, 50, 3), 90, np.uint8)).save(run.directory / 'photo.jpg')
    done = run(
        '-c',
        'import mmlite\n'
        'from mmlite.cli import main\n'
        'print(mmlite.__file__)\n'
        "main('predict mine.py weights.pth photo.jpg --out out'.split())\n"
        "main('scorecard weights.pth --dry-run'.split())\n",
    )
    assert done.returncode == 0, done.stderr
    assert str(ROOT) not in done.stdout.splitlines()[0]
    assert (run.directory / 'out' / 'predictions.json').is_file()
    assert 'detection' in done.stdout.lower()
