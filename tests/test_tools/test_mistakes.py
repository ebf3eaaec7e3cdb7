"""What a hurried user gets wrong, over all tools: one sentence each, and nothing left behind."""

import os
import shlex
import shutil
import subprocess

import pytest
from mistake_files import FILES, write_all
from run_tool import TOOLS, run_tool


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    """A folder with the files of all commands."""
    place = tmp_path_factory.mktemp('place')
    write_all(place)
    return place


# id -> arguments, exit code, words of the sentence; FILES has what stands in braces
CONFIG_MISTAKES = {
    # the file
    'no config': ('{p}/det/detektor.py', 2, 'config not found: {p}/det/detektor.py', 'detector.py'),
    'a folder': ('{p}/det', 2, 'config {p}/det is a directory, not a file'),
    'a checkpoint as config': ('{det_pth}', 2, 'det.pth must end in one of .py, .json'),
    'a bracket': ('{p}/broken.py', 2, "broken.py, line 1: '(' was never closed"),
    'no base': ('{p}/child.py', 2, '_base_ of {p}/child.py not found: {p}/parent.py'),
    # options
    'option without value': ('{det} --cfg-options a', 2, "'a' is not of the form key=value"),
    'no such item': (
        '{det} --cfg-options param_scheduler.5.gamma=1', 2,
        'param_scheduler.5.gamma=1 does not fit', 'Index 5 exceeds',
    ),
    'below a number': (
        '{det} --cfg-options model.bbox_head.num_classes.x=1', 2, 'does not fit the config'
    ),
}  # fmt: skip
SETTING_WORDS = {
    # option of the small detector -> words; all end with exit code 2
    'train_dataloader.batch_size=0': 'batch_size=0 should be a whole number of 1 or more',
    'train_dataloader.batch_size=four': "batch_size='four' should be a whole number of 1 or more",
    'train_dataloader.num_workers=-1': 'num_workers=-1 should be a whole number of 0 or more',
    'train_dataloader.drop_last=True train_dataloader.batch_size=9': 'has 4 images, to 4 or less',
    'train_dataloader=x': "train_dataloader='x' should be a dict",
    'train_dataloader.dataset=x': "train_dataloader.dataset='x' should be a dict",
    'train_dataloader.dataset.pipeline=x': "dataset.pipeline='x' should be a list",
    'train_dataloader.dataset.pipeline.2.scale=x': "scale='x' should be a whole number or a list",
    'train_dataloader.dataset.pipeline.2.type=Rezise': "'Rezise' is no registered, Resize",
    'train_dataloader.dataset.data_root=3': 'dataset.data_root=3 should be a path',
    'train_dataloader.dataset.metainfo.classes=red': "classes='red' should be a list of names",
    'train_cfg.max_epochs=ten': "train_cfg.max_epochs='ten' should be a whole number of 1 or more",
    'train_cfg.max_epochs=0': 'train_cfg.max_epochs=0 should be a whole number of 1 or more',
    'train_cfg.val_interval=0': 'train_cfg.val_interval=0 should be a whole number of 1 or more',
    'default_hooks.logger.interval=-1': 'logger.interval=-1 should be a whole number of 1 or more',
    'default_hooks.checkpoint.interval=x': "checkpoint.interval='x' should be a whole number",
    'optim_wrapper.optimizer.lr=high': "optimizer.lr='high' should be a number of 0 or more",
    'optim_wrapper.optimizer.lr=-1': 'optimizer.lr=-1 should be a number of 0 or more',
    'optim_wrapper.optimizer.type=SDG': "'SDG' is no registered optimizer, near names: SGD",
    'optim_wrapper.clip_grad=5': 'optim_wrapper.clip_grad=5 should be a dict',
    'param_scheduler=x': "param_scheduler='x' should be a dict or a list",
    'param_scheduler.0.milestones=x': "param_scheduler[0].milestones='x' should be a list",
    'train_cfg=x': "train_cfg='x' should be a dict",
    'default_hooks=x': "default_hooks='x' should be a dict",
    'default_hooks.checkpoint=x': "default_hooks.checkpoint='x' should be a dict",
    'custom_hooks=[EMAHook]': "custom_hooks has 'EMAHook', should be a list of dicts",
    'randomness.seed=-1': 'randomness.seed=-1 should be a whole number of 0 or more',
    'randomness.sead=1': "randomness has no 'sead', seed",
    'log_level=LOUD': "log_level='LOUD' should be one of DEBUG, INFO",
    'env_cfg.mp_cfg.mp_start_method=forkk': "mp_start_method='forkk' should be one of, spawn",
    'default_scope=mmdett': "default_scope='mmdett' is no installed, mmdet",
    'default_scope=mmseg': "LoadAnnotations takes no 'with_bbox'",
    'modle.type=x': "nothing reads 'modle', did you mean model",
    'model=x': "model='x' should be a dict",
    'model.backbone=resnet': "model.backbone='resnet' should be a dict",
    'model.backbone.dept=18': "ResNet takes no 'dept', did you mean 'depth'",
    'model.data_preprocessor.mean=x': "model.data_preprocessor.mean='x' should be a list",
    'model.bbox_head.num_classes=3': 'model.bbox_head.num_classes=3, but, has 2 classes, to 2',
    'model.bbox_head.num_classes=two': "num_classes='two' should be a whole number of 1 or more",
    'model.train_cfg.assigner.pos_iou_thr=x': "assigner.pos_iou_thr='x' should be a number",
    'val_evaluator.metric=boxes': "val_evaluator.metric='boxes' should be one of bbox, segm",
    'val_evaluator.ann_file={p}/det/train.json': 'det/train.json, predictions are for, val.json',
    'load_from=3': 'load_from=3 should be a path',
}
SETTINGS = {
    option: ('{det} --cfg-options ' + option, 2, *words.split(', '))
    for option, words in SETTING_WORDS.items()
}
SMALL_MODELS = {
    'a class too many': (
        '{cls} --cfg-options model.head.num_classes=4 model.data_preprocessor.num_classes=4',
        2, 'model.head.num_classes=4, but train_dataloader.dataset has 3 classes',
    ),
    'less than a batch': (
        '{cls} --cfg-options train_dataloader.batch_size=99', 2,
        'train_dataloader.batch_size=99', 'has 12 images', 'batch_size to 12 or less',
    ),
    'labels without a class': (
        '{seg} --cfg-options model.decode_head.num_classes=3 {seg_data}', 2,
        'model.decode_head.num_classes=3, but train_dataloader.dataset has 12 classes',
    ),
    'a ratio in words': (
        '{mae} --cfg-options model.mask_ratio=most', 2,
        "model.mask_ratio='most' should be a number",
    ),
    'no pictures': (
        '{mae} --cfg-options train_dataloader.dataset.data_root={p}/none', 1,
        "'{p}/none/train' has no image in directories of classes (.jpg",
    ),
    'a file as data root': (
        '{mae} --cfg-options train_dataloader.dataset.data_root={p}/text', 1,
        "data_prefix names '{p}/text/train', which does not exist",
    ),
    'a file as folder': (
        '{mae} --cfg-options train_dataloader.dataset.data_prefix=mae.py', 1,
        "data_prefix names '{p}/pre/mae.py', which is a file: give a folder",
    ),
    'a folder as annotations': (
        '{det} --cfg-options train_dataloader.dataset.ann_file=val', 1,
        "ann_file names '{p}/det/val', which is a folder: give the file of annotations",
    ),
    'pre-trained weights gone': (
        '{mae} --cfg-options model.backbone.init_cfg.type=Pretrained '
        'model.backbone.init_cfg.checkpoint={p}/empyt.pth', 1,
        "model.backbone.init_cfg.checkpoint='{p}/empyt.pth' does not exist", 'empty.pth',
    ),
    'resume from a folder': ('{det} --resume {p}', 1, "'{p}' is a folder: give a file"),
    'resume from nothing': ('{det} --resume {p}/empty.pth', 1, 'empty.pth', 'is empty'),
    'half a share': (
        '{det} --cfg-options train_cfg.max_bad_share=half', 2,
        "train_cfg.max_bad_share='half' should be a number",
    ),
    'a misspelt share': (
        '{det} --cfg-options train_cfg.max_bad_shares=0.1', 2,
        "takes no 'max_bad_shares'; did you mean 'max_bad_share'",
    ),
    'a file as work directory': (
        '{det} --work-dir {p}/text', 2, 'work_dir {p}/text cannot be made: File exists'
    ),
    'two precisions': ('{det} --amp --no-amp', 2, '--no-amp: not allowed with argument'),
    'no GPU': ('{det} --amp', 2, 'mixed precision, which needs a GPU', '--no-amp'),
}  # fmt: skip
ANNOTATION_WORDS = {
    # annotations of the small detector -> words; read when the run has made its folder
    'empty.json': 'empty.json is no valid JSON',
    'list.json': 'list.json: a COCO file is a JSON object',
    'other.json': 'other.json: a COCO file has the lists images',
    'half.json': 'half.json is no valid JSON',
    'latin.json': "latin.json is no valid JSON: 'utf-8' codec",
    'gone.json': 'train/gone.png cannot be read: FileNotFoundError',
    'text.json': 'train/text.png cannot be read: it is no image that can be decoded',
    'folder.json': 'train/folder.png cannot be read: IsADirectoryError',
}
RUNNING = {
    name: ('{det} --cfg-options train_dataloader.dataset.ann_file=' + name, 1, words)
    for name, words in ANNOTATION_WORDS.items()
} | {
    'torn JPEGs': (
        '{mae} --cfg-options train_dataloader.dataset.data_root={p}/torn', 1,
        'image {p}/torn/train/a/', 'the JPEG is truncated',
    ),
    'text as pictures': (
        '{mae} --cfg-options train_dataloader.dataset.data_root={p}/texts', 1,
        'image {p}/texts/train/a/', 'is no image that can be decoded',
    ),
    'resume from text': ('{mae} --resume {p}/text.pth', 1, 'text.pth', 'no checkpoint'),
}  # fmt: skip
TESTING = {
    'text as weights': ('{det} {p}/text.pth', 1, 'text.pth is damaged or no checkpoint'),
    'truncated': ('{cls} {p}/half.pth', 1, 'half.pth is truncated'),
    'of another task': (
        '{det} {cls_pth}', 1, 'cls/cls.pth does not hold this model',
        'give the config that it was trained with',
    ),
    'another number of classes': (
        '{seg} {seg_pth} --cfg-options model.decode_head.num_classes=3 '
        'test_dataloader.dataset.metainfo.classes=[a,b,c] '
        'test_dataloader.dataset.metainfo.palette=[[1,1,1],[2,2,2],[3,3,3]]', 1,
        "'decode_head.conv_seg.weight' has shape (12, 16, 1, 1), but the config builds (3, 16",
    ),
}  # fmt: skip
CASES = {
    'train': CONFIG_MISTAKES | SETTINGS | SMALL_MODELS,
    'test': {
        'no weights': ('{det} {p}/dte.pth', 1, "'{p}/dte.pth' does not exist"),
        'nothing given': ('', 2, 'the following arguments are required: config, checkpoint'),
        'empty weights': ('{det} {p}/empty.pth', 1, 'empty.pth', 'is empty'),
        'out in a file': (
            '{det} {det_pth} --out {p}/text/x.pkl', 2,
            '--out {p}/text/x.pkl cannot be written: {p}/text is not a directory',
        ),
        'out is a folder': (
            '{det} {det_pth} --out x.pkl --show-dir {p}/text', 2,
            '--show-dir {p}/text cannot be written: {p}/text is not a directory',
        ),
        'other annotations': (
            '{det} {det_pth} --cfg-options test_evaluator.ann_file='
            '{p}/det/other.json', 2, 'det/other.json', 'the predictions are for', 'det/val.json',
        ),
        'no batch': (
            '{det} {det_pth} --cfg-options test_dataloader.batch_size=0', 2,
            'test_dataloader.batch_size=0 should be a whole number of 1 or more',
        ),
    },
    'sweep': {
        'no config': ('{p}/no.py --seeds 0', 2, 'config not found: {p}/no.py'),
        'nothing': ('{cls}', 2, 'nothing to sweep: give --init, --seeds or --grid'),
        'no values': ('{cls} --grid lr', 2, "--grid 'lr' is not of the form KEY=V1,V2"),
        'a key of nothing': ('{cls} --grid modle.x=1,2', 2, 'modle.x is not a setting', 'model'),
        'twice': ('{cls} --seeds 1 1', 2, 'two trials are called seed=1'),
        'no job': ('{cls} --seeds 1 --jobs 0', 2, '--jobs: must be an integer >= 1'),
        'in a file': ('{cls} --seeds 1 --work-dir {p}/text', 1, '{p}/text cannot be written'),
    },
    'scorecard': {
        'no weights': ('{p}/no.pth', 1, '{p}/no.pth does not exist'),
        'a folder': ('{p}/folder', 1, '{p}/folder is a directory, not a checkpoint'),
        'a classifier': ('{det_pth}', 1, 'does not record its backbone: convert it by'),
        'no preset': ('{mae_pth} --preset quick', 2, "no preset 'quick'", 'shapes-quick'),
        'half a preset': ('{mae_pth} --preset {p}/preset.py', 2, 'has no archs, tasks, seeds'),
        'no task': ('{mae_pth} --tasks verse', 2, "no task 'verse': choose from class"),
        'a seed': ('{mae_pth} --seeds -1', 2, '--seeds: must be an integer >= 0'),
    },
    'analysis_tools/analyze_logs': {
        'no curve': ('draw {p}/good.json', 2, "invalid choice: 'draw'", 'plot_curve'),
        'no log': ('plot_curve {p}/folder', 1, '{p}/folder holds no log: */vis_data/scalars.json'),
        'no text': ('plot_curve {p}/bytes', 1, '{p}/bytes cannot be read as a log', 'utf-8'),
        'no numbers': ('plot_curve {p}/words.json', 1, "words.json: loss is 'low' at step 1"),
        'no time': ('cal_train_time {p}/words.json', 1, "words.json: time is 'long', not a number"),
        'no key': ('plot_curve {p}/good.json --keys los', 2, "no key 'los'", 'near names: loss'),
        'out in a file': (
            'plot_curve {p}/good.json --out {p}/text/x.png', 2, '{p}/text is not a directory'
        ),
        'out is a folder': (
            'plot_curve {p}/good.json --out {p}/folder', 2, '--out {p}/folder is a directory: name '
        ),
    },
    'analysis_tools/attention_stats': {
        'no model': ('', 2, 'the following arguments are required: --models'),
        'a tenth head': (
            '--models a={cls}:{cls_pth} --num-images 0 --map-image {p}/whole.jpg '
            '--map-head 10', 2, '--map-head is 10, but a has 3 heads',
        ),
        'no picture': (
            '--models a={cls}:{cls_pth} --num-images 0 --map-image {p}/text', 1,
            'image {p}/text cannot be read: it is no image',
        ),
        'out is a file': (
            '--models a={cls}:{cls_pth} --data {p}/torn --out {p}/text', 2,
            '--out {p}/text cannot be written',
        ),
    },
    'analysis_tools/benchmark': {
        'no step': ('pretrain {mae} --steps 0', 2, '--steps: must be an integer >= 1 (got 0)'),
        'a tracker': ('pretrain {track}', 2, 'finder.py does not train: no train_dataloader'),
        'no turn': ('models {seg} --turns 0', 2, '--turns: must be an integer >= 1 (got 0)'),
        'a classifier': ('tracker {cls} {cls_pth}', 2, 'is for classification'),
        'no way': ('tracker {track} --variants trt', 2, "invalid choice: 'trt'", 'onnxruntime'),
        'table is a folder': (
            'tracker {track} --csv {p}/folder', 2, '--csv {p}/folder is a directory'
        ),
    },
    'analysis_tools/browse_dataset': {
        'no images': ('{det} -o x -n 0', 2, '--number/-n: must be an integer >= 1 (got 0)'),
        'out is a file': ('{det} -o {p}/text', 2, '--output-dir {p}/text cannot be written'),
        'no validation': ('{mae} -o x --phase val', 2, 'the config has no val_dataloader'),
    },
    'analysis_tools/compare_layers': {
        'no folder': (
            '--reference {cls}:{cls_pth} --data {p}/no', 1,
            '{p}/no is neither a folder of images nor a config',
        ),
        'a detector': ('--reference a={det} --data {p}/torn', 2, 'layers of ResNet cannot'),
    },
    'analysis_tools/confusion_matrix': {
        'no predictions': ('{seg} {p}/no.pkl', 1, 'no.pkl not found: write them with'),
        'text': ('{seg} {p}/text', 1, 'predictions {p}/text cannot be read'),
        'of a detector': ('{seg} {p}/boxes.pkl', 1, 'result 0 has no gt_sem_seg'),
    },
    'analysis_tools/get_flops': {
        'no pixel': ('{det} --shape 0', 2, '--shape takes one or two positive numbers'),
        'too small': ('{seg} --shape 10', 2, 'the model does not take 10x10 pixels: '),
        'no region': ('{det} --rois -1', 2, '--rois is -1; give 1 or more'),
        'no arch': ('{mae}', 2, 'mae.py has no test', 'benchmark.py pretrain'),
    },
    'analysis_tools/print_config': {
        'in a file': ('{det} --save-path {p}/text/x.py', 2, '{p}/text is not a directory'),
        'a folder': ('{det} --save-path {p}/x.py', 2, '{p}/x.py is a directory: name a file'),
        'a suffix': ('{det} --save-path x.txt', 2, '--save-path x.txt must end in .py'),
    },
    'analysis_tools/replay': {
        'no folder': ('{p}/no', 1, '{p}/no holds no failed step: give a directory'),
        'no step': ('{p}/folder', 1, '{p}/folder holds no failed step: give a directory failed_'),
    },
    'analysis_tools/report': {
        'no folder': ('{p}/no', 1, '{p}/no is not a directory: give the work directory'),
        'no config': ('{p}/folder', 1, '{p}/folder: no config file (*.py)'),
        'no image': ('{p}/run --count 0', 2, '--count: must be an integer >= 1 (got 0)'),
        'a score': ('{p}/run --min-score 7', 2, '--min-score must be a number from 0 to 1, got 7'),
    },
    'analysis_tools/score_tracker': {
        'no results': (
            '{p}/no --dataset lasot --data-root {p}/lasot', 2, 'no is not a directory of results'
        ),
        'no sequence': (
            '{p}/folder --dataset lasot --data-root {p}/lasot --split all', 1,
            'folder lacks 1 of 1 sequences (cat-1)', '--available',
        ),
        'no data': ('{p}/res --dataset lasot --data-root {p}/no', 1, "'{p}/no' does not exist"),
        'no data set': ('{p}/res --dataset imagenet --data-root x', 2, "choice: 'imagenet'", 'nfs'),
    },
    'analysis_tools/vis_reconstruction': {
        'a classifier': ('{cls} {cls_pth}', 2, 'ImageClassifier does not reconstruct'),
        'no picture': ('{mae} {mae_pth} {p}/text', 1, 'image {p}/text cannot be read'),
        'an empty folder': ('{mae} {mae_pth} {p}/folder', 1, '{p}/folder has no image'),
    },
    'dataset_converters/check_ade20k': {
        'nothing': ('', 2, 'give either ROOT, or --images and --annotations'),
        'a file': ('{p}/text', 1, "folder '{p}/text' is a file: give the one that holds"),
        'labels beyond': (
            '{p}/seg/data/ADEChallengeData2016 --classes 3', 1, 'problems in the data, 0 in the'
        ),
    },
    'dataset_converters/make_shapes': {
        'no size': ('--tasks det --out x --size 0', 2, 'size of the generated set is 0', '32 and'),
        'too many': ('--tasks det --out x --classes 99', 2, 'is 99', 'between 1 and 16'),
        'turned round': (
            '--tasks det --out x --min-size 0.9 --max-size 0.1', 2, 'is 0.9..0.1', 'a range within'
        ),
        'no worker': ('--tasks det --out x --workers 0', 2, '--workers: must be an integer >= 1'),
    },
    'dataset_converters/make_subset': {
        'a file': ('{p}/text --per-class 1', 1, "folder '{p}/text' is a file: give the one that"),
        'too many': ('{p}/cls/data/train --per-class 99', 1, 'has 4 images, fewer than the 99'),
        'a share': ('{p}/cls/data/train --fraction 2', 2, 'fraction is 2; it should be above 0'),
        'no list': (
            '{p}/cls/data/train --from-list {p}/text', 1, "line 1: 'hello' is no path of the form"
        ),
    },
    'demo/image': {
        'no pictures': ('{cls} {cls_pth} {p}/folder', 1, '{p}/folder has no image'),
        'no pattern': ('{cls} {cls_pth} {p}/*.bmp', 2, '*.bmp matches no file: give'),
        'no weights': ('{cls} {p}/folder {p}/whole.jpg', 1, '{p}/folder is a directory, not a'),
        'a score': (
            '{det} {det_pth} {p}/whole.jpg --score-threshold 2', 2,
            'score_threshold must be from 0 to 1, got 2',
        ),
        'a pre-training': ('{mae} {mae_pth} x.jpg', 2, 'is of a MAE', 'no inferencer'),
        'no device': ('{cls} x x --device gpu', 2, "device 'gpu' is unknown: use cpu, cuda"),
    },
    'demo/track': {
        'outside': ('{clip} --box 999 999 9 9', 1, 'lies outside the frame of 160x120 pixels'),
        'an empty box': ('{clip} --box 1 1 0 9', 1, 'is empty: width and height must be'),
        'no box': ('{clip}', 2, 'no init box is given: give box (--box X Y W H)'),
        'no video': ('{track} {track_pth} {p}/text --box 1 1 9 9', 1, 'is not a video'),
        'no screen': ('{clip} --box 1 1 9 9 --show', 2, 'neither DISPLAY nor WAYLAND_DISPLAY'),
        'out is a file': ('{clip} --box 1 1 9 9 --out {p}/text', 1, 'cannot write {p}/text'),
        'no truth': ('{clip} --truth {p}/text', 1, "{p}/text, line 1: 'hello' is not 4 numbers"),
    },
    'deploy/export_tracker': {
        'a suffix': ('{track} {track_pth} --out x.pth', 2, 'x.pth must end in .onnx'),
        'no weights': ('{track} --out x.onnx', 2, 'no weights are given: tracking requires'),
        'a classifier': ('{cls} {cls_pth} --out x.onnx', 2, 'is for classification'),
    },
    'model_converters/publish': {
        'no weights': ('{p}/no.pth x.safetensors', 1, '{p}/no.pth does not exist'),
        'a suffix': ('{cls_pth} x.pth', 2, 'x.pth does not end in .safetensors'),
        'no config': ('{cls_pth} x.safetensors', 1, 'records no config: give --config'),
    },
    'model_converters/convert': {
        'a source': ('{cls_pth} x.pth --source mea', 2, "invalid choice: 'mea'", 'mae-lite'),
        'ours': ('{cls_pth} x.pth --source mae', 1, 'of mmlite itself, which need no'),
        'a folder': ('{p}/folder x.pth --source mae', 1, '{p}/folder is a directory, not a file'),
        'a suffix': ('{cls_pth} x.bin --source mae', 2, 'x.bin does not end in .pth or'),
    },
}  # fmt: skip
LOCKED = 'sweep'  # makes its folder first, to keep other sweeps out
HAVE_BEGUN = {'train': RUNNING, 'test': TESTING}


def params(cases):
    """One parameter a case: tool, arguments, exit code, words."""
    return [
        pytest.param((tool, line, code, words), id=f'{tool}-{name}')
        for tool, group in cases.items()
        for name, (line, code, *words) in group.items()
    ]


@pytest.fixture
def run(place, tmp_path, monkeypatch, capsys):
    """Runs a tool in an empty folder, on a machine without GPU and screen; returns the sentence."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('LOCAL_RANK', '0')
    for name in ('DISPLAY', 'WAYLAND_DISPLAY'):
        monkeypatch.delenv(name, raising=False)
    for module in ('checks.devices', 'launch'):
        monkeypatch.setattr(f'mmlite.engine.{module}.get_device', lambda: 'cpu')
    files = {name: text.format(p=place) for name, text in FILES.items()}

    def run_case(tool, line, code, words):
        try:
            found = run_tool(tool, *shlex.split(line.format(**files)))
        except SystemExit as end:  # of argparse
            found = end.code
        out, err = capsys.readouterr()
        assert found == code, err
        assert 'Traceback' not in out + err
        lines = [text for text in err.splitlines() if 'error: ' in text]
        assert len(lines) == 1, err
        assert lines[0].startswith('error: ') or err.startswith('usage: ')
        for word in words:
            assert word.format(**files) in lines[0]

    return run_case


@pytest.mark.parametrize('case', params(CASES))
def test_a_mistake_is_one_sentence_before_anything_is_made(case, run, tmp_path):
    run(*case)
    left = [path.name for path in tmp_path.iterdir()]
    assert left in ([], ['work_dirs']) if case[0] == LOCKED else not left


@pytest.mark.parametrize('case', params(HAVE_BEGUN))
def test_a_mistake_that_a_run_meets_is_one_sentence(case, run, tmp_path):
    run(*case)
    assert not list(tmp_path.rglob('*.pth'))


@pytest.mark.parametrize(
    ('script', 'arguments', 'words'),
    [
        ('dist_train', ('c.py', 'two'), "GPUS is 'two': must be the number of processes, >= 1"),
        ('dist_test', ('c.py', 'x.pth', '0'), "GPUS is '0': give the number of processes"),
        ('slurm_train', ('part', 'job', 'c.py'), 'srun is not found'),
        ('slurm_test', ('part', 'job', 'c.py', 'x.pth'), 'use tools/dist_test.sh'),
    ],
)
def test_a_mistake_in_a_script_is_one_sentence(script, arguments, words, tmp_path):
    for name in ('bash', 'dirname'):
        (tmp_path / name).symlink_to(shutil.which(name))
    command = ['bash', str(TOOLS / f'{script}.sh'), *arguments]
    environment = dict(os.environ, PATH=str(tmp_path))
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ended.returncode == 2 and ended.stdout == ''
    assert ended.stderr.startswith('error: ') and ended.stderr.count('\n') == 1
    assert words in ended.stderr


def test_every_tool_is_here():
    tools = {str(path.relative_to(TOOLS).with_suffix('')) for path in TOOLS.rglob('*.py')}
    assert tools - {'check_stack', 'dist_run'} <= CASES.keys()
