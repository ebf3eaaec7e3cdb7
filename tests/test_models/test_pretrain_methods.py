"""Tests of all pre-training methods, over all recipes for generated images."""

import pretrain_recipes
import pytest
import tiny_methods
import torch
from mmengine.config import Config
from pretrain_recipes import RECIPES
from torch import distributed
from trainings import CONTEXT

from mmlite.engine.cli import close_process_group
from mmlite.models import CPUDistributedDataParallel
from mmlite.models.layers import cut_patches
from mmlite.registry import MODELS


@pytest.mark.parametrize('name', tiny_methods.LEARNING)
def test_loss_falls_on_a_fixed_batch(name):
    changes = {}
    if name == 'dino':  # class tokens of so small a ViT hardly differ at first, patches do
        changes = dict(backbone=dict(tiny_methods.VIT, out_type='avg_featmap'))
    model = tiny_methods.build(name, **changes)
    arguments = tiny_methods.batch(name)

    def loss():
        return sum(v for k, v in model.loss(*arguments).items() if k.startswith('loss'))

    lr, steps, share = tiny_methods.LEARNING[name]
    losses = tiny_methods.train(loss, model.parameters(), lr, steps)
    assert sum(losses[-3:]) < share * sum(losses[:3])
    if name == 'tokenizer':
        assert model.loss(*arguments)['perplexity'] > 8


@pytest.mark.parametrize('name', ['simmim', 'maskfeat', 'beit', 'bootmae'])
def test_reconstructions_hide_whole_patches_and_keep_the_others(name):
    model = tiny_methods.build(name).eval()
    inputs, *samples = tiny_methods.batch(name)
    inputs = inputs + 3 if name == 'maskfeat' else inputs  # no visible pixel is 0
    images = inputs[0] if isinstance(inputs, list) else inputs
    shown = model.reconstruct(inputs, *samples)
    hidden = shown.masked == 0
    cells = cut_patches(hidden.float(), model.backbone.patch_size)[0].mean(dim=2)
    assert set(cells.unique().tolist()) == {0.0, 1.0}
    assert len(cells.sum(dim=1).unique()) == 1
    whole = shown.target if name == 'maskfeat' else images
    assert torch.equal(shown.masked[~hidden], images[~hidden])
    assert torch.equal(shown.restored[~hidden], whole[~hidden])
    assert not torch.allclose(shown.restored[hidden], whole[hidden])
    assert not shown.restored.requires_grad


@pytest.fixture(scope='module', params=RECIPES)
def built(request):
    """A recipe and its model."""
    return request.param, pretrain_recipes.build(request.param)


def test_every_trainable_tensor_learns(built):
    """Gradients reach all of them, and nothing that is frozen."""
    recipe, model = built
    model.train()
    loss, logged = model.parse_losses(model(**pretrain_recipes.batch(model, recipe), mode='loss'))
    assert loss.isfinite() and 'loss' in logged
    loss.backward()
    assert tiny_methods.silent(model) == []


def test_checkpoint_goes_into_mask_rcnn_by_one_line(built, tmp_path):
    """Every encoder weight of the detector comes from it, apart from relative positions."""
    recipe, model = built
    if 'tokenizer' in recipe:
        return
    file = tmp_path / 'pretrained.pth'
    meta = dict(backbone=model.backbone.describe())
    torch.save(dict(state_dict=model.state_dict(), meta=meta), file)
    kinds = {'hiera': 'hiera-tiny-fpn', 'swin': 'swin-1g-fpn'}
    kind = next((kind for name, kind in kinds.items() if name in recipe), 'vit-tiny-sfp')
    leaf = f'det/mask-rcnn_{kind}_8xb8-amp-lsj-100e_coco-640px_shapes.py'
    cfg = Config.fromfile(pretrain_recipes.ROOT.parent / leaf).model.backbone
    if 'vit-small' in recipe:
        cfg.arch = 'small'
    cfg.init_cfg = dict(type='Pretrained', checkpoint=str(file))
    backbone = MODELS.build(cfg)
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    backbone.init_weights()
    for key, value in backbone.state_dict().items():
        given = model.backbone.state_dict().get(key)
        if given is None:
            assert 'rel_pos' in key or 'stage_norms' in key, key
        elif given.shape == value.shape:
            assert torch.equal(value, given), key
        else:
            assert key == 'pos_embed' and not torch.equal(value, before[key])


SHARING = (
    'beit/tokenizer', 'bootmae', 'd2-mae/d2-mae_hiera', 'dino', 'distill/distill_vit', 'mocov3',
)  # fmt: skip
"""Methods with more than gradients to keep alike: codebooks, averages, statistics, teachers."""


def _be_one_of_two(rank, store, results):
    """A process that trains methods on its own halves of batches."""
    torch.set_num_threads(1)
    distributed.init_process_group('gloo', init_method=f'file://{store}', rank=rank, world_size=2)
    results[rank] = {
        recipe: _train_two_steps(recipe, rank) for recipe in RECIPES if recipe.startswith(SHARING)
    }
    close_process_group()


def _train_two_steps(recipe, rank):
    """Sum of weights and buffers after two steps, but for the statistics of batch norms."""
    model = pretrain_recipes.build(recipe).train()
    wrapped = CPUDistributedDataParallel(model)
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.SGD(trainable, lr=1e-3)
    for step in range(2):
        torch.manual_seed(2 * step + rank)
        losses = wrapped(**pretrain_recipes.batch(model, recipe, first=rank), mode='loss')
        optimiser.zero_grad()
        model.parse_losses(losses)[0].backward()
        optimiser.step()
    state = model.state_dict().items()
    return sum(t.double().sum() for key, t in state if 'running_' not in key).item()


def test_two_processes_stay_equal(tmp_path):
    """And no parameter is left unused: DDP would raise in the second step."""
    with CONTEXT.Manager() as manager:
        results = manager.dict()
        store = tmp_path / 'store'
        processes = [
            CONTEXT.Process(target=_be_one_of_two, args=(rank, store, results)) for rank in range(2)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        first, second = results[0], results[1]
    assert len(first) == len(SHARING) and first == second
