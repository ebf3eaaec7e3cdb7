"""Benchmarks: what is timed, counted, compared and written."""

import csv
import time
from pathlib import Path

import numpy as np
import pytest
import tiny_pretrain
import tiny_tasks
import tiny_tracker
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from run_tool import run_tool

from mmlite.analysis import benchmark, benchmark_tracker
from mmlite.apis import SOTInferencer
from mmlite.apis.sot_inferencer import load_network
from mmlite.models import MAE
from mmlite.models.track.deploy import fuse_for_tracking
from mmlite.registry import MODELS

ROOT = Path(__file__).resolve().parents[2]
CPU = torch.device('cpu')

ONCE = ('--steps', 1, '--warmup', 0, '--device', 'cpu')


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    """Tables are written into the test's own directory."""
    monkeypatch.chdir(tmp_path)


def run(*args):
    return run_tool('analysis_tools/benchmark', *args)


def measure(*args):
    """Run a command into the table ``bench.csv``; its rows."""
    table = Path('bench.csv')
    assert run(*args, '--csv', table) == 0
    with table.open(newline='') as file:
        return list(csv.DictReader(file))


# ---- parts -----------------------------------------------------------------------------------


def test_warmup_is_not_timed_and_the_device_is_waited_for_at_the_ends(monkeypatch):
    events = []
    clock = iter((10.0, 11.5))
    monkeypatch.setattr(torch.cuda, 'synchronize', lambda device: events.append('wait'))
    monkeypatch.setattr(benchmark.time, 'perf_counter', lambda: events.append('t') or next(clock))
    assert benchmark.step_seconds(lambda: events.append('step'), 3, 2, torch.device('cuda')) == 0.5
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
    views = [torch.zeros(2, 3, 16, 16)] * 2, {'small': torch.zeros(2, 3, 8, 8)}
    assert benchmark.view_sizes(views) == '2x16x16 + 8x8'


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


# ---- pre-training --------------------------------------------------------------------------------


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
    args = ('--steps', 2, '--warmup', 1, '--device', 'cpu', '--batch-size', 3)
    measure('pretrain', config, *args)
    first, second = measure('pretrain', config, *args, '--loader', 'on')
    assert len(steps) == 2 * 6  # model only and end to end, warm-up included
    assert {batch for batch, _ in steps} == {3}
    assert all(0 < loss < 10 for _, loss in steps)
    assert list(first) == list(second)
    assert first['config'] == 'mae' and first['data'] == 'data set' and first['views'] == '32x32'
    assert (first['precision'], first['compile'], first['batch_size']) == ('fp32', 'no', '3')
    assert first['workers'] == '0' and first['threads'] == '1'
    for key in ('model', 'loader', 'end_to_end'):
        assert float(first[f'{key}_images_per_s']) > 0
    assert float(first['peak_memory_gib']) > 0.01
    out = capsys.readouterr().out
    assert 'model_images_per_s' in out and 'appended to bench.csv' in out


def test_model_alone_where_there_are_none(tmp_path, capsys):
    config = tiny_pretrain.write_recipe(tmp_path, images=False)
    option = ('--cfg-options', 'train_dataloader.dataset.data_root=no/')
    (row,) = measure('pretrain', config, *ONCE, *option)
    assert 'random images, model only: train_dataloader.dataset.data' in capsys.readouterr().out
    assert row['data'] == 'random images' and row['views'] == '32x32'
    assert row['loader_images_per_s'] == row['end_to_end_images_per_s'] == row['workers'] == ''
    assert run('pretrain', config, *ONCE, '--loader', 'on', *option) == 1
    assert "is 'no/', which does not exist" in capsys.readouterr().err
    tiny_pretrain.write_images(tmp_path)
    assert measure('pretrain', config, *ONCE, '--loader', 'off')[1]['data'] == 'random images'


def test_a_teacher_costs_its_forward_pass_and_needs_no_checkpoint(tmp_path, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, 'compile', lambda f: compiled.append(f) or f)
    for extra in ('', tiny_pretrain.DISTILLED):
        config = tiny_pretrain.write_recipe(tmp_path, extra, images=False)
        mae, *d_mae = measure('pretrain', config, *ONCE, '--loader', 'off', '--compile')
    assert [f.__name__ for f in compiled] == ['loss'] * 2 and mae['compile'] == 'loss'
    forward, backward = (
        float(d_mae[0][key]) - float(mae[key])
        for key in ('forward_gmac_per_image', 'backward_gmac_per_image')
    )
    patches, block, logits = 4 * 24 * 192, 5 * 12 * 24 * 24 + 2 * 25 * 24, 5 * 3 * 24 * 24 + 25 * 24
    assert forward == pytest.approx((patches + block + logits) / 1e9, rel=0.01)
    assert 0 < backward < 0.02 * forward


@pytest.mark.parametrize(
    ('command', 'options', 'message'),
    [
        ('pretrain', ('--amp', 'bf16'), 'bf16 training needs a GPU: give --amp none'),
        ('pretrain', ('--cfg-options', 'model.mask_ration=0.5'), 'mask_ratio'),
        ('pretrain', ('--cfg-options', 'optim_wrapper=None'), 'no train_dataloader or no optim_w'),
        ('models', (), 'MAE is not a classifier, detector or segmentation model'),
    ],
)
def test_mistakes_are_one_sentence(command, options, message, tmp_path, capsys):
    config = tiny_pretrain.write_recipe(tmp_path, images=False)
    assert run(command, config, '--device', 'cpu', *options) == 2
    err = capsys.readouterr().err.splitlines()[-1]
    assert err.startswith('error: ') and message in err


# ---- models side by side ---------------------------------------------------------------------

RECIPE = ROOT / 'configs/seg/semfpn_vit-tiny_8xb2-amp-160k_ade20k-512x512.py'
OPPONENTS = [ROOT / f'benchmarks/semfpn_{name}.py' for name in ('vit-tiny-plain', 'mmseg-vit-tiny')]
OURS_TO_MMSEG = (
    ('blocks.', 'layers.'), ('.norm1', '.ln1'), ('.norm2', '.ln2'), ('mlp.fc1', 'ffn.layers.0.0'),
    ('mlp.fc2', 'ffn.layers.1'), ('attn.qkv.', 'attn.attn.in_proj_'),
    ('attn.proj', 'attn.attn.out_proj'), ('patch_embed.proj', 'patch_embed.projection'),
)  # fmt: skip


def backbone(path):
    cfg = Config.fromfile(path)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(dict(cfg.model.backbone, img_size=64))
    model.eval()  # returns nothing in mmseg
    return model


def test_the_opponent_is_the_same_network():
    """mmseg's ViT with the weights of ours gives the same four maps."""
    ours, theirs = (backbone(path) for path in OPPONENTS)
    state = {}
    for key, value in ours.state_dict().items():
        for old, new in OURS_TO_MMSEG:
            key = key.replace(old, new)
        state[key] = torch.nn.init.normal_(value, std=0.1)
    theirs.load_state_dict(state)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-4)
    released = backbone(RECIPE)
    shared = {k for k in released.state_dict() if 'bias_table' not in k and '.ls' not in k}
    assert shared == set(ours.state_dict())


def test_models_take_turns_and_medians_count(tmp_path, capsys, monkeypatch):
    """Seconds of training and inference of the first and the second model, turn by turn."""
    case, deeper = tiny_tasks.write('seg', tmp_path), tmp_path / 'deeper.py'
    change = 'model = dict(backbone=dict(arch=dict(num_layers=3)))'
    deeper.write_text(f"_base_ = '{case.config}'\n{change}\n")
    seconds = iter([1, 2, 4, 5, 2, 4, 8, 5, 9, 9, 2, 5])
    calls = []

    def timed(step, steps, warmup, device):
        calls.append((step(), steps, warmup))
        return next(seconds)

    monkeypatch.setattr(benchmark, 'step_seconds', timed)
    options = ('--device', 'cpu', '--amp', 'none', '--batch-size', 3, '--steps', 2, '--turns', 3)
    first, second = measure('models', case.config, deeper, *options)
    assert [call[1:] for call in calls] == [(2, 1)] * 12
    for step in range(0, 12, 2):
        assert 1 < calls[step][0]['loss'].item() < 3  # near log(8): 8 classes, drawn at random
        assert calls[step + 1][0].shape == (3, 8, 16, 16)
    assert (first['config'], second['config']) == ('seg', 'deeper')
    columns = ('train_images_per_s', 'inference_images_per_s')
    rates = [float(row[column]) for row in (first, second) for column in columns]
    assert rates == [1.5, 0.75, 0.75, 0.6]  # 3 images over medians 2, 4, 4, 5
    assert int(second['parameters']) - int(first['parameters']) > 10 * 24 * 24
    assert first['input'] == '64x64' and first['batch_size'] == '3' and first['precision'] == 'fp32'
    assert first['train_memory_gib'] == ''
    out = capsys.readouterr().out
    assert '(x1.00)' in out and '(x0.50)' in out and '(x0.80)' in out


@pytest.mark.parametrize('task', ['cls', 'det', 'seg'])
def test_weights_stay_as_they_are(task, tmp_path):
    cfg = tiny_tasks.write(task, tmp_path).cfg
    cfg.train_dataloader.batch_size = 2
    cfg.optim_wrapper.type = 'OptimWrapper'
    contestant = benchmark.Contestant(cfg, CPU)
    before = [p.detach().clone() for p in contestant.model.parameters()]
    contestant.take_turn(1, 0)
    torch.testing.assert_close(before, list(contestant.model.parameters()), rtol=0, atol=0)
    trained = [p for p in contestant.model.parameters() if p.requires_grad]
    assert set(contestant.optim_wrapper.optimizer.state) == set(trained)  # the optimizer ran
    assert contestant.rates['train'][0] > 0 and contestant.rates['inference'][0] > 0


# ---- trackers --------------------------------------------------------------------------------

CE = dict(type='mmlite.CandidateElimination', blocks=(0,), keep_ratio=0.5)


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp('tracker')
    model = tiny_tracker.OSTRACK | dict(elimination=CE)
    return [str(file) for file in tiny_tracker.write_config(folder, folder, model=model)]


def test_table(files, capsys):
    names = ['torch', 'torch-fused', 'onnxruntime', 'openvino']
    options = ('--frames', 13, '--turns', 3, '--warmup', 2, '--variants', *names)
    table = measure('tracker', *files, *options)
    out = capsys.readouterr().out
    assert all(f'\n {name} ' in out for name in names)
    assert [row['variant'] for row in table] == names
    for row in table:
        assert (row['weights'], row['precision'], row['frames']) == ('trained', 'fp32', '13')
        assert row['threads'] == str(torch.get_num_threads())
        network, track = (
            [float(row[f'{what}_ms_{kind}']) for kind in ('median', 'p95')]
            for what in ('network', 'track')
        )
        assert 0 < network[0] <= network[1] and 0 < track[0] <= track[1]
        assert network[0] < track[0]
        assert float(row['track_over_network']) == pytest.approx(track[0] / network[0], rel=0.02)
        assert float(row['largest_box_difference_px']) < 0.1
    assert float(table[0]['largest_box_difference_px']) == 0
    assert table[0]['version'] == torch.__version__.split('+')[0]


def test_time_is_that_of_the_network_and_of_the_call(files):
    network = load_network(*files, 'cpu')
    locate = network.locate
    calls = []

    def slow(*args):
        calls.append(args)
        time.sleep(0.02 if len(calls) > 3 else 0.2)  # three to warm up
        return locate(*args)

    network.locate = slow
    frames, box = benchmark_tracker.generate_frames(6)
    timed = benchmark_tracker.TimedTracker(network, frames, box, 3, CPU)
    timed.track(2)
    assert network.locate is slow  # no longer the timed one
    timed.track(9)  # as many as there are
    assert len(timed.boxes) == 5 and len(calls) == 8
    seconds, whole = np.array(timed.network_ms), np.array(timed.track_ms)
    assert ((seconds >= 20) & (seconds < 100)).all() and (whole > seconds).all()
    network.locate = locate
    tracker = SOTInferencer(network)
    tracker.init(frames[0], box)
    assert np.array_equal(timed.boxes, [tracker.track(frame)[0] for frame in frames[1:]])


def test_other_boxes_are_an_error(files, capsys, monkeypatch):
    def shifted(model, file):
        fused = fuse_for_tracking(model)
        locate = fused.locate
        fused.locate = lambda *args: locate(*args) + 0.05
        return fused

    monkeypatch.setitem(benchmark_tracker.VARIANTS, 'torch-fused', shifted)
    options = ('--frames', 12, '--variants', 'torch', 'torch-fused', '--warmup', 0)
    assert run('tracker', *files, *options) == 1
    message = 'boxes of torch-fused differ by more than 0.5 px from those of torch in fp32'
    assert message in capsys.readouterr().err
