"""The model zoo: metafiles that agree with configs, models and READMEs; what is written of them."""

import re
import runpy
from pathlib import Path

import pytest
import torch
from mmengine.registry import init_default_scope
from modelindex.load_model_index import load
from run_tool import run_tool

from mmlite.engine.config_file import load_config
from mmlite.registry import MODELS

ROOT = Path(__file__).resolve().parents[2]
RENDER = runpy.run_path(str(ROOT / 'tools/model_zoo.py'))
ZOO = {
    path.relative_to(ROOT).as_posix(): RENDER['read_models'](path)
    for path in sorted(ROOT.glob('configs/*/**/metafile.yml'))
}


ENTRIES = {model['Name']: model for models in ZOO.values() for model in models}
REAL = [entry for entry in ENTRIES.values() if not entry['Config'].startswith('configs/shapes')]


def results(entry):
    """Data set, metric and value of each result."""
    found = [(r['Dataset'], r['Metrics']) for r in entry['Results'] or ()]
    return [(dataset, *item) for dataset, metrics in found for item in metrics.items()]


def test_the_committed_files_are_up_to_date():
    """Otherwise run python tools/model_zoo.py."""
    for name, text in RENDER['render'](ROOT).items():
        assert (ROOT / name).read_text() == text, name


def test_the_index_is_one_of_openmmlab(monkeypatch):
    monkeypatch.chdir(ROOT)
    index = load('model-index.yml')
    index.build_models_with_collections()
    assert {model.name for model in index.models} == set(ENTRIES)
    assert len(ENTRIES) == sum(map(len, ZOO.values())), 'a name occurs twice'


def test_every_recipe_has_an_entry_that_names_it():
    for path, models in ZOO.items():
        folder = Path(path).parent
        assert [m['Config'] for m in models] == [f'{folder}/{m["Name"]}.py' for m in models]
        configs = {p.stem for p in (ROOT / folder).glob('*.py') if '_test-' not in p.stem}
        listed = {model['Name'] for model in models}
        assert listed <= configs if 'shapes' in path else listed == configs


def test_numbers_of_generated_data_are_not_the_papers():
    for entry in ENTRIES.values():
        generated = entry not in REAL
        for dataset, metric, _ in results(entry):
            assert dataset.startswith('generated') == generated
            assert not (generated and metric.endswith('(paper)'))


@pytest.mark.parametrize('entry', REAL, ids=lambda entry: entry['Name'])
def test_batch_schedule_and_backbone_are_those_of_the_name(entry):
    metadata = entry['Metadata']
    gpus, images = map(int, re.search(r'_(\d+)xb(\d+)-', entry['Name']).groups())
    assert metadata['Batch Size'] == gpus * images
    count, unit = re.search(r'-(\d+)([ek])_', entry['Name']).groups()
    expected = ('Epochs', int(count)) if unit == 'e' else ('Iterations', 1000 * int(count))
    assert expected in metadata.items()
    backbone = re.search(r'(?:vit|hiera|swin)-(?:tiny|small|base|1g)|resnet18|vq', entry['Name'])[0]
    others = {'resnet18': 'ResNet-18', 'vq': 'VQ-VAE'}
    spelt = backbone.title().replace('Vit', 'ViT')
    assert metadata['Backbone'] == others.get(backbone, spelt)


MASK_RCNN = 'mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px'
EVALUATED = {  # name -> row of get_flops.py with the MACs
    MASK_RCNN: 'total, mask head not run',
    'mask-rcnn_hiera-tiny-fpn_8xb8-amp-lsj-100e_coco-640px': 'total, mask head not run',
    'cascade-mask-rcnn_vit-tiny-sfp_8xb2-12e_coco': 'total, mask head not run',
    'retinanet_hiera-tiny-fpn_8xb2-12e_coco': 'total',
    'vit-tiny_8xb128-coslr-300e_in1k': 'total',
    'vit-tiny-rpe_8xb128-coslr-300e_in1k': 'total',
    'hiera-tiny_8xb128-coslr-300e_in1k': 'total',
    'vit-tiny_1xb512-amp-coslr-150e_pets': 'total',
    'semfpn_vit-tiny_8xb2-amp-160k_ade20k-512x512': 'total',
    'upernet_hiera-tiny_8xb2-amp-160k_ade20k-512x512': 'total',
    'swin-1g_8xb128-coslr-300e_in1k': 'total',
    'upernet_swin-1g_8xb2-amp-160k_ade20k-512x512': 'total',
    'mask-rcnn_swin-1g-fpn_8xb8-amp-lsj-100e_coco-640px': 'total, mask head not run',
    'mask2former_hiera-tiny_8xb2-160k_ade20k-512x512': 'total',
    'eomt_vit-tiny_8xb2-amp-40k_ade20k-512x512': 'total',
    'ostrack_vit-tiny-ce_4xb32-300e_sot-256px': 'total',
}


@pytest.mark.parametrize(('name', 'total'), EVALUATED.items(), ids=EVALUATED)
def test_cost_is_what_get_flops_prints(name, total, capsys):
    entry = ENTRIES[name]
    task = entry['Config'].split('/')[1]
    shape = {'det': ('--shape', 640), 'seg': ('--shape', 512)}.get(task, ())
    assert run_tool('analysis_tools/get_flops', ROOT / entry['Config'], *shape) == 0
    lines = [re.split(r' {2,}', line.strip()) for line in capsys.readouterr().out.splitlines()]
    rows = {name: numbers for name, *numbers in lines if len(numbers) == 2}
    parameters, gmac = rows[total]
    of_training = rows.get('auxiliary_head', ['0'])[0]
    counted = int(parameters.replace(',', '')) - int(of_training.replace(',', ''))
    assert entry['Metadata']['Parameters'] == counted
    assert f'{entry["Metadata"]["FLOPs"] / 1e9:.2f}' == gmac


PRETRAINED = [
    next((m['Name'] for m in models if 'vit-tiny' in m['Name']), models[0]['Name'])
    for path, models in ZOO.items()
    if path.startswith('configs/pretrain/')
]


@pytest.mark.parametrize(
    'name',
    [
        *PRETRAINED,
        'mae_hiera-tiny_8xb512-amp-coslr-400e_in1k',
        'd2-simmim_swin-1g_8xb256-amp-steplr-400e_in1k',
        'd2-mae_hiera-tiny_8xb512-amp-coslr-400e_in1k',
        'mae_vit-base_8xb512-amp-coslr-1600e_in1k',
        'd2-mae_vit-tiny_no-recon_8xb512-amp-coslr-400e_in1k',
    ],
)
def test_parameters_of_pre_training_are_the_trained_ones(name):
    cfg = load_config(ROOT / ENTRIES[name]['Config'])
    init_default_scope(cfg.default_scope)
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert ENTRIES[name]['Metadata']['Parameters'] == trained


def test_every_result_is_stated_by_the_readme():
    texts = {entry['README']: (ROOT / entry['README']).read_text() for entry in ENTRIES.values()}
    number = r'(?<![\d.])\d+(?:\.\d+)?'
    numbers = {path: set(re.findall(number, text)) for path, text in texts.items()}
    missing = {}
    for entry in ENTRIES.values():
        for _, _, value in results(entry):
            if str(value) not in numbers[entry['README']]:
                missing.setdefault(entry['Name'], []).append(value)
    assert missing == {}
