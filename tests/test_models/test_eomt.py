"""EoMT against a plain implementation: loops over images, queries and heads, explicit softmax."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample

from mmlite.engine.config_file import load_config
from mmlite.engine.hooks.annealing import MaskAnnealingHook, mask_share
from mmlite.errors import ArgumentError
from mmlite.models import ViT
from mmlite.models.eomt import EoMTSegHead
from mmlite.registry import MODELS

ARCH = dict(embed_dims=32, num_layers=4, num_heads=2)
FORMS = {
    'plain': {},
    'dinov3': dict(
        pos_embed='none', num_registers=2, rope=dict(temperature=100), layer_scale_init_value=0.5,
        norm_eps=1e-5,
    ),
}  # fmt: skip


@pytest.fixture(scope='module')
def recipe():
    return load_config('configs/seg/eomt_vit-tiny_8xb2-amp-40k_ade20k-512x512.py').model


def build_head(recipe, **options):
    init_default_scope('mmseg')
    settings = dict(recipe.decode_head, in_channels=32, num_classes=3, num_queries=5, **options)
    settings['train_cfg'] = dict(settings['train_cfg'], num_points=200)
    return MODELS.build(settings)


def build(recipe, form='plain', **options):
    torch.manual_seed(0)
    vit = ViT(arch=ARCH, img_size=64, out_type='raw', **FORMS[form])
    head = build_head(recipe, num_blocks=2, **options)
    for parameter in [*vit.parameters(), *head.parameters()]:
        torch.nn.init.normal_(parameter, std=0.2)
    for block in head.upscale:  # masks of both signs
        torch.nn.init.zeros_(block[3].bias)
    torch.nn.init.normal_(head.mask_embed[4].weight, std=1.0)
    torch.nn.init.normal_(head.query_embed.weight, std=2.0)
    return vit, head


def rotated(vit, x, cells, grid):
    """Rotate one vector (D,) of a head at every cell, (N, D), by the formulas of DINOv3."""
    out = x.clone()
    n = x.shape[1] // 4
    for row, cell in enumerate(cells):
        place = (
            (cell // grid[1] + 0.5) / grid[0] * 2 - 1,
            (cell % grid[1] + 0.5) / grid[1] * 2 - 1,
        )
        angles = [2 * torch.pi * p / 100 ** (i / n) for p in place for i in range(n)]
        for i, angle in enumerate(torch.tensor(angles)):
            a, b = x[row, i], x[row, i + 2 * n]
            out[row, i] = a * angle.cos() - b * angle.sin()
            out[row, i + 2 * n] = b * angle.cos() + a * angle.sin()
    return out


def slow_block(vit, block, x, grid, allowed):
    """A block on tokens (N, C) of one image; ``allowed`` is a nested list (N, N) of booleans."""
    y = block.norm1(x)
    heads = block.attn.num_heads
    cells = grid[0] * grid[1]
    parts = []
    for h in range(heads):
        width = x.shape[1] // heads
        rows = [
            slice(p * x.shape[1] + h * width, p * x.shape[1] + (h + 1) * width) for p in range(3)
        ]
        q, k, v = (y @ block.attn.qkv.weight[r].T + block.attn.qkv.bias[r] for r in rows)
        if vit.rope is not None:
            q, k = (
                torch.cat([t[:-cells], rotated(vit, t[-cells:], range(cells), grid)])
                for t in (q, k)
            )
        logits = q @ k.T / width**0.5
        for i in range(len(x)):
            for j in range(len(x)):
                if not allowed[i][j]:
                    logits[i, j] = -torch.inf
        parts.append(logits.softmax(dim=-1) @ v)
    x = x + block.ls1(block.attn.proj(torch.cat(parts, dim=1)))
    return x + block.ls2(block.mlp(block.norm2(x)))


def slow_predict(vit, head, x, grid):
    y = vit.norm(x)
    queries, patches = y[: head.num_queries], y[-grid[0] * grid[1] :]
    maps = head.upscale(patches.T.reshape(1, -1, *grid))[0]
    masks = torch.stack([(head.mask_embed(q)[:, None, None] * maps).sum(0) for q in queries])
    return head.cls_embed(queries), masks


def slow_eomt(vit, head, image, masked):
    """All predictions for one image (3, H, W); ``masked`` tells which query blocks mask."""
    grid = tuple(side // 16 for side in image.shape[1:])
    x = vit.embed(image[None])[0]
    first = len(vit.blocks) - head.num_blocks
    for block in vit.blocks[:first]:
        x = slow_block(vit, block, x, grid, [[True] * len(x)] * len(x))
    x = torch.cat([head.query_embed.weight, x])
    found = []
    for index, block in enumerate(vit.blocks[first:]):
        found.append(slow_predict(vit, head, x, grid))
        allowed = [[True] * len(x) for _ in x]
        small = F.interpolate(found[-1][1][None], grid, mode='bilinear')[0]
        for q in range(head.num_queries):
            for cell in range(grid[0] * grid[1]):
                if masked[index] and not small[q].flatten()[cell] > 0:
                    allowed[q][len(x) - grid[0] * grid[1] + cell] = False
        x = slow_block(vit, block, x, grid, allowed)
    return [*found, slow_predict(vit, head, x, grid)]


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('shares', [(1.0, 1.0), (0.0, 1.0), (0.0, 0.0)])
def test_predictions_and_gradients_equal_those_of_loops(recipe, form, shares):
    vit, head = build(recipe, form)
    head.mask_share.copy_(torch.tensor(shares))
    images = torch.randn(2, 3, 48, 64)
    found = head.encode(vit, images)
    slow = [slow_eomt(vit, head, image, [s > 0 for s in shares]) for image in images]
    for layer in range(3):
        for kind, given in enumerate((found.classes, found.masks)):
            wanted = torch.stack([one[layer][kind] for one in slow])
            torch.testing.assert_close(given[layer], wanted, atol=2e-5, rtol=2e-4)
    assert found.masks[0].shape == (2, 5, 12, 16)  # stride 4
    for masks in found.masks[:2]:
        assert 0.05 < (masks > 0).float().mean() < 0.95
    inputs = [head.query_embed.weight, vit.patch_embed.proj.weight]
    mine = torch.autograd.grad(sum(m.square().mean() for m in found.masks), inputs)
    loops = torch.autograd.grad(
        sum(torch.stack([one[i][1] for one in slow]).square().mean() for i in range(3)), inputs
    )
    for a, b in zip(mine, loops, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5 * float(b.abs().max()), rtol=1e-3)


def test_inference_after_annealing_computes_one_prediction(recipe):
    vit, head = build(recipe)
    head.mask_share.zero_()
    images = torch.randn(1, 3, 64, 64)
    trained = head.encode(vit, images)
    head.eval()
    final = head.encode(vit, images)
    assert len(final.masks) == 1 and len(trained.masks) == 3
    torch.testing.assert_close(final.masks[0], trained.masks[-1])
    head.mask_share.copy_(torch.tensor([0.0, 0.5]))
    half = head.encode(vit, images)
    assert len(half.masks) == 2  # the second block still masks
    assert not torch.allclose(half.masks[-1], final.masks[0], atol=1e-3)


def test_share_is_the_fraction_of_masked_queries(recipe):
    _, head = build(recipe)
    head.mask_share.copy_(torch.tensor([0.25, 1.0]))
    logits = -torch.ones(2000, 5, 4, 4)  # every mask is empty
    mask = head.attention_mask(logits, (1, 1), 7, 0)
    closed = (~mask[:, 0, :5, -1]).float().mean()
    assert abs(float(closed) - 0.25) < 0.02
    assert mask[:, 0, 5:].all() and mask[:, 0, :, :6].all()


def test_images_of_part_patches_have_masks_without_padding(recipe):
    vit, head = build(recipe)
    assert head.encode(vit, torch.randn(1, 3, 50, 61)).masks[-1].shape[2:] == (13, 16)


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (dict(rel_pos='bias'), 'rel_pos=None'),
        (dict(final_norm=False), 'final_norm=True'),
        (dict(patch_size=8, img_size=64), 'patch_size 16, but the backbone 32 and 8'),
        (dict(with_cls_token=False, window_size=2), 'window_size=0'),
    ],
)
def test_backbones_that_cannot_read_queries_are_refused(recipe, options, said):
    head = build_head(recipe, num_blocks=2)
    vit = ViT(**(dict(arch=ARCH, img_size=64, out_type='raw') | options))
    with pytest.raises(ArgumentError, match=said):
        head.check(vit)


def test_loss_equals_a_plain_one(recipe, monkeypatch):
    """One query per object, matched by hand, constant masks, no points at the border."""
    monkeypatch.setattr(
        'mmdet.models.dense_heads.mask2former_head.get_uncertain_point_coords_with_randomness',
        lambda masks, _, count, *__: torch.full((len(masks), count, 2), 0.5),
    )
    _, head = build(recipe)
    head.num_queries = 3
    logits = torch.tensor([[[4.0, 0, 0, 0], [0, 4.0, 0, 0], [0, 0, 0, 4.0]]])
    value = torch.tensor([3.0, 1.0, -2.0])
    masks = value[None, :, None, None].expand(1, 3, 16, 16).clone()
    truth = InstanceData(labels=torch.tensor([0, 1]), masks=torch.ones(2, 64, 64).long())
    losses = head.loss_by_feat([logits], [masks], [truth], [{}])
    chances = logits[0].softmax(-1)
    weight = torch.tensor([1.0, 1.0, 0.1])
    hit = torch.stack([chances[0, 0], chances[1, 1], chances[2, 3]])
    torch.testing.assert_close(
        losses['loss_cls'].squeeze(), 2 * (weight * -hit.log()).sum() / weight.sum()
    )
    p = value[:2].sigmoid()
    torch.testing.assert_close(losses['loss_mask'].squeeze(), 5 * -p.log().mean())
    dice = 1 - (2 * 200 * p + 1) / (200 * p + 200 + 1)
    torch.testing.assert_close(losses['loss_dice'].squeeze(), 5 * dice.mean())


def test_shares_are_the_published_ones():
    # ADE20K, ViT-L: the first block anneals from 6520 to 13040
    assert mask_share(6520, 6520, 13040) == 1 and mask_share(13040, 6520, 13040) == 0
    assert mask_share(9780, 6520, 13040) == pytest.approx(0.5**0.9)


class Runner:
    max_iters = 500
    iter = 0

    def __init__(self, head):
        self.model = torch.nn.Module()
        self.model.decode_head = head


@pytest.mark.parametrize(
    ('step', 'shares'),
    [(0, [1, 1, 1]), (150, [0.5**0.9, 1, 1]), (250, [0, 0.5**0.9, 1]), (400, [0, 0, 0])],
)
def test_hook_anneals_in_equal_phases(recipe, step, shares):
    head = build_head(recipe)
    hook, runner = MaskAnnealingHook(), Runner(head)
    hook.before_train(runner)
    runner.iter = step
    hook.before_train_iter(runner, 0)
    assert head.mask_share.tolist() == pytest.approx(shares)
    assert 'mask_share' in head.state_dict()


def test_hook_refuses_starts_that_do_not_fit(recipe):
    with pytest.raises(ArgumentError, match='each start before its end'):
        MaskAnnealingHook(starts=[5], ends=[5])
    with pytest.raises(ArgumentError, match='starts has 1 entries, but the head 3'):
        MaskAnnealingHook(starts=[0], ends=[5]).before_train(Runner(build_head(recipe)))


def test_loss_falls(recipe):
    init_default_scope('mmseg')
    torch.manual_seed(0)
    model = MODELS.build(
        ConfigDict(
            type='mmlite.EoMTSegmentor',
            backbone=dict(type='mmlite.ViT', arch=ARCH, img_size=32, out_type='raw'),
            decode_head=dict(
                recipe.decode_head, in_channels=32, num_classes=2, num_queries=4, num_blocks=2,
                train_cfg=dict(recipe.decode_head.train_cfg, num_points=64),
            ),
            test_cfg=dict(mode='whole'),
        )
    )  # fmt: skip
    images, labels = torch.zeros(2, 3, 32, 32), torch.zeros(2, 1, 32, 32, dtype=torch.long)
    images[:, :, :, 16:], labels[..., 16:] = 1.0, 1
    meta = dict(img_shape=(32, 32), ori_shape=(32, 32), pad_shape=(32, 32))
    samples = [SegDataSample(gt_sem_seg=PixelData(data=y), metainfo=meta) for y in labels]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    curve = []
    for _ in range(40):
        losses = sum(model.loss(images, samples).values())
        optimizer.zero_grad()
        losses.backward()
        optimizer.step()
        curve.append(losses.item())
    assert curve[-1] < curve[0] / 4
    model.eval()
    found = model.predict(images, samples)[0].pred_sem_seg.data
    assert (found == labels[0]).float().mean() > 0.95
    assert isinstance(model.decode_head, EoMTSegHead)
