"""Any number of processes: the same metrics, and the same samples and augmentations."""

import json
from collections import Counter

import pytest
import tiny
import tiny_tasks
import tiny_tracker
from trainings import run_processes

OPTIONS = {
    'cls': ['test_evaluator.topk=1,2'],
    'det': [
        'test_evaluator.ann_file={folder}/data/annotations/instances_val2017.json',
        'test_evaluator.outfile_prefix={folder}/{world}',
    ],
    'seg': [],
    'track': ['test_cfg.batch_size=2'],
}
TELLING = {'cls': 'accuracy/top2', 'det': 'score', 'seg': 'mIoU', 'track': 'sot/AUC'}
"""A metric that is neither 0 nor perfect with random weights."""
SPEED = ('time', 'fps')


def evaluate(world, folder, config, checkpoint, options):
    """Metrics of ``tools/test.py`` in so many processes; of detections, also sums over all."""
    out = folder / f'{world}.json'
    args = [config, checkpoint, '--work-dir', folder / f'work_{world}', '--out', out]
    options = [option.format(folder=folder, world=world) for option in options]
    run_processes('test', [*args, *(['--cfg-options'] * bool(options)), *options], world, folder)
    metrics = json.loads(out.read_text())
    boxes = folder / f'{world}.bbox.json'
    if boxes.exists():
        found = json.loads(boxes.read_text())
        metrics['score'] = sum(box['score'] for box in found)
        for image in {box['image_id'] for box in found}:
            metrics[f'x of {image}'] = sum(b['bbox'][0] for b in found if b['image_id'] == image)
    return {key: value for key, value in metrics.items() if not key.lower().endswith(SPEED)}


def write(task, folder):
    """Config and checkpoint of a small model; the data set has 5 or 18 items."""
    if task != 'track':
        case = tiny_tasks.write(task, folder)
        return case.config, case.weights
    for number in range(5):
        boxes = tiny_tracker.path(20 + 7 * number, seed=number)
        tiny_tracker.write_sequence(folder / 'videos', f'v{number}', boxes)
    return tiny_tracker.write_config(folder, folder / 'videos', shift=0.03)


@pytest.mark.parametrize('task', OPTIONS)
def test_metrics_do_not_depend_on_the_number_of_processes(task, tmp_path):
    written = write(task, tmp_path)
    one, *others = (evaluate(world, tmp_path, *written, OPTIONS[task]) for world in (1, 2, 4))
    assert 0 < one[TELLING[task]] < 100
    for other in others:
        assert other == pytest.approx(one, rel=1e-5, abs=1e-5, nan_ok=True)


RECORDED = """
custom_imports = dict(imports=['tiny'])
pipeline.insert(2, dict(type='RandomFlip', prob=0.5))
pipeline.insert(3, dict(type='mmdet.PhotoMetricDistortion'))
pipeline[-1].pop('meta_keys')
model.update(bbox_head=dict(num_classes=2, in_channels=16, feat_channels=16, stacked_convs=1))
train_dataloader.update(
    batch_size={batch}, num_workers={workers}, sampler=dict(type='DefaultSampler', shuffle=True)
)
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=2, val_interval=9)
default_hooks.update(checkpoint=None)
custom_hooks = [dict(type='mmlite.Batches', folder={folder!r})]
"""


def stream(folder, world, workers):
    """Step, image and pixels of every sample that so many processes of so many workers train on."""
    out = folder / f'{world}_{workers}'
    out.mkdir()
    extra = RECORDED.format(batch=4 // world, workers=workers, folder=str(out))
    config = tiny.write_detector(folder, f'{out.name}.py', extra)
    run_processes('train', [config, '--work-dir', out / 'work'], world, out)
    return Counter(line for file in out.glob('batches_*') for line in file.read_text().split())


@pytest.mark.parametrize(('world', 'workers'), [(1, 1), (1, 4), (2, 0), (2, 2)])
def test_samples_do_not_depend_on_processes_and_workers(world, workers, tmp_path):
    tiny.write_coco(tmp_path, 'train', images=8)
    tiny.write_coco(tmp_path, 'val', images=1)
    want = stream(tmp_path, 1, 0)
    assert len(want) == 16 and stream(tmp_path, world, workers) == want
