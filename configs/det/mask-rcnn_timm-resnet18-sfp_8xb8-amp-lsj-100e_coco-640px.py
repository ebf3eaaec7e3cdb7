"""Any backbone of timm under the same pyramid and heads: its map of stride 16 goes in."""

_base_ = './mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmpretrain.TIMMBackbone',
        model_name='resnet18',
        features_only=True,
        out_indices=(3,),
        pretrained=False,  # True downloads timm's weights
    ),
    neck=dict(in_channels=256),
)
