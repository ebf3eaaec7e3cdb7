"""Mistakes in the use of every tool: one sentence each, and no file left behind."""

import shlex

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
TRAINING = {
    'a file as folder': (
        '{mae} --cfg-options train_dataloader.dataset.data_prefix=mae.py', 1,
        "data_prefix is '{p}/pre/mae.py', which is not a directory",
    ),
    'a folder as annotations': (
        '{det} --cfg-options train_dataloader.dataset.ann_file=val', 1,
        "ann_file is '{p}/det/val', which is a directory, not a file of annotations",
    ),
    'resume from nothing': ('{det} --resume no.pth', 1, "load_from='no.pth' does not exist"),
    'resume from a folder': ('{det} --resume {p}', 1, "'{p}' is a directory, not a file"),
    'a file as work directory': (
        '{det} --work-dir {p}/text', 2, '{p}/text cannot be written: {p}/text is not a directory'
    ),
    'two precisions': ('{det} --amp --no-amp', 2, '--no-amp: not allowed with argument'),
}  # fmt: skip
ANNOTATIONS = '{det} --cfg-options train_dataloader.dataset.ann_file='
RUNNING = {
    'classes of ImageNet': (
        '{cls} --cfg-options train_dataloader.dataset.type=ImageNet', 1,
        "/train' has 3 class folders, but ImageNet names 1000 classes; for",
    ),
    'no images': (
        '{mae} --cfg-options train_dataloader.dataset.data_root={p}/none', 1,
        "'{p}/none/train' has no image in directories of classes (.bmp, .jpeg, .jpg",
    ),
    'no classes': (
        '{cls} --cfg-options model.head.num_classes=0', 2, 'num_classes must be an integer >= 1',
    ),
    'empty': (ANNOTATIONS + 'empty.json', 1, 'empty.json is not valid JSON'),
    'gone': (ANNOTATIONS + 'gone.json', 1, 'train/gone.png cannot be read: FileNotFoundError'),
    'text as images': (
        '{mae} --cfg-options train_dataloader.dataset.data_root={p}/texts', 1,
        'image {p}/texts/train/a/', 'is not an image that can be decoded',
    ),
    'more blocks than there are': (
        '{cls} --cfg-options model.backbone.init_cfg.type=Pretrained '
        'model.backbone.init_cfg.checkpoint={cls_pth} '
        'model.backbone.init_cfg.reserve_blocks=3', 2,
        'init_cfg.reserve_blocks=3: ViT has 2 blocks, write 0 to 2',
    ),
    'resume from text': ('{mae} --resume {p}/text.pth', 1, 'text.pth', 'no checkpoint'),
}  # fmt: skip
TESTING = {
    'a head that cannot be built': (
        '{seg} {cls_pth} --cfg-options model.decode_head.num_classes=7 '
        'model.decode_head.out_channels=9', 2,
        'model.decode_head.num_classes=7, but BaseSegDataset of ',
    ),
    'truncated': ('{cls} {p}/half.pth', 1, 'half.pth is truncated'),
    'another number of classes': (
        '{cls} {cls_pth} --cfg-options test_dataloader.dataset.data_root={p}/two '
        'model.head.num_classes=2 model.data_preprocessor.num_classes=2', 1,
        "'head.fc.weight' has shape (3, 24), but the config builds (2, 24)",
    ),
}  # fmt: skip
CASES = {
    'train': TRAINING,
    'test': {
        'no weights': ('{det} {p}/dte.pth', 1, "'{p}/dte.pth' does not exist"),
        'out in a file': (
            '{det} {det_pth} --out {p}/text/x.pkl', 2,
            '--out {p}/text/x.pkl cannot be written: {p}/text is not a directory',
        ),
        'show-dir in a file': (
            '{det} {det_pth} --out x.pkl --show-dir {p}/text', 2,
            '--show-dir {p}/text cannot be written: {p}/text is not a directory',
        ),
        'out is text': ('{det} x.pth --out x.txt', 2, '--out x.txt must end in .pkl (predictions)'),
    },
    'sweep': {
        'nothing': ('{cls}', 2, 'nothing to sweep: give --init, --seeds or --grid'),
    },
    'scorecard': {
        'no weights': ('{p}/no.pth', 1, '{p}/no.pth does not exist'),
        'no preset': ('{mae_pth} --preset quick', 2, "no preset 'quick'", 'shapes-quick'),
    },
    'analysis_tools/analyze_logs': {
        'no numbers': ('plot_curve {p}/words.json', 1, "words.json: loss is 'low' at step 1"),
        'out is a folder': (
            'plot_curve {p}/good.json --out {p}/folder', 2, '--out {p}/folder is a directory: name '
        ),
    },
    'analysis_tools/attention_stats': {
        'a tenth head': (
            '--models a={cls}:{cls_pth} --num-images 0 --map-image {p}/whole.jpg '
            '--map-head 10', 2, '--map-head is 10, but a has 3 heads',
        ),
        'out is a file': ('--models a={cls} --data {p}/texts --out {p}/text', 2, 'text cannot be'),
    },
    'analysis_tools/benchmark': {
        'no step': ('pretrain {mae} --steps 0', 2, '--steps: must be an integer >= 1 (got 0)'),
        'a tracker': ('pretrain {track}', 2, 'finder.py does not train: no train_dataloader'),
        'a classifier': ('tracker {cls} {cls_pth}', 2, 'is for classification'),
        'a directory': ('tracker {track} --csv {p}/folder', 2, '--csv {p}/folder is a directory'),
    },
    'analysis_tools/browse_dataset': {
        'out is a file': ('{det} -o {p}/text', 2, '--output-dir {p}/text cannot be written'),
        'no validation': ('{mae} -o x --phase val', 2, 'the config has no val_dataloader'),
    },
    'analysis_tools/compare_layers': {
        'no folder': (
            '--reference {cls}:{cls_pth} --data {p}/no', 1,
            '{p}/no is neither a directory of images nor a',
        ),
    },
    'analysis_tools/confusion_matrix': {
        'no predictions': ('{seg} {p}/no.pkl', 1, 'no.pkl not found: write them with'),
    },
    'analysis_tools/get_flops': {
        'too small': ('{seg} --shape 10', 2, 'the model does not take 10x10 pixels: '),
    },
    'analysis_tools/print_config': {
        'a suffix': ('{det} --save-path x.txt', 2, '--save-path x.txt must end in .py'),
    },
    'analysis_tools/replay': {
        'no folder': ('{p}/no', 1, '{p}/no holds no failed step: give a directory'),
    },
    'analysis_tools/report': {
        'no folder': ('{p}/no', 1, '{p}/no is not a directory: give the work directory'),
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
    },
    'analysis_tools/vis_reconstruction': {
        'a classifier': ('{cls} {cls_pth}', 2, 'ImageClassifier does not reconstruct'),
    },
    'dataset_converters/check_data': {
        'a file': ('{p}/text', 1, "'{p}/text' is neither a COCO file (.json) nor the YAML file"),
        'one directory': ('--images {p}', 2, '--images and --annotations belong together'),
    },
    'dataset_converters/check_ade20k': {
        'a file': ('{p}/text', 1, "'{p}/text' is neither a COCO file (.json) nor the YAML file"),
    },
    'dataset_converters/import_data': {
        'nothing known': ('{p}/folder --to {p}/new', 1, "'{p}/folder' is of no known format: COCO"),
    },
    'new': {
        'another task': ('seg {p}/cls/data', 2, 'is a data set of class folders (cls), not for'),
    },
    'dataset_converters/make_shapes': {
        'no size': ('--tasks det --out x --size 0', 2, 'size of the generated set is 0', '32 and'),
    },
    'dataset_converters/make_subset': {
        'a file': ('{p}/text --per-class 1', 1, "folder '{p}/text' is a file: give the one that"),
    },
    'demo/image': {
        'no images': ('{cls} {cls_pth} {p}/folder', 1, '{p}/folder has no image'),
    },
    'demo/track': {
        'outside': ('{clip} --box 999 999 9 9', 1, 'lies outside the frame of 160x120 pixels'),
    },
    'deploy/export_tracker': {
        'a suffix': ('{track} {track_pth} --out x.pth', 2, 'x.pth must end in .onnx'),
        'a classifier': ('{cls} {cls_pth} --out x.onnx', 2, 'is for classification'),
    },
    'model_converters/publish': {
        'no weights': ('{p}/no.pth x.safetensors', 1, '{p}/no.pth does not exist'),
    },
    'model_converters/weights': {
        'no name': ('show mae/vit-huge', 2, "'mae/vit-huge' is neither a file nor a name"),
    },
    'model_converters/convert': {
        'a folder': ('{p}/folder x.pth --source mae', 1, '{p}/folder is a directory, not a file'),
    },
    'run': {
        'a script': ('train.py --amp', 2, "'train.py' is not a program; a script is run by"),
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
    """Run a tool in an empty directory without GPU, and check its sentence."""
    monkeypatch.chdir(tmp_path)
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


def test_every_tool_is_here():
    tools = {str(path.relative_to(TOOLS).with_suffix('')) for path in TOOLS.rglob('*.py')}
    exempt = {'check_stack', 'check_zoo', 'dist_run', 'model_zoo'}
    assert tools - exempt <= CASES.keys()
