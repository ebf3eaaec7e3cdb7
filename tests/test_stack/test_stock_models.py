"""Models of mmdet as they are in its wheel, on the branches that they take on a GPU."""

import mmdet.models  # noqa: F401
import pytest
import torch
from mmcv.ops import multi_scale_deform_attn
from mmdet.registry import MODELS
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config, ConfigDict
from mmengine.logging import MessageHub
from mmengine.registry import init_default_scope

CONFIGS = [
    'centernet/centernet_r18-dcnv2_8xb16-crop512-140e_coco',
    'dcn/faster-rcnn_r50-dconv-c3-c5_fpn_1x_coco',
    'deformable_detr/deformable-detr-refine-twostage_r50_16xb2-50e_coco',
    'dyhead/atss_r50_fpn_dyhead_1x_coco',
    'guided_anchoring/ga-retinanet_r50_fpn_1x_coco',
    'reppoints/reppoints-moment_r50_fpn_1x_coco',
    'tood/tood_r50_fpn_1x_coco',
]
SMALLER = dict(
    in_channels=lambda old: [n // 8 for n in old] if old in (WIDTHS, WIDTHS[1:]) else old,
    init_cfg=lambda old: None,
    num_layers=lambda old: 1,  # of a transformer
    num_blocks=lambda old: 1,  # of DyHead
    stacked_convs=lambda old: 2,
    fc_out_channels=lambda old: 32,
    nms_pre=lambda old: 50,
    max_per_img=lambda old: min(old, 20),
)
WIDTHS = [256, 512, 1024, 2048]


def small(config):
    """The model without weights, an eighth as wide and with fewer layers and proposals."""
    if isinstance(config, list):
        return [small(item) for item in config]
    if not isinstance(config, dict):
        return config
    if config.get('type') == 'ResNet' and config['depth'] == 50:
        config = dict(config, base_channels=8)
    return {k: SMALLER[k](v) if k in SMALLER else small(v) for k, v in config.items()}


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.split('/')[0])
def test_trains_and_predicts(monkeypatch, path):
    init_default_scope('mmdet')
    torch.manual_seed(0)
    config = Config.fromfile(f'{mmdet.__path__[0]}/.mim/configs/{path}.py').model
    model = MODELS.build(ConfigDict(small(config.to_dict()))).train()  # ResNet freezes some norms
    model.init_weights()
    data = demo_mm_inputs(2, image_shapes=[[3, 128, 128]] * 2, num_classes=8)
    data = model.data_preprocessor(data, training=True)
    MessageHub.get_current_instance().update_info('epoch', 0)  # for TOOD

    monkeypatch.setattr(multi_scale_deform_attn, 'IS_CUDA_AVAILABLE', True)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.Tensor, 'is_cuda', True)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert loss.isfinite() and len(grads) > 50 and all(grad.isfinite().all() for grad in grads)
    with torch.no_grad():
        results = model.eval()(**data, mode='predict')
    assert all(r.pred_instances.bboxes.isfinite().all() for r in results)
