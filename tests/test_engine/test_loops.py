"""Loops resume exactly: a sample and its mask depend on seed, epoch and index alone."""

import multiprocessing
import random
import subprocess

import numpy as np
import pytest
import tiny
import tiny_pretrain
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmpretrain.datasets.samplers import RepeatAugSampler
from mmpretrain.structures import DataSample
from run_tool import run_tool
from torch.utils.data import DataLoader, Dataset

from mmlite.datasets.seeded import (
    EpochSampler,
    SampleIndex,
    SeededDataset,
    sample_seed,
    seeded_rng,
)
from mmlite.engine.loops import ResumableLoader
from mmlite.errors import UserError
from mmlite.models.pretrain.base import random_order
from mmlite.models.pretrain.sample_noise import noise_of, patch_noise


class Drawing(Dataset):
    """Samples of what the three global generators draw."""

    metainfo = dict(classes=('a',))

    def __len__(self):
        return 10

    def __getitem__(self, index):
        assert type(index) is int
        return index, random.random(), np.random.rand(), torch.rand(()).item()


def loader(sampler=DefaultSampler, workers=0, rank=0, world=1, **kwargs):
    dataset = Drawing()
    sampler = sampler(dataset, seed=3, **kwargs)
    sampler.rank, sampler.world_size = rank, world
    if isinstance(sampler, DefaultSampler):
        sampler.num_samples, sampler.total_size = len(dataset) // world, len(dataset)
    stock = DataLoader(
        dataset, batch_size=2, sampler=sampler, num_workers=workers, collate_fn=list,
        persistent_workers=workers > 1,
    )  # fmt: skip
    made = ResumableLoader(stock, seed=7)
    made.batch_sampler.sampler.rank, made.batch_sampler.sampler.world_size = rank, world
    return made


def epochs(loader, count=2):
    """All samples of some epochs, one list each."""
    found = []
    for epoch in range(count):
        loader.skip(0, epoch)
        found.append([sample for batch in loader for sample in batch])
    return found


@pytest.fixture(scope='module')
def stream():
    return epochs(loader())


@pytest.mark.parametrize('workers', [1, 4])
def test_samples_do_not_depend_on_the_workers(stream, workers):
    assert epochs(loader(workers=workers)) == stream


def test_two_processes_share_the_same_samples(stream):
    shares = [epochs(loader(rank=rank, world=2), 1)[0] for rank in (0, 1)]
    assert [sample for pair in zip(*shares, strict=True) for sample in pair] == stream[0]


def test_every_epoch_augments_anew(stream):
    first, second = (sorted(samples) for samples in stream)
    assert [sample[0] for sample in first] == [sample[0] for sample in second] == list(range(10))
    drawn = [value for sample in first + second for value in sample[1:]]
    assert len(set(drawn)) == len(drawn)


def test_the_generators_of_the_main_process_are_left_alone():
    torch.manual_seed(0), np.random.seed(0), random.seed(0)
    want = random.random(), np.random.rand(), torch.rand(1).item()
    torch.manual_seed(0), np.random.seed(0), random.seed(0)
    epochs(loader())
    with seeded_rng(5):
        torch.rand(3)
    assert (random.random(), np.random.rand(), torch.rand(1).item()) == want


@pytest.mark.parametrize('skipped, workers', [(0, 2), (4, 0), (5, 2), (23, 0)])
def test_skipping_goes_on_where_an_undisturbed_run_is(skipped, workers):
    whole = loader(InfiniteSampler)
    whole.skip(0)
    batches = iter(whole)
    for _ in range(skipped):
        next(batches)
    late = loader(InfiniteSampler, workers)
    late.skip(skipped)
    assert [batch for batch, _ in zip(late, range(8), strict=False)] == [
        next(batches) for _ in range(8)
    ]


def test_skipping_over_the_end_of_a_sampler_goes_to_its_next_epoch(stream):
    late = loader()
    assert late.skip(7) == 1
    assert [sample for batch in late for sample in batch] == stream[1][4:]


def test_a_pass_of_an_endless_sampler_is_an_epoch(stream):
    endless = iter(loader(InfiniteSampler, shuffle=False))
    samples = [sample for _ in range(10) for sample in next(endless)]
    assert [s[0] for s in samples] == [*range(10), *range(10)]
    assert len({s[1] for s in samples}) == 20
    assert sorted(stream[0]) == samples[:10] and sorted(stream[1]) == samples[10:]


def test_the_samples_fill_a_batch():
    with pytest.raises(UserError, match='=11, but a process has 10 samples .* to 10 or less'):
        ResumableLoader(DataLoader(Drawing(), batch_size=11, drop_last=True), seed=7)


def test_repeated_augmentation_draws_each_repeat_anew():
    sampler = EpochSampler(RepeatAugSampler(Drawing(), num_repeats=3, seed=0), 10)
    draws = list(sampler)
    assert [draw.repeat for draw in draws[:6]] == [0, 1, 2, 0, 1, 2]
    assert draws[0] == draws[1] == draws[2]
    assert len({sample_seed(0, draw) for draw in draws}) == len(draws)


def test_seeds_tell_run_epoch_sample_and_repeat_apart():
    indices = [SampleIndex(i, e, r) for i in range(4) for e in range(4) for r in range(3)]
    seeds = {sample_seed(run, index) for run in range(3) for index in [*indices, (9, 9, 9)]}
    assert len(seeds) == 3 * (len(indices) + 1)
    assert sample_seed(1, 5) == sample_seed(1, SampleIndex(5)) and max(seeds) < 2**63


def test_generators_draw_independently():
    with seeded_rng(sample_seed(0, 1)):
        streams = [
            {random.getrandbits(32) for _ in range(2000)},
            set(np.random.randint(1 << 32, size=2000, dtype=np.uint64).tolist()),
            set(torch.randint(1 << 32, (2000,)).tolist()),
        ]
    assert len(set.union(*streams)) > 5990  # none runs ahead of another


def test_options_of_a_loader_are_kept():
    options = dict(
        num_workers=1, timeout=9, prefetch_factor=3, persistent_workers=True, in_order=False,
        pin_memory=True, pin_memory_device='cuda', multiprocessing_context='spawn',
        collate_fn=list,
    )  # fmt: skip
    stock = DataLoader(Drawing(), batch_size=4, drop_last=True, **options)
    made = ResumableLoader(stock, seed=7)
    assert made.batch_sampler.drop_last and made.batch_sampler.batch_size == 4 and len(made) == 2
    for name in options:
        assert getattr(made, name) == getattr(stock, name), name


def test_workers_survive_the_signals_of_others_and_obey_their_parent():
    others = set(multiprocessing.active_children())  # left by other tests
    batches = iter(loader(workers=2))
    first = [next(batches), next(batches)]  # both workers run
    workers = set(multiprocessing.active_children()) - others
    assert len(workers) == 2
    for name in ('-TERM', '-INT'):
        subprocess.run(['kill', name, *(str(worker.pid) for worker in workers)], check=True)
    assert [*first, *batches] == list(loader())
    endless = iter(loader(InfiniteSampler, workers=2))
    next(endless), next(endless)
    for worker in set(multiprocessing.active_children()) - others - workers:
        worker.terminate()
        worker.join(10)
        assert worker.exitcode == 0


def test_everything_else_is_the_data_set_s_own():
    dataset = SeededDataset(Drawing(), 0)
    dataset.pipeline = 'other'
    assert dataset.dataset.pipeline == dataset.pipeline == 'other'
    assert len(dataset) == 10 and dataset.metainfo == Drawing.metainfo


def splitmix(seed, count):
    """SplitMix64, number by number."""
    mask, state = 2**64 - 1, seed
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        yield ((z ^ (z >> 31)) >> 11) / 2**53


def test_noise_is_splitmix64(device):
    seeds = torch.tensor([0, 1, 2**62 + 5])
    want = [list(splitmix(seed, 20)) for seed in seeds.tolist()]
    assert noise_of(seeds.to(device), 20).tolist() == want


def samples_of(seeds):
    samples = [DataSample() for _ in seeds]
    for sample, seed in zip(samples, seeds, strict=True):
        sample.set_metainfo(dict(sample_seed=seed))
    return samples


def test_the_mask_of_an_image_does_not_depend_on_its_batch(device):
    whole = random_order(4, 9, device, samples_of([1, 2, 3, 4]))
    half = random_order(2, 9, device, samples_of([3, 4]))
    assert torch.equal(whole[2:], half)
    assert whole.sort(dim=1).values.tolist() == [list(range(9))] * 4


@pytest.mark.parametrize('samples', [None, [], [DataSample()] * 2])
def test_without_seeds_noise_is_torch_s(samples):
    torch.manual_seed(0)
    noise = patch_noise(2, 5, 'cpu', samples)
    torch.manual_seed(0)
    assert torch.equal(noise, torch.rand(2, 5))


SAVING = """
default_hooks = dict(
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2, max_keep_ckpts=9)
)
train_dataloader['batch_size'] = 2
"""
PLAIN = """
default_hooks.update(checkpoint=dict(
    type='CheckpointHook', by_epoch={by_epoch}, interval=1, max_keep_ckpts=1
))
train_cfg = {train_cfg}
"""
LOOPS = {
    'epochs': (True, 'dict(by_epoch=True, max_epochs=2, val_interval=1)'),
    'iterations': (False, "dict(type='IterBasedTrainLoop', max_iters=4, val_interval=2)"),
}


def test_the_middle_of_an_epoch_needs_an_epoch_of_as_many_steps(tmp_path, capsys):
    config = tiny_pretrain.write_recipe(tmp_path, SAVING)
    assert run_tool('train', config, '--work-dir', tmp_path / 'work') == 0
    assert torch.load(tmp_path / 'work/iter_2.pth', weights_only=True)['meta']['epoch'] == 0
    args = ('--resume', tmp_path / 'work/iter_2.pth', '--work-dir', tmp_path / 'other')
    options = ('--cfg-options', 'train_dataloader.batch_size=1')
    assert run_tool('train', config, *args, *options) == 1
    assert 'saved after 2 of 3 steps of an epoch, but an epoch has 6' in capsys.readouterr().err


@pytest.mark.parametrize(('by_epoch', 'train_cfg'), LOOPS.values(), ids=LOOPS)
def test_validation_that_was_due_is_made_up_for(by_epoch, train_cfg, tmp_path, capfd):
    extra = PLAIN.format(by_epoch=by_epoch, train_cfg=train_cfg)
    config = tiny.write_detector(tmp_path, extra=extra)
    args = ('train', config, '--work-dir', tmp_path / 'work')
    assert run_tool(*args) == 0
    whole = capfd.readouterr().out
    assert whole.count('coco/bbox_mAP: ') == 2
    assert run_tool(*args, '--resume') == 0
    resumed = capfd.readouterr().out
    assert resumed.count('coco/bbox_mAP: ') == 1
    assert 'Saving checkpoint' in whole and 'Saving checkpoint' not in resumed
