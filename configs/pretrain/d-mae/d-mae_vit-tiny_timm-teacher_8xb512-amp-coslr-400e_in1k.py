"""Any timm ViT as teacher, here the supervised ViT-Base of ImageNet-21K."""

_base_ = './d-mae_vit-tiny_8xb512-amp-coslr-400e_in1k.py'
model = dict(
    distill=dict(
        teacher=dict(
            _delete_=True,
            type='mmlite.TimmViT',
            model_name='vit_base_patch16_224.augreg_in21k',
            pretrained=True,
        )
    )
)
