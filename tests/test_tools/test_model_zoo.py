"""The model zoo: metafiles that agree with configs, models and READMEs; what is written of them."""

import re
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from mmengine.registry import init_default_scope
from run_tool import run_tool

from mmlite.analysis.model_zoo import INDEX, PAGE, read_zoo
from mmlite.engine.config_file import load_config
from mmlite.errors import DataError
from mmlite.registry import MODELS

ROOT = Path(__file__).resolve().parents[2]
ZOO = read_zoo(ROOT)
ENTRIES = {entry.name: entry for entries in ZOO.values() for entry in entries}
REAL = [entry for entry in ENTRIES.values() if entry.folder != 'shapes']
METAFILE = 'configs/det/metafile.yml'
NAME = 'net_8xb2-100e_coco'


def check(*options):
    return run_tool('model_zoo', '--check', *options)


def test_the_committed_files_are_up_to_date(capsys):
    assert check() == 0, capsys.readouterr().err
    assert f'{len(ENTRIES)} models of {len(ZOO)} metafiles' in capsys.readouterr().out


def test_every_method_and_task_has_a_metafile():
    """Projects and generated data apart, wherever configs lie beside a README."""
    folders = {path.parent.relative_to(ROOT) for path in ROOT.glob('configs/**/README.md')}
    with_recipes = {folder for folder in folders if any((ROOT / folder).glob('*_*xb*.py'))}
    assert len(with_recipes) >= 13
    assert with_recipes <= {Path(path).parent for path in ZOO}


@pytest.mark.parametrize('entry', REAL, ids=lambda entry: entry.name)
def test_batch_schedule_and_backbone_are_those_of_the_name(entry):
    models = yaml.safe_load((ROOT / entry.config).with_name('metafile.yml').read_text())['Models']
    (metadata,) = (model['Metadata'] for model in models if model['Name'] == entry.name)
    gpus, images = map(int, re.search(r'_(\d+)xb(\d+)-', entry.name).groups())
    assert metadata['Batch Size'] == gpus * images
    count, unit = re.search(r'-(\d+)([ek])_', entry.name).groups()
    expected = ('Epochs', int(count)) if unit == 'e' else ('Iterations', 1000 * int(count))
    assert expected in metadata.items()
    backbone = re.search(r'(?:vit|hiera)-(?:tiny|small|base)|resnet18|vq', entry.name)[0]
    others = {'resnet18': 'ResNet-18', 'vq': 'VQ-VAE'}
    spelt = backbone.title().replace('Vit', 'ViT')
    assert entry.backbone == others.get(backbone, spelt)


EVALUATED = {  # name -> row of get_flops.py with the multiply-adds
    'vit-tiny_8xb128-coslr-300e_in1k': 'total',
    'vit-tiny-rpe_8xb128-coslr-300e_in1k': 'total',
    'vit-tiny_beit-init_8xb128-coslr-300e_in1k': 'total',
    'hiera-tiny_8xb128-coslr-300e_in1k': 'total',
    'vit-small_8xb128-coslr-300e_in1k': 'total',
    'vit-tiny_1xb512-amp-coslr-150e_pets': 'total',
    'mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px': 'total, mask head not run',
    'mask-rcnn_hiera-tiny-fpn_8xb8-amp-lsj-100e_coco-640px': 'total, mask head not run',
    'semfpn_vit-tiny_8xb2-amp-160k_ade20k-512x512': 'total',
    'upernet_hiera-tiny_8xb2-amp-160k_ade20k-512x512': 'total',
    'ostrack_vit-tiny-ce_4xb32-300e_sot-256px': 'total',
    'ostrack_vit-tiny_4xb32-300e_sot-256px': 'total',
    'mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px_shapes': 'total, mask head not run',
}


@pytest.mark.parametrize(('name', 'total'), EVALUATED.items(), ids=EVALUATED)
def test_cost_is_what_get_flops_prints(name, total, capsys):
    entry = ENTRIES[name]
    assert run_tool('analysis_tools/get_flops', ROOT / entry.config) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {row[0]: row[1:] for row in (re.split(r' {2,}', line) for line in lines) if row[2:]}
    parameters, gmac = rows[total]
    of_training = rows.get('auxiliary_head', ['0'])[0]
    counted = int(parameters.replace(',', '')) - int(of_training.replace(',', ''))
    assert (entry.parameters, f'{entry.flops / 1e9:.2f}') == (counted, gmac)


PRETRAINED = [
    next(entry.name for entry in entries if 'vit-tiny' in entry.name)
    for path, entries in ZOO.items()
    if path.startswith('configs/pretrain/')
]


@pytest.mark.parametrize(
    'name',
    [
        *PRETRAINED,
        'mae_hiera-tiny_8xb512-amp-coslr-400e_in1k',
        'd2-mae_hiera-tiny_8xb512-amp-coslr-400e_in1k',
        'mae_vit-base_8xb512-amp-coslr-1600e_in1k',
        'd2-mae_vit-tiny_no-recon_8xb512-amp-coslr-400e_in1k',
    ],
)
def test_parameters_of_pre_training_are_the_trained_ones(name):
    cfg = load_config(ROOT / ENTRIES[name].config)
    init_default_scope(cfg.default_scope)
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert ENTRIES[name].parameters == trained


def test_every_result_is_stated_by_the_readme():
    texts = {entry.readme: (ROOT / entry.readme).read_text() for entry in ENTRIES.values()}
    numbers = {path: set(re.findall(r'(?<![\d.])\d+\.\d+', text)) for path, text in texts.items()}
    missing = {}
    for entry in ENTRIES.values():
        for _, _, value in entry.results:
            if str(value) not in numbers[entry.readme]:
                missing.setdefault(entry.name, []).append(value)
    assert missing == {}


def test_results_of_a_start_are_those_of_its_row():
    """Tables with the leaf, or backbone and pre-training, in front."""
    text = (ROOT / 'configs/cls/README.md').read_text()
    rows = re.findall(r'^\| `(\S+-init)`.* \| ([\d.]+) \|$', text, re.MULTILINE)
    assert len(rows) >= 11
    for leaf, value in rows:
        (result,) = ENTRIES[f'{leaf}_8xb128-coslr-300e_in1k'].results
        assert result == ('ImageNet-1k', 'Top 1 Accuracy (paper)', float(value)), leaf
    text = (ROOT / 'configs/det/README.md').read_text()
    leaves = {'ViT-Tiny': 'vit-tiny-sfp_d2-mae-init', 'Hiera-Tiny': 'hiera-tiny-fpn_d-mae-init'}
    for backbone, name in leaves.items():
        row = re.search(rf'^\| {backbone} \| D2-MAE \| (.*) \|$', text, re.MULTILINE)[1]
        box, _, _, mask, _, _ = map(float, row.split(' | '))
        entry = ENTRIES[f'mask-rcnn_{name}_8xb8-amp-lsj-100e_coco-640px']
        assert entry.results == (('COCO', 'box AP (paper)', box), ('COCO', 'mask AP (paper)', mask))


def content():
    """A metafile with one model, as Python holds it."""
    return dict(
        Collections=[
            {
                'Name': 'Net',
                'Metadata': {'Training Data': 'COCO', 'Training Techniques': ['SGD']},
                'Paper': {'Title': 'A net', 'URL': 'https://arxiv.org'},
                'README': 'configs/det/README.md',
            }
        ],
        Models=[
            {
                'Name': NAME,
                'In Collection': 'Net',
                'Config': f'configs/det/{NAME}.py',
                'Metadata': {
                    'Backbone': 'ViT-Tiny',
                    'Epochs': 100,
                    'Batch Size': 16,
                    'Parameters': 27654321,
                    'FLOPs': 204287654321,
                },
                'Results': [
                    {
                        'Task': 'Object Detection',
                        'Dataset': 'COCO',
                        'Metrics': {'box AP (paper)': 42.0, 'box AP': 41, 'mask AP (paper)': 37.5},
                    }
                ],
            }
        ],
    )


@pytest.fixture
def root(tmp_path):
    """A repository with one model, its files written."""
    folder = tmp_path / 'configs/det'
    folder.mkdir(parents=True)
    for name in ('README.md', f'{NAME}.py', f'{NAME}_test-other.py'):
        (folder / name).touch()
    (folder / 'metafile.yml').write_text(yaml.safe_dump(content()))
    assert run_tool('model_zoo', '--root', tmp_path) == 0
    return tmp_path


def test_what_is_written(root):
    assert yaml.safe_load((root / INDEX).read_text()) == {'Import': [METAFILE]}
    page = (root / PAGE).read_text()
    assert '## Detection and instance segmentation' in page and '## Class' not in page
    header, _, row = [line for line in page.splitlines() if line.startswith('|')]
    assert header == '| config | backbone | training | parameters | GMAC | paper | ours |'
    assert row == (
        f'| [{NAME}](../configs/det/{NAME}.py) | ViT-Tiny | 100 epochs | 27.65M | 204.29 '
        '| COCO: box AP 42.0, mask AP 37.5 | COCO: box AP 41 |'
    )
    assert '[configs/det](../configs/det/README.md)' in page


def test_generated_data_have_a_table_without_the_paper(root):
    shutil.move(root / 'configs/det', root / 'configs/shapes')
    text = yaml.safe_dump(content()).replace('configs/det', 'configs/shapes')
    path = root / 'configs/shapes/metafile.yml'
    path.write_text(text.replace('COCO', 'generated pictures'))
    with pytest.raises(DataError, match=r'box AP \(paper\): the paper has no results on generated'):
        read_zoo(root)
    path.write_text(text)
    with pytest.raises(DataError, match=r"result 1: Dataset is 'COCO', but .* begins with \"gener"):
        read_zoo(root)
    path.write_text(re.sub(r'.*\(paper\).*\n', '', text).replace('COCO', 'generated pictures'))
    assert run_tool('model_zoo', '--root', root) == 0
    header, _, row = [line for line in (root / PAGE).read_text().splitlines() if line[:1] == '|']
    assert header.endswith('| GMAC | ours, on generated data |')
    assert row.endswith('| 204.29 | generated pictures: box AP 41 |')


@pytest.mark.parametrize('name', [INDEX, PAGE])
def test_an_old_or_missing_file_is_named(root, name, capsys):
    assert check('--root', root) == 0
    path = root / name
    path.write_bytes(path.read_bytes().replace(b'\n', b'\r\n'))  # a checkout on Windows
    assert check('--root', root) == 0
    path.write_text(path.read_text() + 'more\n')
    assert check('--root', root) == 1
    path.unlink()
    assert check('--root', root) == 1
    assert capsys.readouterr().err.splitlines() == [
        f'error: {name} is out of date: run python tools/model_zoo.py',
        f'error: {name} does not exist: run python tools/model_zoo.py',
    ]


GONE = object()
MISTAKES = [  # where, the value there, what is said
    (('Models',), GONE, r': Models is missing'),
    (('Models', 0), 'x', r", model 1 must be a mapping with the key Name, not 'x'"),
    (('Models', 0, 'Name'), 5, r', model 1: Name must be a text, not 5'),
    (('Models', 0, 'Name'), 'other', r'model other: Config is .*, by folder and Name it is .*'),
    (('Models', 0, 'Config'), 'configs/det/no.py', r'Config configs/det/no\.py does not exist'),
    (('Models', 0, 'In Collection'), 'A', r'In Collection is A, but Collections has Net'),
    (('Models', 0, 'Results'), GONE, r': Results is missing'),
    (('Models', 0, 'Metadata', 'Parameters'), '5.7M', r'Parameters must be .*number, not .5\.7M'),
    (('Models', 0, 'Metadata', 'FLOPs'), 2.5e9, r'FLOPs must be a positive whole number'),
    (('Models', 0, 'Metadata', 'Epochs'), True, r'Epochs must be .* whole number, not True'),
    (('Models', 0, 'Metadata', 'Epochs'), GONE, r'Metadata: Epochs is missing'),
    (('Models', 0, 'Metadata', 'Batch Size'), 0, r'Batch Size must be .*number, not 0'),
    (('Models', 0, 'Metadata', 'Training Data'), [], r'Training Data must be a text or a list'),
    (('Models', 0, 'Results', 0, 'Dataset'), None, r'result 1: Dataset must be a text, not None'),
    (('Models', 0, 'Results', 0, 'Metrics', 'AP'), '42', r"AP must be a number, not '42'"),
    (('Models', 0, 'Results', 0, 'Metrics', 'AP'), float('nan'), r'AP must be a number, not nan'),
    (('Collections', 0, 'README'), 'no.md', r', collection Net: README no\.md does not exist'),
    (('Collections', 0, 'Paper', 'URL'), GONE, r'collection Net, Paper: URL is missing'),
    (('Models',), 2 * content()['Models'], rf': model {NAME} is there twice'),
    (('Models',), [], rf' has no model for configs/det/{NAME}\.py'),
]


@pytest.mark.parametrize(('place', 'value', 'message'), MISTAKES)
def test_mistakes_are_named(root, place, value, message, capsys):
    given = content()
    *path, last = place
    parent = given
    for key in path:
        parent = parent[key]
    if value is GONE:
        del parent[last]
    else:
        parent[last] = value
    (root / METAFILE).write_text(yaml.safe_dump(given))
    assert check('--root', root) == 1
    assert re.fullmatch(f'error: {METAFILE}.*{message}.*\n', capsys.readouterr().err)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (b'Models: [1\nName: 2', r', line 2 is no valid YAML: .*'),
        (b'Models: \xff', r' cannot be read: .*'),
        (b'Models: 2024-13-45', r' cannot be read: month must be in 1\.\.12'),
        (b'', r' must be a mapping with the key Collections, not None'),
    ],
)
def test_a_file_that_is_no_metafile(root, text, message):
    (root / METAFILE).write_bytes(text)
    with pytest.raises(DataError, match=METAFILE + message):
        read_zoo(root)


def test_a_repository_without_metafiles(tmp_path):
    with pytest.raises(DataError, match=r'no metafile\.yml below .*configs'):
        read_zoo(tmp_path)
