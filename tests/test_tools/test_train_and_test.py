"""A small detector and a small classifier through the tools: training and evaluation."""

import pickle

import cv2
import mmengine
import pytest
import tiny
import tiny_classifier
import torch
from run_tool import run_tool

from mmlite.engine.logs import find_logs, read_records

WRITE = {'detector': tiny.write_detector, 'classifier': tiny_classifier.write}


def train(kind, tmp_path_factory):
    """Config and work directory of a training of two epochs."""
    config = WRITE[kind](tmp_path_factory.mktemp(kind))
    work = config.with_name('work')
    assert run_tool('train', config, '--work-dir', work) == 0
    return config, work


@pytest.fixture(scope='module')
def detector(tmp_path_factory):
    return train('detector', tmp_path_factory)


@pytest.fixture(scope='module')
def classifier(tmp_path_factory):
    return train('classifier', tmp_path_factory)


@pytest.mark.parametrize(
    ('kind', 'metric'), [('detector', 'coco/bbox_mAP'), ('classifier', 'accuracy/top1')]
)
def test_testing_gives_the_metrics_that_training_printed(kind, metric, tmp_path, request):
    config, work = request.getfixturevalue(kind)
    out = tmp_path / 'metrics.json'
    args = (work / 'epoch_2.pth', '--out', out, '--work-dir', tmp_path)
    assert run_tool('test', config, *args) == 0
    metrics = mmengine.load(out)
    assert metrics[metric] >= 0
    printed = [r for r in read_records(*find_logs(work)) if metric in r][-1]
    assert metrics == {key: value for key, value in printed.items() if key in metrics}


def test_predictions_are_written_and_drawn_under_tta(detector, tmp_path):
    config, work = detector
    config = tiny.write_detector(
        config.parent,
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
    out, show = tmp_path / 'p.pkl', tmp_path / 'show'
    args = ('--tta', '--out', out, '--show-dir', show, '--work-dir', tmp_path / 'work')
    assert run_tool('test', config, work / 'epoch_2.pth', *args) == 0
    predictions = pickle.loads(out.read_bytes())
    assert [len(p['pred_instances']['scores']) for p in predictions] == [7, 7]
    assert sorted(path.name for path in show.iterdir()) == ['0.png', '1.png']
    assert cv2.imread(str(show / '0.png')) is not None


def test_ground_truth_of_another_size_is_not_drawn(detector, tmp_path, capsys):
    """The small pipeline resizes after ``LoadAnnotations``, and masks would not fit the image."""
    config, work = detector
    args = ('--show-dir', tmp_path / 'show', '--work-dir', tmp_path)
    assert run_tool('test', config, work / 'epoch_2.pth', *args) == 0
    assert 'ground truth is not drawn' in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / 'show').iterdir()) == ['0.png', '1.png']


def test_a_probe_starts_from_the_checkpoint(classifier, tmp_path):
    """It has another head, and moves nothing of the encoder."""
    config, work = classifier
    probe = tmp_path / 'probe.py'
    recipe = tiny_classifier.RECIPES / 'vit-tiny_linear_8xb2048-amp-coslr-90e_in1k_shapes.py'
    text = tiny_classifier.SMALL.format(recipe=recipe, data=config.with_name('data'))
    probe.write_text(text.replace('head=dict(', 'neck=dict(input_features=24), head=dict('))
    options = ('--cfg-options', f'model.backbone.init_cfg.checkpoint={work / "epoch_2.pth"}')
    assert run_tool('train', probe, '--work-dir', tmp_path / 'work', *options) == 0
    given, learned = (
        torch.load(folder / 'epoch_2.pth', weights_only=True)['state_dict']
        for folder in (work, tmp_path / 'work')
    )
    for key, value in given.items():
        # the probe has the norm of MAE's fine-tuning, which the checkpoint has too
        assert torch.equal(learned[key], value) == key.startswith('backbone.'), key
