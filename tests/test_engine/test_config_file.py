import pytest

from mmlite.engine.config_file import load_config
from mmlite.errors import UserError


def write(folder, **files):
    for name, text in files.items():
        (folder / f'{name}.py').write_text(text)
    return folder / f'{next(iter(files))}.py'


@pytest.mark.parametrize(
    ('files', 'message'),
    [
        (dict(leaf='a = dict(x=1\n'), r"leaf\.py, line 1: '\(' was never closed"),
        (dict(leaf="_base_ = 'gone.py'"), r'_base_ of .*leaf\.py not found: .*gone\.py'),
        (
            dict(leaf="_base_ = ['./plann.py']", plan='a = 1'),
            r'leaf\.py not found.*near .*plan',
        ),
        (dict(leaf="_base_ = './root.py'", root='x = = 1'), r'root\.py, line 1: invalid syntax'),
        (dict(leaf="_base_ = './root.py'", root='\n\nx = y'), r'root\.py, line 3: NameError'),
        (
            dict(leaf="_base_ = ['a.py', 'b.py']", a='x = 1', b='x = 2'),
            r'leaf\.py: KeyError: Dupl',
        ),
        (dict(leaf="custom_imports = dict(imports=['no'])"), r'leaf\.py: ImportError: Failed to'),
        (dict(leaf="_base_ = 'mmdet::no/such.py'"), r'leaf\.py: .*no/such\.py'),
    ],
    ids=['syntax', 'base', 'near base', 'base syntax', 'name', 'duplicate', 'import', 'package'],
)
def test_what_is_wrong_with_a_file_is_one_sentence(files, message, tmp_path):
    with pytest.raises(UserError, match=message) as error:
        load_config(write(tmp_path, **files))
    assert '\n' not in str(error.value)


def test_classes_and_their_full_names_become_names(tmp_path):
    path = write(
        tmp_path,
        lazy="""
from mmdet.models.losses.smooth_l1_loss import L1Loss
from mmengine.hooks import EMAHook
from mmengine.optim import OptimWrapper
from torch.nn import BatchNorm2d
default_scope = 'mmpretrain'
model = dict(loss=dict(type=L1Loss), norm=dict(type=BatchNorm2d))
custom_hooks = [dict(type=EMAHook), dict(type='mmdet.models.losses.smooth_l1_loss.L1Loss')]
optim_wrapper = dict(type=OptimWrapper)
""",
    )
    for _ in range(2):
        cfg = load_config(path)
        assert cfg.model.loss.type == cfg.custom_hooks[1].type == 'mmdet.L1Loss'
        assert cfg.custom_hooks[0].type == 'mmengine.EMAHook'  # mmpretrain has one, too
        assert cfg.optim_wrapper.type == 'OptimWrapper'
        path = tmp_path / 'dumped.py'
        cfg.dump(path)


@pytest.mark.parametrize(
    ('given', 'used'),
    [
        ("type='CocoMetric'", 'mmlite.CocoMetric'),
        ("type='mmdet.CocoDataset'", 'mmlite.CocoDataset'),
        ("type='mine.CocoDataset'", 'mine.CocoDataset'),
        ("type='mmdet.datasets.coco.CocoDataset'", 'mmlite.CocoDataset'),
        ("type='LoadImageFromFile', to_float32=True", 'mmlite.LoadImageFromFile'),
        ("type='LoadImageFromFile', ignore_empty=True", 'LoadImageFromFile'),  # ours lacks it
        ("type='LoadAnnotations'", 'LoadAnnotations'),
        ("type='mmseg.LoadAnnotations'", 'mmlite.LoadSegAnnotations'),
        ("type='mmengine.IterBasedTrainLoop'", 'mmlite.IterTrainLoop'),
        ('by_epoch=True', 'mmlite.EpochTrainLoop'),
        ("type='mmengine.CheckpointHook'", 'mmlite.CheckpointHook'),
    ],
)
def test_stock_classes_become_ours(given, used, tmp_path):
    text = f"default_scope = 'mmdet'\ntrain_cfg = dict({given})\ntta_pipeline = [[train_cfg]]"
    cfg = load_config(write(tmp_path, leaf=text))
    assert cfg.train_cfg.type == used
    assert cfg.tta_pipeline[0][0].get('type', used) == used


def test_missing_files_and_those_of_another_kind(tmp_path):
    (tmp_path / 'det').mkdir()
    (tmp_path / 'seg').mkdir()
    write(tmp_path / 'det', mask_rcnn_vit='a = 1', other='a = 1')
    with pytest.raises(UserError, match=r'config not found: .*near names: .*mask_rcnn_vit\.py$'):
        load_config(tmp_path / 'det' / 'mask-rcnn_vit.py')
    with pytest.raises(UserError, match=r'near names: .*det/mask_rcnn_vit\.py$'):
        load_config(tmp_path / 'seg' / 'mask_rcnn_vit.py')
    with pytest.raises(UserError, match=r'config .*det is a directory, not a file$'):
        load_config(tmp_path / 'det')
    (tmp_path / 'a.txt').write_text('a = 1')
    with pytest.raises(UserError, match=r'must end in one of \.py'):
        load_config(tmp_path / 'a.txt')
    (tmp_path / 'a.json').write_text('{')
    with pytest.raises(UserError, match=r'a\.json is not valid JSON'):
        load_config(tmp_path / 'a.json')


@pytest.mark.parametrize(
    ('overrides', 'message'),
    [
        ({'iterations': 3}, "a key of overrides must be one of .*iters.* \\(got 'iterations'\\)"),
        ({'epochs': 0}, 'overrides.epochs must be an integer >= 1'),
        ({'image_size': (64, 64)}, 'overrides.image_size must be an integer >= 1'),
    ],
)
def test_overrides_of_a_config_are_checked(overrides, message, tmp_path):
    with pytest.raises(UserError, match=message):
        load_config(write(tmp_path, leaf=f'overrides = {overrides}\nmodel = dict()'))


@pytest.mark.parametrize('key', ['default_hooks', 'env_cfg', 'log_level', 'randomness'])
def test_none_is_the_default_of_mmengine(key, tmp_path):
    assert key not in load_config(write(tmp_path, leaf='model = dict()'), {key: None})


SETTINGS = """
size = max_iters = 64
crop_size = 7
steps = [dict(type='A')]
model = dict(size=size, scale=(size, size), depth=2)
optim_wrapper = dict(optimizer=dict(lr=0.1))
train_dataloader = dict(dataset=dict(pipeline=steps))
param_scheduler = [dict(type='A', end=size)]
"""


@pytest.mark.parametrize(
    ('key', 'message'),
    [
        (
            'param_scheduler.5.type',
            r'-options param_scheduler\.5\.type=1 .*exceeds the length',
        ),
        ('model.depth.x', r'--cfg-options model\.depth\.x=1 does not fit'),
        (
            'size',
            '^size is a variable of the config, which was used before options are merged: set what '
            'was made from it instead; settings with its value are model.size, model.scale, '
            'param_scheduler.0.end$',
        ),
        ('max_iters', r', param_scheduler\.0\.end, and --iters changes all of them$'),
        ('crop_size', 'set what was made from it instead, or use --image-size$'),
        ('steps.0.type', r'settings with its value are train_dataloader\.dataset\.pipeline$'),
        ('lr', "^lr is not a setting: nothing reads 'lr'; did you mean optim_wrapper.optimizer.lr"),
        ('num_epochs', "nothing reads 'num_epochs'; did you mean --epochs"),
        ('img_scale', 'did you mean --image-size'),
        ('launcher', 'did you mean --launcher'),
        ('data.samples_per_gpu', 'did you mean train_dataloader.batch_size'),
        ('modle.depth', "nothing reads 'modle'; did you mean model"),
        ('whatever', "^whatever is not a setting: nothing reads 'whatever'$"),
    ],
)
def test_options_that_change_nothing_or_do_not_fit_are_named(key, message, tmp_path):
    path = write(tmp_path, leaf=SETTINGS)
    with pytest.raises(UserError, match=message) as error:
        load_config(path, {key: 1})
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('key', ['model.new', 'sweep_grid', 'device', 'compile'])
def test_options_that_something_reads_are_taken(key, tmp_path):
    cfg = load_config(write(tmp_path, leaf=SETTINGS), {key: True})
    assert (cfg.model.new if key == 'model.new' else cfg[key]) is True


def test_a_fragment_takes_any_option(tmp_path):
    """Files of ``configs/_base_`` have variables only; what reads them is another config."""
    assert load_config(write(tmp_path, leaf='size = 8\n'), {'size': 9, 'new': 1}).size == 9
