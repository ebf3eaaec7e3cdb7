"""The segmentation recipes: golden Semantic-FPN, cost, training, odd sizes and weights."""

import copy
import shlex
from pathlib import Path

import cv2
import golden
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from run_tool import run_tool
from task_recipes import settings, step, table_rows
from tiny_methods import silent
from tiny_pretrain import save_backbone

from mmlite.analysis.complexity import model_complexity
from mmlite.errors import ArgumentError
from mmlite.models import NarrowFeature2Pyramid, ViT
from mmlite.models.layers import resample_positions
from mmlite.registry import DATASETS, MODELS

CONFIGS = Path(__file__).parents[2] / 'configs'
RECIPES = [
    f'{head}_{body}' for head in ('semfpn', 'upernet') for body in ('vit-tiny', 'hiera-tiny')
] + ['upernet_swin-1g']
SCHEDULE = '8xb2-amp-160k_ade20k-512x512'
CLOSE = dict(rtol=1e-4, atol=1e-5)


def read(name, small=False, options=None):
    folder, end = ('shapes/seg', '_shapes') if small else ('seg', '')
    cfg = Config.fromfile(CONFIGS / folder / f'{name}_{SCHEDULE}{end}.py')
    cfg.merge_from_dict(options or {})
    init_default_scope(cfg.default_scope)
    return cfg


def build(*args, **kwargs):
    torch.manual_seed(0)
    return MODELS.build(read(*args, **kwargs).model)


RENAMES = (
    ('.projection.', '.proj.'), ('.layers.', '.blocks.'), ('.ffn.blocks.0.0.', '.mlp.fc1.'),
    ('.ffn.blocks.1.', '.mlp.fc2.'), ('.ln1.', '.norm1.'), ('.ln2.', '.norm2.'),
    ('.gamma_1', '.ls1.gamma'), ('.gamma_2', '.ls2.gamma'),
)  # fmt: skip


def official_weights():
    """Golden weights of the release; of its names only the encoder's differ from ours."""
    state = {}
    for key, value in golden.weights('semfpn_vit_tiny').items():
        for theirs, ours in RENAMES if key.startswith('backbone.') else ():
            key = key.replace(theirs, ours)
        state[key] = value
    return state


def test_semantic_fpn_golden():
    """The released weights in our recipe: taps of the encoder and logits at stride 4."""
    model = build('semfpn_vit-tiny').eval()
    model.load_state_dict(official_weights())
    want = golden.tensors('semfpn_vit_tiny')
    with torch.no_grad():
        taps = model.backbone(golden.images(512, batch=1))
        logits = model.decode_head(model.neck(taps))
    for index, tap in enumerate(taps):
        torch.testing.assert_close(tap[:, ::16, ::4, ::4], want[f'tap{index}'], **CLOSE)
    torch.testing.assert_close(logits[:, ::10, ::8, ::8], want['logits'], **CLOSE)


@pytest.mark.parametrize(
    ('name', 'params', 'gmac'),
    [
        ('semfpn_vit-tiny', 7_045_990, 13.44),
        ('semfpn_hiera-tiny', 7_583_620, 11.64),
        ('upernet_vit-tiny', 67_588_566, 484.23),
        ('upernet-c192_vit-tiny', 10_975_830, 41.91),
        ('upernet_hiera-tiny', 68_772_996, 479.39),
        ('upernet_swin-1g', 69_533_568, 477.73),
    ],
)
def test_cost_at_512_pixels(name, params, gmac):
    """Attention products counted, auxiliary head left out; 7.0M and 13.5G are Table 9's."""
    with torch.device('meta'):
        parts = model_complexity(build(name), (512, 512))
    parts.pop('auxiliary_head', None)
    total_params, macs = map(sum, zip(*parts.values(), strict=True))
    assert (total_params, round(macs / 1e9, 2)) == (params, gmac)
    if name == 'semfpn_vit-tiny':
        assert [parts[k][0] for k in ('backbone', 'neck', 'decode_head')] == [
            6_259_584, 101_712, 684_694
        ]  # fmt: skip


def samples(shape, classes, batch=2):
    """A batch as the data loader gives it: noise, labels in blocks of 32, a border of ignored."""
    from mmseg.structures import SegDataSample

    generator = torch.Generator().manual_seed(0)
    inputs, data_samples = [], []
    for _ in range(batch):
        inputs.append(torch.randint(0, 256, (3, *shape), generator=generator, dtype=torch.uint8))
        blocks = torch.randint(0, classes, (1, 16, 16), generator=generator)
        labels = blocks.repeat_interleave(32, 1).repeat_interleave(32, 2)[:, : shape[0], : shape[1]]
        labels[..., :8] = 255
        data_samples.append(
            SegDataSample(
                gt_sem_seg=PixelData(data=labels), metainfo=dict(img_shape=shape, ori_shape=shape)
            )
        )
    return dict(inputs=inputs, data_samples=data_samples)


@pytest.mark.parametrize('name', RECIPES)
def test_every_parameter_learns(name):
    model = build(name, small=True, options={'model.backbone.drop_path_rate': 0.0})
    model.init_weights()
    batch = samples((128, 128), model.decode_head.num_classes)
    first = step(model, batch)['loss']
    assert silent(model) == []
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(6):
        optimizer.step()
        last = step(model, batch)['loss']
    assert last < 0.85 * first


def test_odd_images_train():
    """They are filled up with zeros after normalization, their labels with what is ignored."""
    model = build('semfpn_hiera-tiny', small=True)
    odd = samples((85, 123), 8, batch=1)
    batch = model.data_preprocessor(copy.deepcopy(odd), True)
    inputs = batch['inputs']
    assert inputs.shape[2:] == (128, 128)
    assert not inputs[:, :, 85:].any() and not inputs[..., 123:].any()
    assert (batch['data_samples'][0].gt_sem_seg.data[0, 85:] == 255).all()
    losses = step(model, odd)
    assert 0 < losses['decode.loss_ce'] < 10
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)


def test_the_pyramid_wants_four_maps():
    with pytest.raises(ArgumentError, match=r'four maps, got 1: .* out_indices'):
        NarrowFeature2Pyramid(8, 2)([torch.zeros(1, 8, 4, 4)])


def test_weights_of_masked_pre_training_load(tmp_path, log):
    """The one line of the leaf is enough; what was used is said."""
    torch.manual_seed(1)
    source = ViT(out_type='raw', pos_embed='sincos', weight_init='mae')
    path = save_backbone(tmp_path / 'a.pth', source)
    options = {'model.backbone.init_cfg.checkpoint': str(path)}
    model = build('upernet_vit-tiny_d2-mae-init', options=options)
    model.init_weights()
    ours = model.backbone
    for name, tensor in source.blocks.state_dict().items():
        assert torch.equal(ours.blocks.state_dict()[name], tensor), name
    assert torch.equal(ours.pos_embed, resample_positions(source.pos_embed, (32, 32)))
    assert ours.pos_embed.requires_grad
    assert not any(block.attn.relative_position_bias_table.any() for block in ours.blocks)
    counts = {name: count for name, (count, _) in table_rows(log.text).items()}
    assert counts == {'used': 148, 'resampled': 1, 'not in file': 36, 'left over': 2}


@pytest.mark.parametrize('name', RECIPES)
def test_layers_decay_and_only_flat_parameters_are_exempt(name):
    """0.8 a layer (BEiT's rule); norms, biases and LayerScale are not decayed, positions are."""
    cfg = read(name)
    with torch.device('meta'):
        found = settings(cfg, MODELS.build(cfg.model))
    embedding = 'patch_embed.proj.weight' if 'swin' in name else 'pos_embed'
    assert found[f'backbone.{embedding}'] == pytest.approx((1e-4 * 0.8**13, 0.05))
    assert found['backbone.blocks.0.mlp.fc1.weight'] == pytest.approx((1e-4 * 0.8**12, 0.05))
    assert found['backbone.blocks.11.norm1.bias'] == pytest.approx((1e-4 * 0.8, 0))
    assert found['decode_head.conv_seg.weight'] == pytest.approx((1e-4, 0.05))
    if 'vit' in name:
        assert found['backbone.blocks.11.ls1.gamma'][1] == 0
        assert found['backbone.blocks.0.attn.relative_position_bias_table'][1] == 0.05
        assert found['neck.upsample_4x.1.weight'] == pytest.approx((1e-4, 0))


def test_generated_labels_are_the_classes_of_the_recipe(tmp_path):
    """Clutter is ignored, backgrounds are 0 to 3 and objects 4 to 7; crops have 128 pixels."""
    cfg = read('semfpn_vit-tiny', small=True)
    options = [*shlex.split(cfg.make_data)[2:], '--train', '2', '--val', '2', '--workers', '1']
    run_tool('dataset_converters/make_shapes', *options, '--out', tmp_path)
    train, val = (
        DATASETS.build(dict(loader.dataset, data_root=str(tmp_path / 'ade')))
        for loader in (cfg.train_dataloader, cfg.val_dataloader)
    )
    assert (len(train), len(val)) == (2, 2)
    crop = train[0]
    assert crop['inputs'].shape == (3, 128, 128)
    assert crop['data_samples'].gt_sem_seg.shape == (128, 128)
    for item in val:
        label = item['data_samples'].gt_sem_seg.data[0].numpy()
        file = cv2.imread(item['data_samples'].seg_map_path, cv2.IMREAD_UNCHANGED)
        assert item['inputs'].shape[1:] == label.shape == (192, 192)
        assert (label[file > 0] == file[file > 0] - 1).all() and (label[file == 0] == 255).all()
        assert label[label < 255].max() in range(4, 8)
