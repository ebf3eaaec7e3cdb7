"""Benchmark of pre-training: what is timed, counted and written, with data and without."""

import csv
import runpy
from pathlib import Path

import pytest
import tiny_pretrain
import torch
from mmengine.registry import init_default_scope
from mmpretrain.models import BaseSelfSupervisor
from torch import nn

from mmlite.analysis import benchmark
from mmlite.errors import DataError
from mmlite.models import MAE
from mmlite.registry import MODELS

ROOT = Path(__file__).resolve().parents[2]
main = runpy.run_path(str(ROOT / 'tools/analysis_tools/benchmark_pretrain.py'))['main']
CPU = torch.device('cpu')

TWO_VIEWS = """
model = dict(type='mmlite.TwoViews', data_preprocessor=model['data_preprocessor'])
crops = [
    dict(type='mmlite.RandomResizedCrop', scale=16),
    dict(type='mmlite.RandomResizedCrop', scale=8),
]
train_pipeline[1:3] = [
    dict(type='MultiView', num_views=[2, 1], transforms=[crops[:1], crops[1:]])
]
train_dataloader['dataset']['pipeline'] = train_pipeline
"""


@MODELS.register_module(force=True)
class TwoViews(BaseSelfSupervisor):
    """A linear map of the mean colours of every view; one of the three is not trained."""

    def __init__(self, data_preprocessor):
        super().__init__(nn.Linear(3, 5), data_preprocessor=data_preprocessor)

    def loss(self, inputs, data_samples):
        first, second, last = (view.mean((2, 3)) for view in inputs)
        with torch.no_grad():
            target = self.backbone(last)
        # twice from the input, so that its gradient is asked for
        outputs = self.backbone(first) + self.backbone(second)
        return dict(loss=(outputs - target).square().mean())


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny tensors are no work for two."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def run(*args):
    return main([str(arg) for arg in args])


def rows(path):
    with path.open(newline='') as file:
        return list(csv.DictReader(file))


# ---- parts -----------------------------------------------------------------------------------


def test_warmup_is_not_timed_and_the_device_is_waited_for_at_the_ends(monkeypatch):
    events = []
    clock = iter((10.0, 12.5))
    monkeypatch.setattr(benchmark, 'synchronize', lambda device: events.append('wait'))
    monkeypatch.setattr(benchmark.time, 'perf_counter', lambda: events.append('t') or next(clock))
    assert benchmark.timed(lambda: events.append('step'), 3, 2, CPU) == 2.5
    assert events == ['step', 'step', 'wait', 't', 'step', 'step', 'step', 'wait', 't']


def test_random_images_go_through_the_pipeline_without_loading():
    init_default_scope('mmpretrain')
    pipeline = [
        dict(type='mmlite.LoadImageFromFile'),
        dict(type='mmlite.RandomResizedCrop', scale=16),
        dict(type='mmlite.BlockwiseMask', input_size=4, num_masking_patches=6),
        dict(type='PackInputs', algorithm_keys=['hidden_ids']),
    ]
    images = benchmark.RandomImages(pipeline, distinct=2)
    first, second, third = (images[index] for index in range(3))
    assert first['inputs'].shape == (3, 16, 16) and first['inputs'].dtype == torch.uint8
    assert len(first['data_samples'].hidden_ids) == 6
    assert (first['inputs'] != second['inputs']).any()
    torch.testing.assert_close(first['inputs'], third['inputs'])
    assert first['data_samples'] is not third['data_samples']


def test_first_images_of_any_nesting():
    samples = ['a', 'b', 'c']
    view = torch.arange(3.0)
    data = dict(inputs=[view, {'x': view}], data_samples=samples, none=None, empty=[])
    assert benchmark.first_images(data, 2) == dict(
        inputs=[pytest.approx([0, 1]), {'x': pytest.approx([0, 1])}], data_samples=['a', 'b'],
        none=None, empty=[],
    )  # fmt: skip


def test_views_are_named_by_their_sizes():
    large, small = torch.zeros(1, 3, 224, 224), torch.zeros(1, 3, 96, 80)
    assert benchmark.view_sizes(large) == '224x224'
    assert benchmark.view_sizes([large, large, small]) == '2x224x224 + 96x80'
    assert benchmark.view_sizes(dict(a=[large], b=small)) == '224x224 + 96x80'


def test_rows_are_appended_under_one_header(tmp_path):
    path = tmp_path / 'deep' / 'table.csv'
    benchmark.append_row(path, dict(a='x, y', b=None))
    benchmark.append_row(path, dict(a=1.5, b=2))
    assert path.read_text() == 'a,b\n"x, y",\n1.5,2\n'
    with pytest.raises(DataError, match=r'has other columns \(a, b\): choose another file'):
        benchmark.append_row(path, dict(a=1))
    with pytest.raises(DataError, match='cannot write .*table.csv/x.csv'):
        benchmark.append_row(path / 'x.csv', dict(a=1))


def test_memory_is_the_peak_of_the_process_and_the_cpu_has_a_name():
    lines = Path('/proc/self/status').read_text().splitlines()
    peak = next(int(line.split()[1]) * 1024 for line in lines if line.startswith('VmHWM:'))
    assert benchmark.peak_memory(CPU) == pytest.approx(peak, rel=0.05)
    assert benchmark.device_name(CPU)


def test_multiply_adds_of_mae_by_hand():
    """ViT of 2 blocks on 4 visible tokens + 1, decoder of 1 block on 17, 12 predicted patches."""

    def block(tokens, dim):
        return tokens * 12 * dim * dim + 2 * tokens * tokens * dim

    init_default_scope('mmpretrain')
    scope = {}
    exec(tiny_pretrain.CONFIG.format(root=''), scope)
    model = MODELS.build(scope['model'])
    assert isinstance(model, MAE)
    encoder = 4 * 24 * 192 + 2 * block(5, 24)
    decoder = 5 * 24 * 12 + block(17, 12) + 12 * 12 * 192
    batch = dict(inputs=torch.zeros(4, 3, 32, 32, dtype=torch.uint8), data_samples=None)
    forward, backward = benchmark.training_macs(model, batch)
    assert forward == encoder + decoder
    # twice the forward pass, but nothing asks for the gradient of the image
    assert backward == 2 * forward - 4 * 24 * 192
    assert all(p.grad is None for p in model.parameters())


# ---- the tool --------------------------------------------------------------------------------


def test_three_rates_where_there_are_data(tmp_path, capsys, monkeypatch):
    steps = []
    train_step = MAE.train_step

    def counted(self, data, optim_wrapper):
        before = [p.detach().clone() for p in self.parameters()]
        losses = train_step(self, data, optim_wrapper)
        steps.append((len(data['inputs']), losses['loss'].item()))
        trained = [p for p in self.parameters() if p.requires_grad]
        assert set(optim_wrapper.optimizer.state) == set(trained)  # the optimiser ran
        torch.testing.assert_close(before, list(self.parameters()), rtol=0, atol=0)
        return losses

    monkeypatch.setattr(MAE, 'train_step', counted)
    config = tiny_pretrain.write_recipe(tmp_path)
    table = tmp_path / 'bench.csv'
    args = ('--steps', 2, '--warmup', 1, '--device', 'cpu', '--csv', table, '--batch-size', 3)
    assert run(config, *args) == 0
    assert run(config, *args, '--loader', 'on') == 0
    assert len(steps) == 2 * 6  # model only and end to end, warm-up included
    assert {batch for batch, _ in steps} == {3}
    assert all(0 < loss < 10 for _, loss in steps)
    first, second = rows(table)
    assert list(first) == list(second)
    assert first['config'] == 'mae' and first['data'] == 'data set' and first['views'] == '32x32'
    assert (first['precision'], first['compile'], first['batch_size']) == ('fp32', 'no', '3')
    assert first['workers'] == '0' and first['threads'] == '1'
    for key in ('model', 'loader', 'end_to_end'):
        assert float(first[f'{key}_images_per_s']) > 0
    assert float(first['peak_memory_gib']) > 0.01
    out = capsys.readouterr().out
    assert 'model_images_per_s' in out and f'appended to {table}' in out


def test_model_alone_where_there_are_none(tmp_path, capsys):
    config = tiny_pretrain.write_recipe(tmp_path, images=False)
    table = tmp_path / 'bench.csv'
    args = ('--steps', 1, '--warmup', 0, '--device', 'cpu', '--csv', table)
    option = ('--cfg-options', 'data_root=no/', 'train_dataloader.dataset.data_root=no/')
    assert run(config, *args, *option) == 0
    out = capsys.readouterr().out
    assert "random images, model only: train_dataloader.dataset.data_root names 'no/'" in out
    (row,) = rows(table)
    assert row['data'] == 'random images' and row['views'] == '32x32'
    assert row['loader_images_per_s'] == row['end_to_end_images_per_s'] == row['workers'] == ''
    assert run(config, *args, '--loader', 'on', *option) == 1
    assert "names 'no/', which does not exist" in capsys.readouterr().err
    tiny_pretrain.write_images(tmp_path)
    assert run(config, *args, '--loader', 'off') == 0
    assert rows(table)[1]['data'] == 'random images'


def test_several_views_and_parts_without_gradient(tmp_path):
    config = tiny_pretrain.write_recipe(tmp_path, TWO_VIEWS)
    table = tmp_path / 'bench.csv'
    args = ('--steps', 1, '--warmup', 0, '--device', 'cpu', '--csv', table)
    assert run(config, *args) == 0
    assert run(config, *args, '--loader', 'off') == 0
    for row in rows(table):
        assert row['views'] == '2x16x16 + 8x8'
        assert float(row['forward_gmac_per_image']) == pytest.approx(3 * 15e-9)
        assert float(row['backward_gmac_per_image']) == pytest.approx(2 * 15e-9)


def test_a_teacher_costs_its_forward_pass_and_needs_no_checkpoint(tmp_path):
    table = tmp_path / 'bench.csv'
    args = ('--steps', 1, '--warmup', 0, '--device', 'cpu', '--loader', 'off', '--csv', table)
    for extra in ('', tiny_pretrain.DISTILLED):
        assert run(tiny_pretrain.write_recipe(tmp_path, extra, images=False), *args) == 0
    mae, d_mae = rows(table)
    extra = {
        key: float(d_mae[f'{key}_gmac_per_image']) - float(mae[f'{key}_gmac_per_image'])
        for key in ('forward', 'backward')
    }
    patches, block, logits = 4 * 24 * 192, 5 * 12 * 24 * 24 + 2 * 25 * 24, 5 * 3 * 24 * 24 + 25 * 24
    assert extra['forward'] == pytest.approx((patches + block + logits) / 1e9, rel=0.01)
    assert 0 < extra['backward'] < 0.02 * extra['forward']


def test_compiled_loss(tmp_path, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, 'compile', lambda f: compiled.append(f) or f)
    config = tiny_pretrain.write_recipe(tmp_path, images=False)
    table = tmp_path / 'bench.csv'
    args = ('--steps', 1, '--warmup', 0, '--device', 'cpu', '--loader', 'off', '--csv', table)
    assert run(config, *args, '--compile') == 0
    assert [f.__name__ for f in compiled] == ['loss']
    assert rows(table)[0]['compile'] == 'loss'


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        (('--steps', 0), '--steps is 0; give 1 or more'),
        (('--batch-size', 0), '--batch-size is 0; give 1 or more'),
        (('--warmup', -1), '--warmup is -1; give 0 or more'),
        (('--device', 'cpu', '--amp', 'bf16'), 'bf16 training needs a GPU: give --amp none'),
        (('--device', 'cpu', '--amp', 'fp16'), 'fp16 training needs a GPU: give --amp none'),
        (('--cfg-options', 'model.mask_ratio=1.0', '--device', 'cpu'), 'mask_ratio'),
        (('--cfg-options', 'model.mask_ration=0.5', '--device', 'cpu'), 'mask_ratio'),
    ],
)
def test_mistakes_are_one_sentence(args, message, tmp_path, capsys):
    config = tiny_pretrain.write_recipe(tmp_path, images=False)
    assert run(config, '--loader', 'off', *args) == 2
    err = capsys.readouterr().err.splitlines()[-1]
    assert err.startswith('error: ') and message in err


def test_a_config_that_does_not_train_is_refused(tmp_path, capsys):
    config = tmp_path / 'empty.py'
    config.write_text('model = dict()')
    assert run(config) == 2
    assert 'no train_dataloader or no optim_wrapper' in capsys.readouterr().err
