"""Every config of the tree builds, and every name it uses exists."""

import ast
import re
import runpy
import shlex
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import BaseDataElement, PixelData

from mmlite import registry
from mmlite.datasets.shapes import STUFF
from mmlite.engine.check_config import check_config

ROOT = Path(__file__).parents[1]
CONFIGS = sorted(
    path
    for path in (ROOT / 'configs').rglob('*.py')
    if not {'_base_', 'scorecard'} & {*path.parts}  # parts of recipes, and lists of them
)


SHAPES = [path for path in CONFIGS if path.relative_to(ROOT).parts[1] == 'shapes']


def each(paths):
    """Run a test for every config of a list."""
    names = [path.relative_to(ROOT / 'configs').as_posix() for path in paths]
    return pytest.mark.parametrize('path', paths, ids=names)


@each(CONFIGS)
def test_config_builds(path, tmp_path):
    """Names and keys exist, all parts build, the optimizer holds every parameter that learns."""
    cfg = Config.fromfile(path)
    # plain literals, as a run writes them into its work directory
    assert ast.literal_eval(repr(cfg.to_dict())) == cfg.to_dict()

    init_default_scope(cfg.default_scope)
    cfg.optim_wrapper.type = 'OptimWrapper'  # AMP needs a GPU
    check_config(cfg, 'train', data=False)
    if cfg.get('test_dataloader'):
        check_config(cfg, 'test', data=False)

    with torch.device('meta'):
        model = registry.MODELS.build(cfg.model)
    wrapper = cfg.optim_wrapper.copy()
    constructor = dict(
        type=wrapper.pop('constructor', 'DefaultOptimWrapperConstructor'),
        paramwise_cfg=wrapper.pop('paramwise_cfg', None),
        optim_wrapper_cfg=wrapper,
    )
    optimizer = registry.OPTIM_WRAPPER_CONSTRUCTORS.build(constructor)(model).optimizer
    held = [id(p) for group in optimizer.param_groups for p in group['params']]
    assert sorted(held) == sorted(id(p) for p in model.parameters() if p.requires_grad)

    for stage in ('train', 'val', 'test'):
        loader = cfg.get(f'{stage}_dataloader')
        for transform in loader.dataset.get('pipeline', ()) if loader else ():
            registry.TRANSFORMS.build(transform)
    registry.VISUALIZERS.build(dict(cfg.visualizer, save_dir=str(tmp_path)))
    for hook in [*cfg.default_hooks.values(), *cfg.get('custom_hooks', [])]:
        registry.HOOKS.build(hook)


@each(SHAPES)
def test_generated_data_are_those_that_the_config_expects(path):
    """``make_data`` generates the classes and the size that the model is built for."""
    cfg = Config.fromfile(path)
    python, script, *options = shlex.split(cfg.make_data)
    assert (python, (ROOT / script).is_file()) == ('python', True)
    tool = runpy.run_path(str(ROOT / script))
    (job,) = tool['jobs_from_args'](tool['parse_args'](options))
    dataset = cfg.train_dataloader.dataset
    parts = dataset.get('datasets', [dataset])  # of a mix
    assert {Path(part.data_root) for part in parts} == {job.root}
    if 'metainfo' in dataset:
        stuff = STUFF if job.task == 'seg' else ()
        assert stuff + job.spec.class_names == tuple(dataset.metainfo.classes)
        assert job.spec.size == cfg.image_size
    heads = [cfg.model.get(key) or {} for key in ('head', 'bbox_head')]
    if 'roi_head' in cfg.model:
        stages = cfg.model.roi_head.bbox_head
        heads += stages if isinstance(stages, list) else [stages]
    for head in heads:
        assert head.get('num_classes', job.spec.classes) == job.spec.classes
    for head in ('decode_head', 'auxiliary_head'):
        if head in cfg.model:
            assert cfg.model[head].num_classes == len(dataset.metainfo.classes)


@each([path for path in SHAPES if path.parent.name in ('det', 'seg')])
def test_a_batch_has_the_size_of_the_generated_images(path):
    """Nothing of the size of the real data is left in the data preprocessor."""
    cfg = Config.fromfile(path)
    init_default_scope(cfg.default_scope)
    preprocess = registry.MODELS.build(cfg.model.data_preprocessor)
    size = tuple(cfg.get('crop_size', (cfg.image_size, cfg.image_size)))
    labels = BaseDataElement(gt_sem_seg=PixelData(data=torch.zeros(1, *size)))
    samples = dict(data_samples=[labels]) if path.parent.name == 'seg' else {}
    for training in (True, False):
        batch = preprocess(dict(inputs=[torch.zeros(3, *size)], **samples), training)
        assert batch['inputs'].shape[2:] == size


def test_checkpoints_of_generated_data_come_from_a_recipe_of_the_tree():
    """``work_dirs/NAME/epoch_N.pth`` is the last epoch of a recipe for generated images."""
    recipes = {path.stem: Config.fromfile(path) for path in SHAPES}
    text = repr([cfg.to_dict() for cfg in recipes.values()])
    named = set(re.findall(r'work_dirs/([^/\']+)/epoch_(\d+)\.pth', text))
    assert len(named) >= 4
    for name, epoch in named:
        assert recipes[name].train_cfg.max_epochs == int(epoch), name


@each([path for path in CONFIGS if path.relative_to(ROOT).parts[1] in ('pretrain', 'cls')])
def test_learning_rate_is_that_of_the_batch_size(path):
    """The batch in the file's name is the loader's, and the one that the rate is written for."""
    cfg = Config.fromfile(path)
    gpus, images = map(int, re.search(r'_(\d+)xb(\d+)-', path.stem).groups())
    assert cfg.train_dataloader.batch_size == images
    assert cfg.auto_scale_lr.base_batch_size == gpus * images
    epochs = int(re.search(r'-(\d+)e_', path.stem)[1])
    assert cfg.train_cfg.max_epochs == epochs
    assert max(schedule.get('end', epochs) for schedule in cfg.param_scheduler) == epochs


@each([path for path in CONFIGS if path.parent.name == 'track'])
def test_a_tracker_runs_with_the_crops_that_it_is_trained_with(path):
    cfg = Config.fromfile(path)
    with torch.device('meta'):
        model = registry.MODELS.build(cfg.model)
    crop = cfg.train_dataloader.dataset.pipeline[0]
    assert crop.coords == model.coords
    for name in ('template', 'search'):
        own = dict(size=getattr(model, f'{name}_size'), factor=getattr(model, f'{name}_factor'))
        assert own == {key: crop[name][key] for key in own}


def read(name):
    return Config.fromfile(ROOT / 'configs' / f'{name}.py')


def test_schedules_of_the_paper():
    """COCO: 100 epochs at batch 64, drops at 24/27 and 26/27. MAE: 1.5e-4 a 256 images."""
    for name in ('vit-tiny-sfp', 'hiera-tiny-fpn'):
        cfg = read(f'det/mask-rcnn_{name}_8xb8-amp-lsj-100e_coco-640px')
        warm_up, drops = cfg.param_scheduler
        assert cfg.train_cfg.max_iters == 100 * 118_000 // 64
        assert drops.milestones == [184_375 * k // 27 for k in (24, 26)]
        assert (warm_up.end, warm_up.by_epoch, drops.by_epoch) == (250, False, False)
        assert cfg.train_dataloader.batch_size * 8 == cfg.auto_scale_lr.base_batch_size == 64
    cfg = read('pretrain/mae/mae_vit-tiny_8xb512-amp-coslr-400e_in1k')
    assert cfg.optim_wrapper.optimizer.lr == pytest.approx(1.5e-4 * 4096 / 256)
    assert [schedule.end for schedule in cfg.param_scheduler] == [40, 400]


@pytest.mark.parametrize(('target', 'ignored'), [('ade20k', True), ('cityscapes', False)])
def test_label_zero_means_what_the_data_set_says(target, ignored):
    cfg = read(f'seg/semfpn_vit-tiny_8xb2-amp-160k_{target}-512x512')
    init_default_scope(cfg.default_scope)
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        dataset = registry.DATASETS.build(dict(loader.dataset, lazy_init=True))
        assert dataset.reduce_zero_label is ignored
