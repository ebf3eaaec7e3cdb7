"""The one-stream tracker: golden values, cost, elimination, targets, head and losses."""

import math
import re
from pathlib import Path
from types import SimpleNamespace

import golden
import numpy as np
import pytest
import torch
from mmengine.config import Config
from tiny_tracker import HIERA, VIT

from mmlite.analysis.complexity import tracker_complexity
from mmlite.engine.hooks import EliminationScheduleHook
from mmlite.errors import ArgumentError
from mmlite.models import HieraOSTrack, OSTrack
from mmlite.models.layers import resample_positions
from mmlite.models.track import CenterHead
from mmlite.models.track.targets import gaussian_radius, hann_window, score_target
from mmlite.registry import MODELS
from mmlite.weights.layouts import all_rules, recognise

CONFIGS = Path(__file__).parents[2] / 'configs' / 'track'
CLOSE = dict(rtol=1e-4, atol=1e-5)
SIZES = dict(template_size=64, search_size=128)


def recipe(name):
    return MODELS.build(Config.fromfile(CONFIGS / f'{name}_4xb32-300e_sot-256px.py').model)


def tiny(elimination=None, backbone=VIT, **kwargs):
    torch.manual_seed(0)
    head = dict(type='mmlite.CenterHead', in_channels=24, channels=32)
    return OSTrack(backbone, head, elimination, **SIZES | kwargs)


def tiny_hiera(**kwargs):
    torch.manual_seed(0)
    head = dict(type='mmlite.CenterHead', in_channels=64, channels=32)
    return HieraOSTrack(HIERA, head, **SIZES | kwargs)


CE = dict(type='mmlite.CandidateElimination', blocks=(1, 2))
TRACKERS = dict(vit=tiny, vit_ce=lambda: tiny(CE), hiera=tiny_hiera)


def pairs(model, count=2):
    generator = torch.Generator().manual_seed(1)
    sizes = dict(template=model.template_size, search=model.search_size)
    return {
        name: torch.randn(count, 3, side, side, generator=generator) for name, side in sizes.items()
    }


def official_weights(name):
    """Weights of the released tracker by the suite's names."""
    weights = golden.weights(name)
    rules = all_rules(recognise(weights, 'ostrack'), weights)
    state = {}
    for key, value in weights.items():
        pattern, verb, new = next(r for r in rules if re.fullmatch(r[0], key))
        if verb == 'move':
            new = new(re.fullmatch(pattern, key)) if callable(new) else re.sub(pattern, new, key)
            state[new] = torch.from_numpy(value)
    return state


@pytest.mark.parametrize(
    'name, recipe_name',
    [('ostrack_tiny', 'ostrack_vit-tiny'), ('ostrack_tiny_ce', 'ostrack_vit-tiny-ce')],
)
@torch.no_grad()
def test_golden(name, recipe_name):
    model, want = recipe(recipe_name).eval(), golden.load(name)
    model.load_state_dict(official_weights(name))  # strictly
    inputs = {
        key: torch.from_numpy(golden.array(key, (2, 3, side, side)))
        for key, side in (('template', 128), ('search', 256))
    }
    out = model(inputs, mode='tensor')
    for key in ('score_map', 'size_map', 'offset_map', 'pred_boxes'):
        torch.testing.assert_close(out[key], torch.from_numpy(want[key]), **CLOSE)
    # the official features begin with the template's 64 tokens; every fifth token is kept
    feat = out['feat'].flatten(2).transpose(1, 2)[:, 1::5, ::8]
    torch.testing.assert_close(feat, torch.from_numpy(want['feat'][:, 13:]), **CLOSE)


@pytest.mark.parametrize(
    'name, macs', [('ostrack_vit-tiny', 2.855), ('ostrack_vit-tiny-ce', 2.198)]
)
def test_cost(name, macs):
    with torch.device('meta'):
        parts = tracker_complexity(recipe(name))
    assert sum(params for params, _ in parts.values()) == 8_040_645
    assert parts['head'][0] == 2_492_805
    assert sum(count for _, count in parts.values()) / 1e9 == pytest.approx(macs, abs=1e-3)


# ---- candidate elimination ----------------------------------------------------------------------


@torch.no_grad()
def test_elimination_keeps_the_released_numbers_of_tokens():
    model = recipe('ostrack_vit-tiny-ce').eval()
    counts = []
    for block in model.backbone.blocks:
        block.mlp.register_forward_hook(lambda m, args, out: counts.append(args[0].shape[1] - 64))
    feat = model(pairs(model, 1))['feat']
    assert counts == [256] * 3 + [180] * 3 + [126] * 3 + [89] * 3
    assert (feat == 0).all(dim=1).sum() == 256 - 89


@torch.no_grad()
def test_eliminating_nothing_changes_nothing():
    plain, kept = tiny().eval(), tiny(CE | dict(keep_ratio=1.0)).eval()
    torch.testing.assert_close(plain(pairs(plain))['feat'], kept(pairs(kept))['feat'])


@torch.no_grad()
def test_what_is_left_is_what_the_template_attends_to():
    """A plain version: full attention by softmax, a sort, and a loop over images."""
    model = tiny(CE | dict(blocks=(2,), keep_ratio=0.3)).eval()
    inputs = pairs(model)
    tokens = torch.cat(
        [model.embed_template(inputs['template']), model.embed_search(inputs['search'])], dim=1
    )
    _, taps = model.backbone.encode(tokens, ['blocks.2.attn_logits'])
    attention = taps['blocks.2.attn_logits'].softmax(dim=-1).mean(dim=1)
    center = 1 * 4 + 1  # of 4 x 4 template tokens, up and left of the middle
    feat = model(inputs)['feat'].flatten(2)
    for row, map_ in zip(attention[:, center, 16:], feat, strict=True):
        kept = row.argsort(descending=True)[: math.ceil(0.3 * 64)]
        assert set(map_.abs().sum(dim=0).nonzero()[:, 0].tolist()) == set(kept.tolist())


@pytest.mark.parametrize(
    'epoch, ratio', [(1, 1), (19, 1), (20, 1), (40, 0.956), (60, 0.850), (80, 0.744), (100, 0.7)]
)
def test_schedule_counts_epochs_from_one(epoch, ratio):
    model = tiny(CE)
    hook = EliminationScheduleHook()
    runner = SimpleNamespace(model=model, epoch=epoch - 1)
    hook.before_train_epoch(runner)
    assert model.elimination.ratio == pytest.approx(ratio, abs=5e-4)
    hook.after_train(runner)
    assert model.elimination.ratio == 0.7


# ---- targets and head ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    'size, radius',
    [((2, 2), 0), ((3, 3), 0), ((4, 4), 1), ((6, 3), 1), ((8, 2), 0), ((5, 5), 1), ((10, 10), 2),
     ((16, 16), 4)],
)  # fmt: skip
def test_radius(size, radius):
    assert gaussian_radius(torch.tensor([size], dtype=torch.float32)) == radius


def test_score_target_is_the_official_one():
    want = golden.load('track_utils')
    boxes = torch.from_numpy(want['heatmap_gt_xywh'])
    got = score_target(boxes, 16)[:, 0]
    torch.testing.assert_close(got, torch.from_numpy(want['heatmap']), rtol=1e-5, atol=1e-6)
    assert (got.flatten(1).amax(dim=1) == 1).all()


def test_score_target_outside_the_region_has_no_peak():
    assert score_target(torch.tensor([[1.2, 0.4, 0.2, 0.2]]), 16).max() < 1


def test_window_is_the_official_one():
    want = torch.from_numpy(golden.load('track_utils')['hann'])[0, 0]
    torch.testing.assert_close(hann_window(16), want, rtol=1e-5, atol=1e-6)


def maps_of(score, size=(0.2, 0.1), offset=(0.25, -0.5)):
    side = score.shape[-1]
    full = torch.ones(len(score), 2, side, side)
    return dict(
        score_map=score,
        size_map=full * torch.tensor(size).view(2, 1, 1),
        offset_map=full * torch.tensor(offset).view(2, 1, 1),
    )


def test_decoding_reads_the_best_cell():
    score = torch.full((1, 1, 16, 16), 0.1)
    score[0, 0, 5, 9] = 0.9
    head = CenterHead(8, 8)
    want = torch.tensor([[9.25 / 16, 4.5 / 16, 0.2, 0.1, 0.9, 0.9]])
    torch.testing.assert_close(head.decode(maps_of(score)), want)


def test_the_window_chooses_and_the_score_is_reported():
    score = torch.full((1, 1, 16, 16), 0.1)
    score[0, 0, 0, 0], score[0, 0, 8, 8] = 0.9, 0.6
    got = CenterHead(8, 8).decode(maps_of(score, offset=(0.0, 0.0)), hann_window(16))[0]
    torch.testing.assert_close(got[:2], torch.tensor([0.5, 0.5]))
    assert got[4] == pytest.approx(0.6) and got[5] == pytest.approx(0.6 * 0.9915**2, abs=1e-3)


def plain_losses(maps, boxes):
    """Losses of one batch by loops over images and cells, from the formulas."""
    giou = l1 = focal = positives = 0.0
    for score, size, offset, (x, y, w, h) in zip(
        *(maps[k].detach().double().numpy() for k in ('score_map', 'size_map', 'offset_map')),
        boxes.double().numpy(),
        strict=True,
    ):
        side = score.shape[-1]
        row, column = np.unravel_index(score[0].argmax(), (side, side))
        cx, cy = (column + offset[0, row, column]) / side, (row + offset[1, row, column]) / side
        pw, ph = size[:, row, column]
        p = [cx - pw / 2, cy - ph / 2, cx + pw / 2, cy + ph / 2]
        t = [min(max(v, 0), 1) for v in (x, y, x + w, y + h)]
        l1 += sum(abs(a - b) for a, b in zip(p, t, strict=True)) / 4
        inner = max(min(p[2], t[2]) - max(p[0], t[0]), 0) * max(
            min(p[3], t[3]) - max(p[1], t[1]), 0
        )
        union = (p[2] - p[0]) * (p[3] - p[1]) + (t[2] - t[0]) * (t[3] - t[1]) - inner
        hull = (max(p[2], t[2]) - min(p[0], t[0])) * (max(p[3], t[3]) - min(p[1], t[1]))
        giou += 1 - (inner / union - (hull - union) / hull)
        target = score_target(torch.tensor([[x, y, w, h]]), side)[0, 0].numpy()
        for q, goal in zip(score[0].flatten(), target.flatten(), strict=True):
            if goal == 1:
                focal -= math.log(q) * (1 - q) ** 2
                positives += 1
            else:
                focal -= math.log(1 - q) * q**2 * (1 - goal) ** 4
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
        assert float(got[name].detach()) == pytest.approx(value, rel=1e-4), name


def test_extreme_scores_stay_finite_in_half_precision():
    head = CenterHead(8, 8)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        maps = head(1e3 * torch.randn(2, 8, 8, 8))
        losses = head.loss(maps, torch.tensor([[0.4, 0.4, 0.2, 0.2]] * 2))
    assert maps['score_map'].dtype == torch.float32
    assert all(torch.isfinite(value) for value in losses.values())


# ---- whole trackers -----------------------------------------------------------------------------


@pytest.mark.parametrize('make', TRACKERS.values(), ids=TRACKERS)
def test_learns_a_pair_by_heart(make):
    model = make()
    inputs, box = pairs(model), torch.tensor([[0.3, 0.4, 0.2, 0.3], [0.5, 0.2, 0.4, 0.3]])
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


@pytest.mark.parametrize('make', TRACKERS.values(), ids=TRACKERS)
@torch.no_grad()
def test_locate_is_forward_with_a_window(make):
    model = make().eval()
    inputs = pairs(model)
    maps = model(inputs)
    found = model.locate(model.embed_template(inputs['template']), inputs['search'])
    torch.testing.assert_close(found, model.head.decode(maps, hann_window(8)))
    other = model.embed_template(inputs['template'].flip(0))
    assert not torch.allclose(model.locate(other, inputs['search']), found)


@pytest.mark.parametrize('make', [tiny, tiny_hiera])
@torch.no_grad()
def test_cells_of_the_map_lie_where_the_image_says(make):
    model = make().eval()
    inputs = pairs(model, 1)
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
    model = tiny(backbone=VIT | dict(init_cfg=dict(type='Pretrained', checkpoint=str(path))))
    model.init_weights()
    for table, side in ((model.pos_embed_z, 4), (model.pos_embed_x, 8)):
        want = resample_positions(source.pos_embed, (side, side))[:, 1:]
        torch.testing.assert_close(table.data, want)
        assert table.requires_grad
    assert not model.backbone.pos_embed.requires_grad


@pytest.mark.parametrize(
    'make, message',
    [
        (lambda: tiny(coords='pixels'), "coords 'pixels' is unknown"),
        (lambda: tiny(search_size=100), 'search_size 100 must be a multiple of 16'),
        (lambda: tiny_hiera(template_size=80), 'template_size 80 must be a multiple of 32'),
        (lambda: tiny(CE | dict(blocks=(1, 4))), r'blocks \(1, 4\) must be from 0 to 3'),
        (lambda: tiny(CE | dict(keep_ratio=0)), 'keep_ratio 0 must be > 0'),
        (lambda: tiny(backbone=VIT | dict(with_cls_token=True)), 'with_cls_token=False'),
        (lambda: tiny()(dict(template=torch.zeros(1, 3, 64, 64), search=torch.zeros(1, 3, 64, 64))),
         r'search images must have 128x128 pixels, got \(64, 64\)'),
        (lambda: tiny()(pairs(tiny()), mode='predict'), "mode 'predict' is unknown"),
        (lambda: EliminationScheduleHook(start_epoch=-1), 'must not be negative'),
    ],
)  # fmt: skip
def test_wrong_arguments(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()
