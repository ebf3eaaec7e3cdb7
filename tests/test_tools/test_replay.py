"""A run that stops at a NaN, and the tool that runs its last step again."""

import multiprocessing
import os
import re
import traceback
from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest
import tiny_classifier
import tiny_tasks
import torch
import torch.distributed as dist
import trainings
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from mmengine.config import Config
from mmengine.structures import InstanceData, LabelData, PixelData
from run_tool import run_tool
from tiny_fragile import write_config

from mmlite.engine import launch
from mmlite.engine.nonfinite.step import FORMAT, read, write
from mmlite.errors import CheckpointError, NonFiniteError

REPLAY = 'analysis_tools/replay'
ONCE = "default_hooks['finite'].update(max_skipped=1)\n"
RUNS = {
    'infinite loss': (dict(fault='infinite loss'), 'output that is not finite: FragileModel\n'),
    'gradient': (dict(fault='gradient'), "backward pass: Function 'SqrtBackward0' returned nan"),
    'batch': (dict(fault='batch'), 'not finite before the step: batches[0].inputs[1]\n'),
    'accumulated': (
        dict(fault='batch', at=[2], extra='optim_wrapper.update(accumulative_counts=2)\n'),
        'not finite before the step: batches[0].inputs[1]\n',
    ),
    'scaled': (
        dict(fault='gradient', extra=f"{ONCE}optim_wrapper.update(type='ScaledOptimWrapper')\n"),
        "Function 'SqrtBackward0' returned nan",
    ),
}
"""Name -> options of a run that stops at iteration 4, and what is named as the cause."""


def train(folder, **options):
    """Train until it stops; returns the directory of the step."""
    config = write_config(folder, **{'at': [3], **options})
    assert run_tool('train', config, '--work-dir', folder / 'work') == 3
    return folder / 'work' / 'failed_step_4'


@pytest.fixture(scope='module')
def failed(tmp_path_factory):
    """The directory of a step whose loss is NaN."""
    return train(tmp_path_factory.mktemp('failed'), fault='nan loss')


@pytest.fixture
def replay(capsys):
    """Run the tool; returns its exit code, its output and its last line on stderr."""

    def run(*args):
        capsys.readouterr()
        code = run_tool(REPLAY, *args)
        captured = capsys.readouterr()
        assert 'Traceback (most recent' not in captured.err
        return code, captured.out, captured.err.strip().split('\n')[-1]

    return run


@pytest.mark.parametrize('name', RUNS)
def test_the_step_is_reproduced_bit_for_bit(name, tmp_path, replay):
    options, cause = RUNS[name]
    code, out, _ = replay(train(tmp_path, **options))
    assert code == 0
    assert out.endswith('reproduced bit for bit\n')
    rows = re.findall(r'^(loss_error) +(\S+) +(\S+)$', out, re.M)
    assert len(rows) == (2 if name == 'accumulated' else 1)
    assert all(now == then for _, now, then in rows)
    assert ('gradient is not finite: scale\n' in out) == (name in ('gradient', 'scaled'))
    assert cause in out


SABOTAGE = """
custom_imports = dict(imports=['tiny_fragile'])
custom_hooks = [dict(type='mmlite.Sabotage', fault={fault!r}, at=[1])]
"""
EMBEDDING = 'backbone.patch_embed.proj'
TASKS = {
    'detection': ('backbone.conv1', partial(trainings.write, 'detection')),
    'pretraining': ('backbone.blocks.0.attn.qkv', partial(trainings.write, 'pretraining')),
    'tracking': (EMBEDDING, partial(trainings.write, 'tracking')),
    'classification': (EMBEDDING, tiny_classifier.write),
    'segmentation': (EMBEDDING, lambda folder: tiny_tasks.write('seg', folder).config),
}  # -> the layer that gets a NaN, and what writes the config


@pytest.mark.parametrize('task', TASKS)
def test_every_task_is_replayed_without_its_data(task, tmp_path, replay):
    """Targets, masks and mixtures are drawn as before; images and labels come from the file."""
    layer, write_task = TASKS[task]
    config = write_task(tmp_path)
    config.write_text(config.read_text() + SABOTAGE.format(fault=f'{layer}.weight'))
    data = ('--cfg-options', f'val_dataloader.dataset.data_root={tmp_path}/data/')
    options = data if task == 'segmentation' else ()
    assert run_tool('train', config, '--work-dir', tmp_path / 'work', *options) == 3
    for path in [path for path in tmp_path.iterdir() if path.name != 'work']:
        path.rename(tmp_path / f'{path.name}.gone')
    code, out, error = replay(tmp_path / 'work' / 'failed_step_2')
    assert code == 0, error
    assert f'not finite before the step: weights.{layer}.weight\n' in out
    assert f'first output that is not finite: {layer}\n' in out


def remove_fault(record):
    record['settings']['']['fault'] = ''
    record['world_size'] = 2


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda r: r['losses'][0].update(loss_error=1.5), 'fails now, too, but with other loss te'),
        (lambda r: r.update(gradients=['head.bias']), 'fails now, too, but with other gradients;'),
        (remove_fault, 'the step is finite now; processes exchange gradients: try the other'),
        (lambda r: r.update(format=''), 'step.pth is not a failed step of this version'),
        (lambda r: r['optimizer']['param_groups'].pop(), 'does not fit model and optimizer'),
        (lambda r: r['weights'].pop('scale'), 'the step does not fit model and optimizer'),
    ],
)
def test_another_outcome_is_an_error(change, message, failed, tmp_path, replay):
    _, record = read(failed)
    write(tmp_path, record, Config.fromfile(failed / 'rank0' / 'config.py'))
    change(record)
    torch.save(record, tmp_path / 'step.pth')
    code, _, error = replay(tmp_path)
    assert code == 1
    assert message in error


def test_mixed_precision_is_replayed_in_full_where_there_is_no_gpu(failed, replay, monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    code, out, error = replay(failed, '--cfg-options', 'optim_wrapper.type=AmpOptimWrapper')
    assert code == 0, error
    assert out.startswith('no GPU: in full precision, where the step was in mixed precision\n')


def samples(masks):
    sample = DetDataSample(metainfo=dict(img_id=7, flip=None, mean=np.ones(3, np.float16)))
    boxes = HorizontalBoxes(torch.tensor([[0.0, 1, 2, 3]]))
    meta = dict(scale=np.float32(0.1), shape=(8, 8))
    sample.gt_instances = InstanceData(metainfo=meta, masks=masks, boxes=boxes)
    sample.gt_sem_seg = PixelData(sem_seg=torch.zeros(1, 2, 3, dtype=torch.uint8))
    sample.label = LabelData(item=torch.tensor(3))
    return [sample, (1.5, 'text', {'half': torch.ones(2).bfloat16(), 3: True})]


@pytest.mark.parametrize(
    'masks',
    [
        PolygonMasks([[np.array([0.0, 0, 4, 0, 4, 4])]], 8, 8),
        BitmapMasks(np.ones((1, 8, 8), np.uint8), 8, 8),
    ],
)
def test_structures_are_written_and_read_as_data(masks, tmp_path):
    config = Config(dict(a=1))
    write(tmp_path, dict(batches=samples(masks)), config)
    _, record = read(tmp_path)
    assert record['format'] == FORMAT
    texts = (re.sub('0x[0-9a-f]+', '', str(b)) for b in (samples(masks), record['batches']))
    once, again = (sorted(text.split('\n')) for text in texts)  # fields of metainfo are a set
    assert once == again
    assert type(record['batches'][0].gt_instances.scale) is np.float32
    assert np.array_equal(record['batches'][0].gt_instances.masks.to_ndarray(), masks.to_ndarray())
    with pytest.raises(CheckpointError, match='was refused: it asks for .*Config'):
        write(tmp_path, dict(batches=[config]), config)
    with pytest.raises(CheckpointError, match='the batch cannot be saved: '):
        write(tmp_path, dict(batches=[lambda: 0]), config)


def share(config, work, rank):
    """Train as one of two processes; writes its error beside the work directory. Never returns."""
    os.environ.update(LOCAL_RANK=str(rank), RANK=str(rank), WORLD_SIZE='2', MASTER_ADDR='localhost')
    dist.init_process_group('gloo', init_method=f'file://{work}.at', rank=rank, world_size=2)
    try:
        launch.train(launch.read_config(config, str(work), launcher='pytorch'))
    except NonFiniteError as error:
        work.with_name(f'rank{rank}.txt').write_text(str(error))
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def test_two_processes_stop_together(tmp_path, replay, monkeypatch):
    """The loss of one is infinite and all gradients are finite: nothing tells the other but us."""
    monkeypatch.setattr(launch, 'get_device', lambda: 'cpu')
    hook = 'mmlite.engine.nonfinite.hook'
    monkeypatch.setattr(f'{hook}.report_errors_once', lambda *_, **__: nullcontext())
    config = write_config(tmp_path, fault='infinite loss', at=[3], rank=1)
    fork = multiprocessing.get_context('fork')
    arguments = [(config, tmp_path / 'work', rank) for rank in (0, 1)]
    processes = [fork.Process(target=share, args=args) for args in arguments]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=60)
        process.kill()  # one that waits for the other, which has gone on
    first, second = ((tmp_path / f'rank{rank}.txt').read_text() for rank in (0, 1))
    assert first.startswith(
        'training stopped at iteration 4: the loss is finite; the loss of process 1 is not finite;'
    )
    assert second.startswith('training stopped at iteration 4: loss is inf, loss_extra is inf;')
    directory = tmp_path / 'work' / 'failed_step_4'
    assert [path.name for path in directory.iterdir()] == ['rank1']
    code, out, error = replay(directory)
    assert code == 0, error
    assert out.startswith(f'{directory}/rank1: training stopped at iteration 4: loss is inf')
