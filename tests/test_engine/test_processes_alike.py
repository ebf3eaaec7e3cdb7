"""Any number of processes: the same metrics, and the same samples and augmentations."""

import json
from collections import Counter

import pytest
import tiny_pretrain
import tiny_tasks
import trainings
from trainings import Processes

OPTIONS = {
    'cls': ['test_evaluator.topk=1,2', 'test_dataloader.dataset.indices=17'],
    'det': [
        'test_evaluator.ann_file={folder}/data/annotations/instances_val2017.json',
        'test_evaluator.outfile_prefix={folder}/{world}',
    ],
    'seg': [],
}
TELLING = {'cls': 'accuracy/top2', 'det': 'score', 'seg': 'mIoU'}
"""A metric that is neither 0 nor perfect with random weights."""
SPEED = ('time', 'fps')


def evaluate(world, folder, config, checkpoint, options):
    """Metrics of ``tools/test.py`` in so many processes; of detections, also sums over all."""
    out = folder / f'{world}.json'
    args = [config, checkpoint, '--work-dir', folder / f'work_{world}', '--out', out]
    options = [option.format(folder=folder, world=world) for option in options]
    Processes('test', [*args, *(['--cfg-options'] * bool(options)), *options], folder, world).end()
    metrics = json.loads(out.read_text())
    boxes = folder / f'{world}.bbox.json'
    if boxes.exists():
        found = json.loads(boxes.read_text())
        metrics['score'] = sum(box['score'] for box in found)
        for image in {box['image_id'] for box in found}:
            metrics[f'x of {image}'] = sum(b['bbox'][0] for b in found if b['image_id'] == image)
    return {key: value for key, value in metrics.items() if not key.lower().endswith(SPEED)}


@pytest.mark.parametrize('task', OPTIONS)
def test_metrics_do_not_depend_on_the_number_of_processes(task, tmp_path):
    case = tiny_tasks.write(task, tmp_path)  # of an odd number of images
    files = (case.config, case.weights)
    one, two = (evaluate(world, tmp_path, *files, OPTIONS[task]) for world in (1, 2))
    assert 0 < one[TELLING[task]] < 100
    assert two == pytest.approx(one, rel=1e-5, abs=1e-5, nan_ok=True)


RECORDED = """
custom_imports = dict(imports=['tiny'])
custom_hooks = [dict(type='mmlite.Batches', folder={folder!r})]
train_dataloader.update(batch_size={batch}, num_workers={workers}, persistent_workers=False)
default_hooks = dict(checkpoint=None)
val_cfg = val_dataloader = val_evaluator = None
"""
SHORT = {
    'cls': 'train_cfg.max_epochs=1',
    'det': 'train_cfg.max_iters=4',
    'pretrain': 'train_cfg.max_epochs=2',
    'seg': 'train_cfg.max_iters=3',
    'track': 'train_cfg.max_epochs=1',
}
"""Task -> option for a short run, of at least one step of four samples."""


def write_training(task, folder):
    """Config of a small model with random augmentation."""
    if task == 'det':
        return trainings.write('detection', folder)
    if task == 'pretrain':
        return tiny_pretrain.write_recipe(folder, 'default_hooks = dict()\n')
    if task == 'track':
        return trainings.write('tracking', folder)
    return tiny_tasks.write(task, folder).config


def stream(config, task, world, workers):
    """Step, pixels and seed of every sample that so many processes of so many workers train on."""
    out = config.parent / f'{world}_{workers}'
    out.mkdir()
    recorded = RECORDED.format(batch=4 // world, workers=workers, folder=str(out))
    copy = config.with_name(f'{out.name}.py')
    copy.write_text(config.read_text() + recorded)
    options = ['--cfg-options', SHORT[task]]
    Processes('train', [copy, '--work-dir', out / 'work', *options], out, world).end()
    return Counter(line for file in out.glob('batches_*') for line in file.read_text().split())


@pytest.mark.parametrize('task', SHORT)
def test_samples_do_not_depend_on_processes_and_workers(task, tmp_path):
    config = write_training(task, tmp_path)
    want = stream(config, task, 1, 0)
    assert len(want) == want.total() >= 4 and want.total() % 4 == 0
    assert stream(config, task, 2, 2 if task == 'det' else 0) == want
