"""The tools from the command line: the life of a detector, and every kind of bad input."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import cv2
import mmengine
import pytest
import tiny
import torch
from run_tool import run_tool
from trainings import free_port

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def local_rank(monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '0')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A folder with data and config of the small detector."""
    folder = tmp_path_factory.mktemp('tools')
    tiny.write_detector(folder)
    return folder


@pytest.fixture(scope='module')
def trained(folder):
    """The work directory after two epochs."""
    assert run_tool('train', folder / 'detector.py', '--work-dir', folder / 'work') == 0
    return folder / 'work'


def scalars(work_dir):
    """The scalar log of the only run of a work directory."""
    (log,) = work_dir.glob('*/vis_data/scalars.json')
    return [json.loads(line) for line in log.read_text().splitlines()]


def losses(work_dir):
    return {r['iter']: r['loss'] for r in scalars(work_dir) if 'loss' in r}


def test_training_leaves_plain_checkpoints(trained):
    checkpoint = torch.load(trained / 'epoch_2.pth', weights_only=True)
    assert checkpoint['meta']['epoch'] == 2
    assert sorted(losses(trained)) == [1, 2, 3, 4]


def test_resume_continues_the_losses(folder, trained):
    work = folder / 'resumed'
    args = ('--work-dir', work, '--resume', trained / 'epoch_1.pth')
    assert run_tool('train', folder / 'detector.py', *args) == 0
    assert losses(work) == {i: loss for i, loss in losses(trained).items() if i > 2}


def test_testing_gives_the_metrics_that_training_printed(folder, trained):
    out, work = folder / 'metrics.json', folder / 'test'
    args = (trained / 'epoch_2.pth', '--out', out, '--work-dir', work)
    assert run_tool('test', folder / 'detector.py', *args) == 0
    metrics = mmengine.load(out)
    assert metrics['coco/bbox_mAP'] >= 0
    printed = next(r for r in scalars(trained) if 'coco/bbox_mAP' in r)
    assert metrics == {key: value for key, value in printed.items() if key in metrics}


def test_predictions_are_written_and_drawn_under_tta(folder, trained):
    config = tiny.write_detector(
        folder,
        'tta.py',
        """
tta_model = dict(type='DetTTAModel', tta_cfg=dict(nms=dict(type='nms', iou_threshold=0.5),
                                                  max_per_img=7))
tta_pipeline = [pipeline[0], dict(type='TestTimeAug', transforms=[
    [pipeline[2]], [dict(type='RandomFlip', prob=1.), dict(type='RandomFlip', prob=0.)],
    [dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape',
                                           'scale_factor', 'flip', 'flip_direction'))]])]
""",
    )
    out, show, work = folder / 'p.pkl', folder / 'show', folder / 'tta'
    args = ('--tta', '--out', out, '--show-dir', show, '--work-dir', work)
    assert run_tool('test', config, trained / 'epoch_2.pth', *args) == 0
    predictions = pickle.loads(out.read_bytes())
    assert [len(p['pred_instances']['scores']) for p in predictions] == [7, 7]
    assert sorted(path.name for path in show.iterdir()) == ['0.png', '1.png']
    assert cv2.imread(str(show / '0.png')) is not None


def error_of(captured):
    """The only line on stderr, less its ``error: ``."""
    assert 'Traceback' not in captured.out + captured.err
    (line,) = [line for line in captured.err.splitlines() if line.startswith('error: ')]
    return line.removeprefix('error: ')


@pytest.mark.parametrize(
    ('tool', 'line', 'code', 'message'),
    [
        ('train', '{folder}/detektor.py', 2, 'detektor.py; near names: {folder}/detector.py'),
        ('train', '{config} --cfg-options model.type=RetinaNett', 2, 'near names: RetinaNet'),
        ('train', '{config} --amp', 2, 'mixed precision, which needs a GPU, but torch sees none'),
        ('train', '{config} --resume no.pth', 1, "checkpoint load_from='no.pth' does not exist"),
        ('test', '{config} x.pth --out x.txt', 2, '--out x.txt must end in .pkl (predictions) or'),
        ('test', '{config} x.pth --tta', 2, '--tta needs tta_model and tta_pipeline in the config'),
    ],
)
def test_bad_input_is_one_sentence(tool, line, code, message, folder, capsys, monkeypatch):
    monkeypatch.setattr('mmlite.engine.checks.devices.get_device', lambda: 'cpu')
    words = line.format(folder=folder, config=folder / 'detector.py').split()
    assert run_tool(tool, *words, '--work-dir', folder / 'unused') == code
    assert message.format(folder=folder) in error_of(capsys.readouterr())


class Program:
    """A pickle that runs a command when it is read by plain pickle."""

    def __reduce__(self):
        return os.system, ('touch hacked',)


SPOILED = {
    'truncated': 'spoiled.pth is truncated',
    'hostile': 'spoiled.pth ',
    'other shape': "does not fit this model: 'bbox_head.retina_cls.bias' has shape (3,), but the "
                   'config builds (18,)',
    'incomplete': 'spoiled.pth does not hold this model: 1 of ',
}  # fmt: skip


@pytest.mark.parametrize('kind', SPOILED)
def test_a_bad_checkpoint_is_one_sentence(kind, folder, trained, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    file, sound = folder / 'spoiled.pth', trained / 'epoch_2.pth'
    state = torch.load(sound, weights_only=True)['state_dict']
    if kind == 'other shape':
        state['bbox_head.retina_cls.bias'] = torch.zeros(3)
    elif kind == 'incomplete':
        del state['bbox_head.retina_cls.bias']
    torch.save(dict(state_dict=state, **(dict(x=Program()) if kind == 'hostile' else {})), file)
    if kind == 'truncated':
        file.write_bytes(sound.read_bytes()[:-1000])
    assert run_tool('test', 'detector.py', file, '--work-dir', folder / 'spoiled') == 1
    assert SPOILED[kind] in error_of(capsys.readouterr())
    assert not (folder / 'hacked').exists()


TINY = """
custom_imports = dict(imports=['tiny'])
default_scope = 'mmlite'
model = dict(type='TinyModel')
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='TinyNumbers'),
)
train_cfg = dict(by_epoch=True, max_epochs=2)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1))
randomness = dict(seed=0)
"""


def shell(*args):
    env = dict(os.environ, PYTHON=sys.executable, PYTHONPATH=f'{ROOT}:{ROOT / "tests"}')
    env.pop('LOCAL_RANK', None)
    return subprocess.run(
        [str(a) for a in args], env=env, capture_output=True, text=True, timeout=300
    )


@pytest.fixture
def cpu_only(monkeypatch):
    """Processes of this test see no GPU."""
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '-1')


def test_two_processes_train_like_one(tmp_path, cpu_only, monkeypatch):
    config = tmp_path / 'tiny.py'
    config.write_text(TINY)
    assert run_tool('train', config, '--work-dir', tmp_path / 'one') == 0
    monkeypatch.setenv('PORT', str(free_port()))
    options = ('--cfg-options', 'train_dataloader.batch_size=2')
    script = ROOT / 'tools' / 'dist_train.sh'
    run = shell('bash', script, config, 2, '--work-dir', tmp_path / 'two', *options)
    assert run.returncode == 0, run.stderr
    one, two = (
        torch.load(tmp_path / name / 'epoch_2.pth', weights_only=True) for name in ('one', 'two')
    )
    torch.testing.assert_close(two['state_dict'], one['state_dict'], rtol=1e-5, atol=1e-6)
    assert two['meta']['iter'] == one['meta']['iter'] == 4


def test_a_distributed_mistake_is_said_once(tmp_path, cpu_only, monkeypatch):
    config = tmp_path / 'tiny.py'
    config.write_text(TINY.replace('TinyModel', 'TinyModell'))
    monkeypatch.setenv('PORT', str(free_port()))
    script = ROOT / 'tools' / 'dist_test.sh'
    run = shell('bash', script, config, 'x.pth', 2, '--work-dir', tmp_path / 'work')
    assert run.returncode == 2
    assert run.stderr.count('error: ') == 1, run.stderr
    assert 'cannot test: it has no test_dataloader' in run.stderr
    assert 'Traceback' not in run.stdout + run.stderr


@pytest.mark.parametrize('script', ['dist_train', 'dist_test', 'slurm_train', 'slurm_batch'])
def test_scripts_say_how_they_are_used(script):
    run = shell('bash', ROOT / 'tools' / f'{script}.sh', *['only one'] * (script != 'slurm_batch'))
    assert run.returncode == 2 and run.stderr.startswith('usage: ')


def test_slurm_scripts_start_every_task_with_the_launcher(tmp_path, monkeypatch):
    srun = tmp_path / 'srun'
    srun.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    srun.chmod(0o755)
    monkeypatch.setenv('PATH', f'{tmp_path}:{os.environ["PATH"]}')
    monkeypatch.setenv('GPUS', '4')
    monkeypatch.setenv('SRUN_ARGS', '--quotatype=spot --exclusive')
    run = shell('bash', ROOT / 'tools/slurm_train.sh', 'part', 'a job', 'c.py', '--amp')
    words = run.stdout.splitlines()
    assert words[:2] == ['--partition=part', '--job-name=a job']
    assert {'--ntasks=4', '--ntasks-per-node=4', '--gres=gpu:4', '--cpus-per-task=5'} < set(words)
    assert words[-9:] == [
        '--quotatype=spot', '--exclusive', sys.executable, '-u', f'{ROOT}/tools/train.py', 'c.py',
        '--launcher', 'slurm', '--amp',
    ]  # fmt: skip
    run = shell('bash', ROOT / 'tools/slurm_test.sh', 'part', 'job', 'c.py', 'x.pth')
    assert run.stdout.splitlines()[-5:] == [
        f'{ROOT}/tools/test.py', 'c.py', 'x.pth', '--launcher', 'slurm'
    ]  # fmt: skip


@pytest.mark.parametrize('code, queued', [(75, True), (0, False), (1, False)])
def test_a_slurm_job_that_was_stopped_is_queued_again(code, queued, tmp_path, monkeypatch):
    for name, text in (('srun', f'echo "$@"; exit {code}'), ('scontrol', 'echo "scontrol $@"')):
        (tmp_path / name).write_text(f'#!/bin/sh\n{text}\n')
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv('PATH', f'{tmp_path}:{os.environ["PATH"]}')
    monkeypatch.setenv('SLURM_JOB_ID', '7')
    monkeypatch.setenv('SLURM_SUBMIT_DIR', str(ROOT))
    run = shell('bash', ROOT / 'tools/slurm_batch.sh', 'c.py', '--amp')
    train, *rest = run.stdout.splitlines()
    assert train.endswith('-u tools/train.py c.py --launcher slurm --resume --amp')
    assert rest == ['scontrol requeue 7'] * queued
    assert run.returncode == code
