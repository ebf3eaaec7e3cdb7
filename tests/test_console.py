"""The console command finds its programs; names of the package are there without submodules."""

import importlib
import sys

import pytest
from mmengine.config import Config

import mmlite
from mmlite.cli import COMMANDS, main
from mmlite.utils.paths import suite_path


@pytest.fixture(autouse=True)
def arguments(monkeypatch):
    monkeypatch.setattr(sys, 'argv', sys.argv)  # which the command replaces


def test_help_lists_every_command(capsys):
    assert main(['--help']) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 + len(COMMANDS)
    for command in COMMANDS:
        (line,) = (line for line in lines if line[2:].partition('  ')[0].strip() == command)
        assert line.rstrip().endswith('.')


@pytest.mark.parametrize('command', [c for c in COMMANDS if c != 'check'])
def test_commands_name_themselves(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*command.split(), '--help'])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith(f'usage: mmlite {command}')


def test_arguments_and_exit_codes_are_passed_on(capsys):
    assert main(['config', 'absent.py']) == 2
    assert 'config not found: absent.py' in capsys.readouterr().err
    assert main(['trian']) == 2
    assert "unknown command 'trian'" in capsys.readouterr().err
    assert main(['--version']) == 0
    assert capsys.readouterr().out == f'mmlite {mmlite.__version__}\n'


def test_names_of_the_package():
    for name in mmlite.__all__:
        assert getattr(mmlite, name) is not None
    assert mmlite.ViT is importlib.import_module('mmlite.models').ViT
    with pytest.raises(AttributeError, match="no attribute 'ViTT'"):
        mmlite.ViTT  # noqa: B018


def test_own_configs_are_bases_by_name(tmp_path):
    recipe = 'det/mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px.py'
    file = tmp_path / 'mine.py'
    file.write_text(f"_base_ = 'mmlite::{recipe}'\nmodel = dict(backbone=dict(depth=3))\n")
    ours, theirs = Config.fromfile(file), Config.fromfile(suite_path('configs', recipe))
    assert ours.model.backbone.pop('depth') == 3
    assert ours.to_dict() == theirs.to_dict()
    file.write_text("_base_ = 'mmdet::_base_/models/retinanet_r50_fpn.py'\n")
    assert Config.fromfile(file).model.type == 'RetinaNet'
