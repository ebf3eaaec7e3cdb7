"""The one-stream tracker: golden values, cost, elimination, targets, head and losses."""

import re
from types import SimpleNamespace

import golden
import pytest
import torch
from tiny_tracker import CE, HIERA, VIT, build, pairs, recipe
from torchvision.ops import generalized_box_iou_loss

from mmlite.analysis.complexity import tracker_complexity
from mmlite.engine.hooks import EliminationScheduleHook
from mmlite.errors import ArgumentError
from mmlite.models.layers import resample_positions
from mmlite.models.track import CenterHead
from mmlite.models.track.targets import hann_window, score_target
from mmlite.registry import MODELS
from mmlite.weights.layouts import all_rules, recognise

CLOSE = dict(rtol=1e-4, atol=1e-5)


def inputs_of(model, count=2):
    return dict(zip(('template', 'search'), pairs(model, count), strict=True))


def official_weights(name):
    """Weights of the released tracker by the suite's names."""
    weights = golden.weights(name)
    rules = all_rules(recognise(weights, 'ostrack'), weights)
    state = {}
    for key, value in weights.items():
        pattern, verb, new = next(r for r in rules if re.fullmatch(r[0], key))
        if verb == 'move':
            new = new(re.fullmatch(pattern, key)) if callable(new) else re.sub(pattern, new, key)
            state[new] = value
    return state


@pytest.mark.parametrize(
    'name, recipe_name',
    [('ostrack_tiny', 'vit-tiny'), ('ostrack_tiny_ce', 'vit-tiny-ce')],
)
@torch.no_grad()
def test_golden(name, recipe_name):
    model, want = recipe(recipe_name), golden.tensors(name)
    model.load_state_dict(official_weights(name))  # strictly
    inputs = {
        key: torch.from_numpy(golden.array(key, (2, 3, side, side)))
        for key, side in (('template', 128), ('search', 256))
    }
    out = model(inputs, mode='tensor')
    for key in ('score_map', 'size_map', 'offset_map', 'pred_boxes'):
        torch.testing.assert_close(out[key], want[key], **CLOSE)
    # the official features begin with the template's 64 tokens; every fifth token is kept
    feat = out['feat'].flatten(2).transpose(1, 2)[:, 1::5, ::8]
    torch.testing.assert_close(feat, want['feat'][:, 13:], **CLOSE)


@pytest.mark.parametrize('name, macs', [('vit-tiny', 2.855), ('vit-tiny-ce', 2.198)])
def test_cost(name, macs):
    with torch.device('meta'):
        parts = tracker_complexity(recipe(name))
    assert sum(params for params, _ in parts.values()) == 8_040_645
    assert parts['head'][0] == 2_492_805
    assert sum(count for _, count in parts.values()) / 1e9 == pytest.approx(macs, abs=1e-3)


@pytest.mark.parametrize(
    'epoch, ratio', [(1, 1), (19, 1), (20, 1), (40, 0.956), (60, 0.850), (80, 0.744), (100, 0.7)]
)
def test_schedule_counts_epochs_from_one(epoch, ratio):
    model = build(elimination=CE)
    hook = EliminationScheduleHook()
    runner = SimpleNamespace(model=model, epoch=epoch - 1)
    hook.before_train_epoch(runner)
    assert model.elimination.ratio == pytest.approx(ratio, abs=5e-4)
    hook.after_train(runner)
    assert model.elimination.ratio == 0.7


# ---- targets and head ---------------------------------------------------------------------------


def test_score_target_is_the_official_one():
    want = golden.tensors('track_utils')
    got = score_target(want['heatmap_gt_xywh'], 16)[:, 0]
    torch.testing.assert_close(got, want['heatmap'], rtol=1e-5, atol=1e-6)
    assert (got.flatten(1).amax(dim=1) == 1).all()
    # no peak outside the region
    assert score_target(torch.tensor([[1.2, 0.4, 0.2, 0.2]]), 16).max() < 1


def test_window_is_the_official_one():
    want = golden.tensors('track_utils')['hann'][0, 0]
    torch.testing.assert_close(hann_window(16), want, rtol=1e-5, atol=1e-6)


def test_the_window_chooses_and_the_score_is_reported():
    score = torch.full((1, 1, 16, 16), 0.1)
    score[0, 0, 0, 0], score[0, 0, 8, 8] = 0.9, 0.6
    box = torch.zeros(1, 2, 16, 16)
    maps = dict(score_map=score, size_map=box + 0.2, offset_map=box)
    got = CenterHead(8, 8).decode(maps, hann_window(16))
    want = torch.tensor([[0.5, 0.5, 0.2, 0.2, 0.6, 0.6 * 0.9915**2]])
    torch.testing.assert_close(got, want, rtol=0, atol=1e-3)


def plain_losses(maps, boxes):
    """Losses of one batch by a loop over images, from the formulas."""
    giou = l1 = focal = positives = 0
    values = (maps[name].detach().double() for name in ('score_map', 'size_map', 'offset_map'))
    for score, size, offset, (x, y, w, h) in zip(*values, boxes.double(), strict=True):
        side = score.shape[-1]
        row, column = divmod(int(score.argmax()), side)
        cx, cy = (torch.tensor([column, row]) + offset[:, row, column]) / side
        pw, ph = size[:, row, column]
        p = torch.stack([cx - pw / 2, cy - ph / 2, cx + pw / 2, cy + ph / 2])
        t = torch.stack([x, y, x + w, y + h]).clamp(0, 1)
        l1 += (p - t).abs().mean()
        giou += generalized_box_iou_loss(p, t)
        goal = score_target(torch.stack([x, y, w, h])[None], side)[0]
        positives += (goal == 1).sum()
        near = (1 - score).log() * score**2 * (1 - goal) ** 4
        focal -= torch.where(goal == 1, score.log() * (1 - score) ** 2, near).sum()
    count = len(boxes)
    return dict(
        loss_giou=2 * giou / count, loss_l1=5 * l1 / count, loss_focal=focal / max(positives, 1)
    )


@pytest.mark.parametrize(
    'boxes',
    [
        [[0.4, 0.3, 0.25, 0.3], [0.1, 0.6, 0.4, 0.2]],
        [[0.8, 0.4, 0.5, 0.3], [-0.2, -0.1, 0.5, 0.5]],  # partly outside
        [[1.1, 0.4, 0.2, 0.3], [-0.5, 0.2, 0.2, 0.5]],  # no positive cell
    ],
)
def test_losses_are_those_of_the_plain_version(boxes):
    torch.manual_seed(3)
    head, boxes = CenterHead(8, 16), torch.tensor(boxes)
    maps = head(torch.randn(2, 8, 8, 8))
    got = head.loss(maps, boxes)
    for name, value in plain_losses(maps, boxes).items():
        assert float(got[name].detach()) == pytest.approx(float(value), rel=1e-4), name


def test_extreme_scores_stay_finite_in_half_precision():
    head = CenterHead(8, 8)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        maps = head(1e3 * torch.randn(2, 8, 8, 8))
        losses = head.loss(maps, torch.tensor([[0.4, 0.4, 0.2, 0.2]] * 2))
    assert maps['score_map'].dtype == torch.float32
    assert all(torch.isfinite(value) for value in losses.values())


# ---- whole trackers -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    'options', [{}, dict(elimination=CE), dict(backbone=HIERA)], ids=['vit', 'vit_ce', 'hiera']
)
def test_learns_a_pair_by_heart(options):
    model = build(**options)
    inputs, box = inputs_of(model), torch.tensor([[0.3, 0.4, 0.2, 0.3], [0.5, 0.2, 0.4, 0.3]])
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    learning = {n: p for n, p in model.named_parameters() if p.requires_grad}
    waiting, losses = set(learning), []
    for _ in range(30):
        parts = model(inputs, dict(box=box), mode='loss')
        loss = sum(value for name, value in parts.items() if 'loss' in name)
        optimizer.zero_grad()
        loss.backward()
        # size and offset learn at one cell of an image, where a ReLU may be shut for a step
        waiting = {n for n in waiting if learning[n].grad is None or not learning[n].grad.any()}
        optimizer.step()
        losses.append(float(loss.detach()))
    assert not waiting
    assert losses[-1] < 0.35 * losses[0]


@pytest.mark.parametrize('backbone', [VIT, HIERA], ids=['vit', 'hiera'])
@torch.no_grad()
def test_cells_of_the_map_lie_where_the_image_says(backbone):
    model = build(backbone).eval()
    inputs = inputs_of(model, 1)
    before = model(inputs)['feat']
    row, column = 2, 5
    inputs['search'][..., 16 * row : 16 * row + 16, 16 * column : 16 * column + 16] += 5
    change = (model(inputs)['feat'] - before).norm(dim=1)[0]
    assert divmod(int(change.argmax()), 8) == (row, column)


def test_positions_start_as_the_pretrained_ones(tmp_path):
    source = MODELS.build(VIT | dict(with_cls_token=True, final_norm=True))
    with torch.no_grad():
        source.pos_embed.normal_()
    path = tmp_path / 'mae.pth'
    state = {f'backbone.{name}': value for name, value in source.state_dict().items()}
    torch.save(dict(state_dict=state, meta=dict(backbone=source.describe())), path)
    model = build(VIT | dict(init_cfg=dict(type='Pretrained', checkpoint=str(path))))
    model.init_weights()
    for table, side in ((model.pos_embed_z, 4), (model.pos_embed_x, 8)):
        want = resample_positions(source.pos_embed, (side, side))[:, 1:]
        torch.testing.assert_close(table.data, want)
        assert table.requires_grad
    assert not model.backbone.pos_embed.requires_grad


@pytest.mark.parametrize(
    'make, message',
    [
        (lambda: build(coords='pixels'), "coords 'pixels' is unknown"),
        (lambda: build(search_size=100), 'search_size 100 must be a multiple of 16'),
        (lambda: build(HIERA, template_size=80), 'template_size 80 must be a multiple of 32'),
        (lambda: build(elimination=CE | dict(blocks=(1, 4))), r'\(1, 4\) must be from 0 to 3'),
        (lambda: build(elimination=CE | dict(keep_ratio=0)), 'keep_ratio 0 must be > 0'),
        (lambda: build(VIT | dict(with_cls_token=True)), 'with_cls_token=False'),
        (lambda: build()(dict.fromkeys(('template', 'search'), torch.zeros(1, 3, 64, 64))),
         r'search images must have 128x128 pixels, got \(64, 64\)'),
        (lambda: EliminationScheduleHook(start_epoch=-1), 'must not be negative'),
    ],
)  # fmt: skip
def test_wrong_arguments(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()
