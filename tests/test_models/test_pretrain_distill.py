"""Distillation of features without masks: losses, adapters, grids, teachers and their cache."""

import math
import multiprocessing
import shutil
from types import SimpleNamespace

import pytest
import tiny_pretrain
import torch
import torch.nn.functional as F
from mmengine.registry import init_default_scope
from mmpretrain.structures import DataSample
from run_tool import run_tool
from tiny_methods import HIERA, VIT, images, silent, train
from trainings import assert_same_bits, last_weights

from mmlite.engine.hooks import FrozenTeacherHook
from mmlite.errors import ArgumentError, OutputError, UserError
from mmlite.registry import MODELS

STUDENT = dict(VIT, out_type='raw')  # 4 x 4 patches of 8 pixels in images of 32
SWIN = dict(
    type='mmlite.Swin', arch=dict(embed_dims=8, num_layers=(2, 2, 2, 2), num_heads=1), img_size=64,
    window_size=4,
)  # fmt: skip
STUDENTS = dict(vit=STUDENT, hiera=dict(HIERA, out_type='raw'), swin=dict(SWIN, out_type='raw'))
TEACHER = dict(
    type='mmlite.ViT', arch=dict(embed_dims=36, num_layers=2, num_heads=3), img_size=28,
    patch_size=4, out_type='raw', with_cls_token=False,
)  # fmt: skip
PATCHES = dict(
    student='norm', teacher='norm', tokens='patches', adapter=dict(type='mmlite.TokenMLP')
)
CLS = dict(PATCHES, tokens='cls', loss=dict(type='mmlite.CosineLoss'))


def build(*pairs, backbone=STUDENT, teacher=TEACHER, mixup=False, **distill):
    init_default_scope('mmpretrain')
    torch.manual_seed(0)
    distill = dict(type='mmlite.Distillation', teacher=teacher, pairs=list(pairs), **distill)
    model = dict(type='mmlite.FeatureDistiller', backbone=backbone, mixup=mixup, distill=distill)
    return MODELS.build(model)


def unit(rows):
    return [[x / math.sqrt(sum(y * y for y in row)) for x in row] for row in rows]


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


# ---- losses, targets and adapters -------------------------------------------------------------


def test_losses_by_hand():
    torch.manual_seed(0)
    a, b = torch.randn(2, 2, 3, 4).double()
    rows = list(zip(a.flatten(0, 1).tolist(), b.flatten(0, 1).tolist(), strict=True))
    cosine = sum(1 - dot(*unit(pair)) for pair in rows) / len(rows)
    gaps = [abs(x - y) for pair in rows for x, y in zip(*pair, strict=True)]
    smooth = sum(g * g if g < 0.5 else g - 0.25 for g in gaps) / len(gaps)
    loss = MODELS.build(dict(type='mmlite.CosineLoss'))
    assert loss(a, b).item() == pytest.approx(cosine)
    loss = MODELS.build(dict(type='mmlite.CosineSmoothL1Loss', beta=0.5))
    assert loss(a, b).item() == pytest.approx(0.9 * cosine + 0.1 * smooth)


def test_relational_loss_by_hand():
    """Of the tokens of one image only; the channels of the two may differ."""
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 3, 4).double(), torch.randn(2, 3, 5).double()
    total = 0
    for pair in zip(student.tolist(), teacher.tolist(), strict=True):
        for row in range(3):
            logs = []
            for tokens in map(unit, pair):
                logits = [dot(tokens[row], other) / 0.1 for other in tokens]
                norm = math.log(sum(map(math.exp, logits)))
                logs.append([value - norm for value in logits])
            total += sum(math.exp(t) * (t - s) for s, t in zip(*logs, strict=True))
    loss = MODELS.build(dict(type='mmlite.RelationalKLLoss', temperature=0.1))
    assert loss(student, teacher).item() == pytest.approx(total / 6)


def test_statistics_are_those_of_all_batches_and_then_move_on():
    torch.manual_seed(0)
    batches = torch.randn(5, 2, 7, 3) * torch.tensor([1.0, 5.0, 0.1]) + 30
    module = MODELS.build(dict(type='mmlite.Standardize', channels=3, momentum=0.1))
    for batch in batches:
        seen = module(batch)
    rows = batches.flatten(0, 2).double()
    mean, std = rows.mean(dim=0), rows.std(dim=0, unbiased=False)
    torch.testing.assert_close(module.mean.double(), mean, rtol=1e-5, atol=0)
    torch.testing.assert_close(seen.double(), (batches[-1] - mean) / std, rtol=1e-3, atol=1e-3)
    again = MODELS.build(dict(type='mmlite.Standardize', channels=3, momentum=0.1))
    again.load_state_dict(module.state_dict())
    for _ in range(20):
        module(torch.zeros(2, 7, 3)), again(torch.zeros(2, 7, 3))
    assert torch.equal(module.mean, again.mean) and torch.equal(module.var, again.var)
    shares = [max(1 / n, 0.1) for n in range(6, 26)]
    left = math.prod(1 - share for share in shares)
    torch.testing.assert_close(module.mean.double(), left * mean, rtol=1e-4, atol=0)
    before = module.mean.clone()
    module.eval()(torch.ones(2, 7, 3))
    assert torch.equal(module.mean, before)


def test_other_targets():
    target = 5 * torch.randn(2, 3, 8) + 2
    unit_norm, plain = (
        MODELS.build(dict(type=f'mmlite.{kind}', channels=8))
        for kind in ('UnitNorm', 'PlainLayerNorm')
    )
    torch.testing.assert_close(unit_norm(target), target / target.norm(dim=-1, keepdim=True))
    torch.testing.assert_close(plain(target).mean(-1), torch.zeros(2, 3), rtol=0, atol=1e-5)
    torch.testing.assert_close(plain(target).std(-1, unbiased=False), torch.ones(2, 3))
    assert not list(plain.parameters())


@pytest.mark.parametrize('num_layers', [1, 2, 3])
def test_adapters_by_hand(num_layers):
    torch.manual_seed(0)
    cfg = dict(in_channels=4, out_channels=6, hidden_channels=5, num_layers=num_layers)
    mlp = MODELS.build(dict(type='mmlite.TokenMLP', **cfg))
    lift = MODELS.build(dict(type='mmlite.Lift', in_channels=4, out_channels=8))
    tokens = torch.randn(2, 3, 4)
    want = F.linear(tokens, mlp[0].weight, mlp[0].bias)
    for index in range(1, num_layers):
        norm, linear = mlp[3 * index - 2], mlp[3 * index]
        want = F.gelu(F.layer_norm(want, (5,), norm.weight, norm.bias))
        want = F.linear(want, linear.weight, linear.bias)
    torch.testing.assert_close(mlp(tokens), want)
    torch.testing.assert_close(lift(tokens), F.layer_norm(tokens @ lift[0].weight.T, (8,)))


# ---- the pairs --------------------------------------------------------------------------------


def features(backbone, pixels):
    grid = [side // backbone.patch_size for side in pixels.shape[-2:]]
    tokens, _ = backbone.encode(backbone.embed(pixels), context=grid)
    return backbone.norm(tokens)


@pytest.mark.parametrize('backbone', ['vit', 'hiera', 'swin'])
def test_loss_by_hand_on_rectangles_with_other_grids(backbone):
    """Images of 64 x 96: a map of 8 x 12 (Hiera and Swin: 2 x 3) against the teacher's 10 x 14."""
    student = STUDENTS[backbone]
    loss = dict(type='mmlite.CosineSmoothL1Loss')
    patches = dict(PATCHES, target=dict(type='mmlite.PlainLayerNorm'), loss=loss)
    model = build(patches, dict(CLS, weight=0.5), backbone=student, teacher_size=(40, 56)).eval()
    pixels = images(64, 96)
    with torch.no_grad():
        losses = model.loss(pixels)
        small = F.interpolate(pixels, (40, 56), mode='bilinear', antialias=True)
        target = features(model.distill.teacher, small)
        given = features(model.backbone, pixels)
        if backbone == 'vit':
            cls, maps = given[:, :1], given[:, 1:].transpose(1, 2).unflatten(2, (8, 12))
        else:  # one token a mask unit, and units are in rows
            cls, maps = given.mean(dim=1, keepdim=True), given.transpose(1, 2).unflatten(2, (2, 3))
        cells = model.distill.pairs[0].adapter(maps.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        cells = F.interpolate(cells, (10, 14), mode='bilinear').flatten(2).transpose(1, 2)
        aimed = F.layer_norm(target, (36,), eps=1e-6)
        rep = 0.9 * (1 - F.cosine_similarity(cells, aimed, dim=-1).mean())
        rep += 0.1 * F.smooth_l1_loss(cells, aimed)
        cls = F.cosine_similarity(
            model.distill.pairs[1].adapter(cls)[:, 0], target.mean(dim=1), dim=-1
        )
    torch.testing.assert_close(losses['loss_rep'], rep)
    torch.testing.assert_close(losses['loss_cls'], 0.5 * (1 - cls.mean()))


def test_registers_are_left_out():
    """Of a teacher with class token, four registers and rotary positions."""
    teacher = dict(STUDENT, num_registers=4, rope=dict(temperature=100), pos_embed='none')
    model, pixels = build(PATCHES, CLS, teacher=teacher), images(32, 64)
    targets = model.distill._targets(pixels, {})
    with torch.no_grad():
        tokens = features(model.distill.teacher, pixels)
    assert tokens.shape == (2, 5 + 32, 24)
    assert torch.equal(targets['norm/patches'].flatten(1, 2), tokens[:, 5:])
    assert torch.equal(targets['norm/cls'], tokens[:, :1])


def test_several_teachers_equal_the_sum_of_single_ones():
    """Also in what a step does to the student."""
    other = dict(STUDENT, arch=dict(embed_dims=12, num_layers=1, num_heads=3))
    cfgs = dict(fine=dict(TEACHER), coarse=other)
    pairs = [dict(PATCHES, of=name) for name in cfgs]
    both = build(*pairs, teacher=cfgs, teacher_size=dict(fine=28))
    pixels, total = images(32), {}
    both.eval()
    both_losses = both.loss(pixels)
    assert set(both_losses) == {'loss_fine_rep', 'loss_coarse_rep'}
    sum(both_losses.values()).backward()
    wanted = torch.zeros_like(both.backbone.patch_embed.proj.weight)
    for index, (name, size) in enumerate((('fine', 28), ('coarse', None))):
        single = build(PATCHES, teacher=cfgs[name], teacher_size=size).eval()
        single.backbone.load_state_dict(both.backbone.state_dict())
        single.distill.teacher.load_state_dict(both.distill.teachers[name].state_dict())
        single.distill.pairs[0].load_state_dict(both.distill.pairs[index].state_dict())
        total[name] = single.loss(pixels)['loss_rep']
        total[name].backward()
        wanted += single.backbone.patch_embed.proj.weight.grad
        torch.testing.assert_close(both_losses[f'loss_{name}_rep'], total[name])
    torch.testing.assert_close(both.backbone.patch_embed.proj.weight.grad, wanted)
    assert not any('teacher' in key for key in both.state_dict())
    assert len(both.distill.teacher_checksum()) == sum(
        len(teacher.state_dict()) for teacher in both.distill.teachers.values()
    )


def test_every_teacher_is_initialized(tmp_path):
    file = tmp_path / 'teacher.pth'
    weights = MODELS.build(TEACHER).state_dict()
    torch.save(dict(state_dict={k: v + 1 for k, v in weights.items()}), file)
    init = dict(TEACHER, init_cfg=dict(type='Pretrained', checkpoint=str(file)))
    model = build(dict(PATCHES, of='a'), dict(PATCHES, of='b'), teacher=dict(a=init, b=init))
    model.init_weights()
    for teacher in model.distill.teachers.values():
        assert torch.equal(teacher.norm.weight, weights['norm.weight'] + 1)


@pytest.mark.parametrize('backbone', ['vit', 'hiera'])
def test_loss_falls_and_reaches_every_tensor(backbone):
    pair = dict(
        PATCHES, target=dict(type='mmlite.Standardize'),
        loss=dict(type='mmlite.CosineSmoothL1Loss'),
    )  # fmt: skip
    model = build(pair, CLS, backbone=STUDENTS[backbone]).train()
    pixels = images(32, batch=4)
    history = train(lambda: sum(model.loss(pixels).values()), model.parameters(), 3e-3, 25)
    assert sum(history[-3:]) < 0.6 * sum(history[:3])
    assert silent(model) == []


def test_mixup_shows_the_mixed_images_to_both():
    model, seen = build(PATCHES, mixup=True), []
    for net in (model.backbone, model.distill.teacher):
        net.patch_embed.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    pixels = images(32, batch=3)
    torch.manual_seed(7)
    model.loss(pixels)
    torch.manual_seed(7)
    order, share = torch.randperm(3), torch.rand(())
    for given in seen:
        torch.testing.assert_close(given, pixels + share * (pixels[order] - pixels))


RUN = """
teacher = dict(type='mmlite.ViT', arch=dict(embed_dims=36, num_layers=2, num_heads=3), img_size=32,
    patch_size=4, out_type='raw', init_cfg=dict(type='Pretrained', checkpoint={teacher!r}))
pair = dict(student='norm', teacher='norm', tokens='patches', adapter=dict(type='mmlite.TokenMLP'),
    target=dict(type='mmlite.Standardize'), loss=dict(type='mmlite.CosineSmoothL1Loss'))
model = dict(type='mmlite.FeatureDistiller', data_preprocessor=model['data_preprocessor'],
    backbone=model['backbone'], mixup=True,
    distill=dict(type='mmlite.Distillation', teacher=teacher, pairs=[pair]))
train_dataloader['batch_size'] = 2
train_cfg['max_epochs'] = 3
randomness = dict(seed=0)
default_hooks = dict(checkpoint=dict(type='CheckpointHook', interval=1))
custom_hooks = [dict(type='mmlite.FrozenTeacherHook')]
"""


def test_resumed_training_is_the_same_to_the_bit(tmp_path):
    """With running statistics and mixed images."""
    teacher = tiny_pretrain.save_backbone(
        tmp_path / 'teacher.pth', MODELS.build(dict(TEACHER, img_size=32, with_cls_token=True))
    )
    config = tiny_pretrain.write_recipe(tmp_path, RUN.format(teacher=str(teacher)))
    whole, again = tmp_path / 'whole', tmp_path / 'again'
    assert run_tool('train', config, '--work-dir', whole) == 0
    again.mkdir()
    shutil.copy(whole / 'epoch_1.pth', again)
    (again / 'last_checkpoint').write_text(str(again / 'epoch_1.pth'))
    assert run_tool('train', config, '--work-dir', again, '--resume') == 0
    weights = last_weights(whole)
    assert weights[0]['distill.pairs.0.target.batches'] == 9
    assert_same_bits(last_weights(again), weights)


# ---- the cache --------------------------------------------------------------------------------


def samples(ids):
    return [DataSample(metainfo=dict(sample_idx=i)) for i in ids]


def opened(folder, count=6, **changes):
    model = build(PATCHES, CLS, cache=dict(dir=str(folder)), **changes)
    model.distill.cache.open(count)
    return model


def test_cached_features_give_the_same_loss_and_no_further_pass(tmp_path, monkeypatch):
    model, plain = opened(tmp_path), build(PATCHES, CLS)
    pixels = images(32, batch=6)
    order = torch.tensor([4, 1, 5, 0])
    for ids in (torch.arange(3), order, order.flip(0)):
        cached, want = model.loss(pixels[ids], samples(ids.tolist())), plain.loss(pixels[ids])
        for key in want:
            torch.testing.assert_close(cached[key], want[key], rtol=5e-3, atol=1e-5)
    (file,) = tmp_path.glob('*.features')
    monkeypatch.setattr(
        type(model.distill.teacher), 'embed', lambda *_: pytest.fail('the features are known')
    )
    given = [model.distill._cached(pixels[:2], {}, samples([0, 1])) for _ in range(2)]
    assert all(torch.equal(given[0][key], given[1][key]) for key in given[0])
    assert file.stat().st_size == 6 * (4 + 4 * 48 + 2 * 36 * (64 + 1))


def test_another_run_reads_the_file_and_another_teacher_has_its_own(tmp_path, monkeypatch):
    pixels = images(32, batch=6)
    opened(tmp_path).loss(pixels, samples(range(6)))
    again = opened(tmp_path)
    calls = []
    compute = again.distill._targets
    monkeypatch.setattr(
        again.distill,
        '_targets',
        lambda some, embed: calls.append(len(some)) or compute(some, embed),
    )
    again.loss(pixels, samples(range(6)))
    assert calls == [1]  # for the shapes
    other = opened(tmp_path)
    with torch.no_grad():
        other.distill.teacher.norm.weight += 0.5
    heads = dict(TEACHER, arch=dict(TEACHER['arch'], num_heads=4))
    for count, model in enumerate((other, opened(tmp_path, teacher=heads)), start=2):
        model.loss(pixels, samples(range(6)))
        assert len(list(tmp_path.glob('*.features'))) == count


def test_a_row_that_was_not_finished_is_computed_again(tmp_path):
    pixels, model = images(32, batch=6), opened(tmp_path)
    want = model.distill._cached(pixels, {}, samples(range(6)))
    model.distill.cache.rows[3, -1] ^= 1
    model.distill.cache.rows[4, :] = 0
    got = model.distill._cached(pixels, {}, samples(range(6)))
    assert all(torch.equal(got[key], want[key]) for key in want)


def _fill(folder, ids):
    torch.set_num_threads(1)
    pixels = images(32, batch=6)[ids]
    opened(folder).distill._cached(pixels, {}, samples(ids))


def test_processes_share_the_file(tmp_path):
    parts = [[0, 1, 2], [2, 3, 4, 5]]
    context = multiprocessing.get_context('fork')
    processes = [context.Process(target=_fill, args=(tmp_path, part)) for part in parts]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    model = opened(tmp_path)
    pixels = images(32, batch=6)
    want = model.distill._targets(pixels, {})
    model.distill.cache.fetch(
        [0], pixels[:1], lambda some: model.distill._targets(some, {}), model.distill.teacher
    )
    got = model.distill.cache.fetch(list(range(6)), pixels, lambda _: pytest.fail('known'), None)
    for key in want:
        torch.testing.assert_close(got[key].float(), want[key], rtol=1e-2, atol=1e-5)


def test_mistakes_of_the_cache(tmp_path, monkeypatch):
    pixels, model = images(32, batch=2), opened(tmp_path)
    model.loss(pixels, samples([0, 1]))
    with pytest.raises(
        ArgumentError, match=r'sample 1 is not the image whose .* random transforms'
    ):
        model.loss(pixels.flip(3), samples([1, 0]))
    with pytest.raises(ArgumentError, match='sample 6 is not one of the 6'):
        model.loss(pixels, samples([6, 0]))
    with pytest.raises(ArgumentError, match='requires fixed images: set mixup=False'):
        build(PATCHES, mixup=True, cache=dict(dir=str(tmp_path)))
    with pytest.raises(ArgumentError, match='put mmlite.FrozenTeacherHook into custom_hooks'):
        build(PATCHES, cache=dict(dir=str(tmp_path))).loss(pixels, samples([0, 1]))
    free = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, 'disk_usage', lambda _: free)
    with pytest.raises(OutputError, match=r'features of 7 samples need 34,132 bytes but'):
        opened(tmp_path, 7).loss(pixels, samples([0, 1]))


def test_random_pipelines_are_refused(tmp_path):
    from mmpretrain.datasets import CustomDataset

    crop = [dict(type='LoadImageFromFile'), dict(type='CenterCrop', crop_size=8)]
    flip = dict(type='RandomApply', transforms=[dict(type='RandomFlip', prob=0.5)])
    for name in ('a', 'b'):
        (tmp_path / f'{name}.png').touch()
    model = build(PATCHES, cache=dict(dir=str(tmp_path)))
    for pipeline, wanted in ((crop, None), ([*crop, flip], 'RandomApply of the training')):
        dataset = CustomDataset(data_root=str(tmp_path), with_label=False, pipeline=pipeline)
        runner = SimpleNamespace(model=model, train_dataloader=SimpleNamespace(dataset=dataset))
        if wanted:
            with pytest.raises(UserError, match=wanted):
                FrozenTeacherHook().before_train(runner)
        else:
            FrozenTeacherHook().before_train(runner)
            assert model.distill.cache.samples == 2


# ---- mistakes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('pair', 'changes', 'message'),
    [
        (dict(student='norm', teacher='norm'), {}, r"17 tokens .* tokens='patches', which resizes"),
        (dict(PATCHES, tokens='token'), {}, r"pairs\[0\].tokens 'token' is unknown"),
        (dict(PATCHES, of='a'), dict(teacher=dict(a=TEACHER, b=TEACHER)), r"no pair is of .* 'b'"),
        (dict(PATCHES, of='b'), {}, r"pairs\[0\].of 'b' is unknown"),
        (dict(PATCHES, student='blocks.1.q'), {}, r"student: tap 'blocks.1.q' has heads"),
        (dict(PATCHES, adapter=None), {}, r'24 channels .* teacher has 36'),
        (PATCHES, dict(teacher_size=dict(b=3)), r"teacher_size 'b' is unknown"),
        (dict(PATCHES, adapter=dict(type='mmlite.TokenMLP', num_layers=0)), {}, r'must be >= 1'),
    ],
)  # fmt: skip
def test_wrong_pairs(pair, changes, message):
    with pytest.raises(ArgumentError, match=message):
        build(pair, **changes)


def test_masked_patches_of_another_grid_are_refused():
    model = build(PATCHES)
    tapped = dict(norm=torch.zeros(2, 5, 24))
    with pytest.raises(ArgumentError, match=r"student's is 4x4 and the teacher's 8x8: set"):
        model.distill(images(32), dict(keep=torch.zeros(2, 4, dtype=torch.long)), tapped)
    model = build(PATCHES, teacher_size=16)
    keep = torch.tensor([[3, 0, 9], [5, 6, 7]])
    losses = model.distill(images(32), dict(keep=keep), dict(norm=torch.zeros(2, 4, 24)))
    small = F.interpolate(images(32), (16, 16), mode='bilinear', antialias=True)
    target = model.distill.teacher.encode(model.distill.teacher.embed(small, keep))[0]
    want = F.mse_loss(
        model.distill.pairs[0].adapter(torch.zeros(2, 3, 24)), model.distill.teacher.norm(target)
    )
    torch.testing.assert_close(losses['loss_rep'], want)
