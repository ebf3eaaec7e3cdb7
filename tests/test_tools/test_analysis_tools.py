"""print_config, browse_dataset and analyze_logs from the command line."""

import cv2
import pytest
import tiny
from mmengine.config import Config
from run_tool import run_tool


def tool(name, *args):
    """Run an analysis tool in this process; returns its exit code."""
    return run_tool(f'analysis_tools/{name}', *args)


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    return tiny.write_detector(tmp_path_factory.mktemp('analysis'))


def test_print_config_resolves_bases_and_options(config, tmp_path, capsys):
    out = tmp_path / 'deep' / 'full.py'
    option = 'model.backbone.depth=34'
    assert tool('print_config', config, '--cfg-options', option, '--save-path', out) == 0
    printed = Config.fromstring(capsys.readouterr().out, '.py')
    assert printed.to_dict() == Config.fromfile(out).to_dict()
    assert printed.model.backbone.depth == 34
    assert printed.model.neck.type == 'FPN'


@pytest.mark.parametrize('mode', ['original', 'transformed'])
def test_browse_dataset_writes_images(mode, config, tmp_path, capsys):
    args = ('--output-dir', tmp_path, '--number', 2, '--mode', mode, '--not-show')
    assert tool('browse_dataset', config, *args) == 0
    assert f'2 images of 4 samples are in {tmp_path}' in capsys.readouterr().out
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ['000000_0.png', '000001_1.png']
    image = cv2.imread(str(files[0]))
    assert image.shape[1] == 320
    plain = cv2.imread(str(config.parent / 'train' / '0.png'))
    drawn = (cv2.resize(plain, image.shape[1::-1]) != image).any(-1)
    assert 0.05 < drawn.mean() < 0.5  # boxes and masks, on the image


def test_browse_dataset_checks_its_part_of_the_config(config, tmp_path, capsys):
    options = ('--output-dir', tmp_path, '--phase', 'val', '--cfg-options')
    assert tool('browse_dataset', config, *options, 'model.type=Nonsense') == 0
    assert tool('browse_dataset', config, *options, 'val_dataloader.dataset.ann_file=x') == 1
    assert "val_dataloader.dataset.ann_file is '" in capsys.readouterr().err


@pytest.fixture
def runs(tmp_path):
    """Two work directories with logs of two epochs."""
    for run, scale in (('a', 1.0), ('b', 0.5)):
        records = [
            dict(lr=0.1, loss=scale / i, time=0.1 * i, epoch=1 + (i > 2), step=i) for i in (1, 2, 3)
        ]
        tiny.write_log(tmp_path / run, [*records, {'m/ap': 0.1, 'step': 2}])
    return [tmp_path / 'a', tmp_path / 'b']


def test_curves_of_several_runs_go_into_one_figure(runs, tmp_path, capsys):
    out = tmp_path / 'out' / 'curves.png'
    assert tool('analyze_logs', 'plot_curve', *runs, '--keys', 'loss', 'm/ap', '--out', out) == 0
    two = cv2.imread(str(out))
    assert tool('analyze_logs', 'plot_curve', runs[0], '--keys', 'loss', '--out', out) == 0
    assert cv2.imread(str(out)).shape[1] * 2 == two.shape[1]
    assert '1 keys of 1 runs' in capsys.readouterr().out
    assert tool('analyze_logs', 'plot_curve', *runs, '--legend', 'x', 'y', 'z') == 2
    assert '--legend has 3 names for 2 logs' in capsys.readouterr().err


def test_train_time(runs, tmp_path, capsys):
    assert tool('analyze_logs', 'cal_train_time', runs[0]) == 0
    assert capsys.readouterr().out == (
        f'{runs[0]}: 0.2250 s per iteration\n'
        '  slowest epoch 2: 0.3000 s\n'
        '  fastest epoch 1: 0.1500 s\n'
    )
    assert tool('analyze_logs', 'cal_train_time', tmp_path / 'gone') == 1
    assert 'gone does not exist' in capsys.readouterr().err
