"""Table 7 of MAE-Lite (arXiv 2404.12210): lightweight models and their ImageNet-1K accuracy."""

from dataclasses import dataclass

import timm

from mmlite.errors import UserError
from mmlite.utils.names import near_names


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        name (str): The paper's name of the model.
        model (str | None): Key of :data:`OURS`, else timm's name, by which the model is built;
            None where timm does not have it.
        pretraining (str): Method and data of a pre-training, empty without one.
        distilled (bool): Fine-tuned, or trained, with a teacher.
        epochs (int | None): Of fine-tuning, or of training where there is no pre-training.
        params_m (float | None): Parameters in millions, as printed.
        top1 (float | None): Accuracy on ImageNet-1K val in percent, as printed.
        size (int): Side of the input in pixels. Defaults to 224.
    """

    name: str
    model: str | None
    pretraining: str = ''
    distilled: bool = False
    epochs: int | None = None
    params_m: float | None = None
    top1: float | None = None
    size: int = 224


OURS = {
    'mmlite.ViT-Tiny': dict(backbone=dict(type='mmlite.ViT', arch='tiny'), channels=192),
    'mmlite.ViT-Tiny-RPE': dict(
        backbone=dict(type='mmlite.ViT', arch='tiny', rel_pos='bias'), channels=192
    ),
    'mmlite.Hiera-Tiny': dict(backbone=dict(type='mmlite.Hiera', arch='tiny'), channels=368),
}
"""Name -> backbone of this suite, to which mean pooling and a linear classifier are added."""

_IN21K = 'supervised (IN21K)'

# EfficientNet-B1 takes 240 pixels, MobileViT and FastViT 256 where they reach these accuracies.
# DeiT-Tiny and PiT-Ti of 1000 epochs have a distillation token, hence timm's *_distilled models.
# The paper counts 6.8M parameters of FastViT-T12; timm's has 7.5M, and no other of its size.
TABLE = (
    Row('ResNet-18', 'resnet18', '', False, 100, 11.7, 69.7),
    Row('EfficientNet-B0', 'efficientnet_b0', '', False, 450, 5.3, 77.7),
    Row('EfficientNet-B1', 'efficientnet_b1', '', False, 450, 7.8, 78.8, 240),
    Row('MobileNet-v3', 'mobilenetv3_large_100', '', False, 600, 5.5, 75.2),
    Row('MobileNet-v3', 'mobilenetv3_large_100', _IN21K, True, 600, 5.5, 77.9),
    Row('ConvNeXt V1-F', 'convnext_femto', '', False, 600, 5.2, 77.5),
    Row('ConvNeXt V2-F', 'convnextv2_femto', 'FCMAE (IN1K)', False, 600, 5.2, 78.5),
    Row('XCiT-T12/16', 'xcit_tiny_12_p16_224', '', True, 400, 6.7, 78.6),
    Row('CaiT-XXS-24', 'cait_xxs24_224', '', True, 400, 12.0, 78.4),
    Row('DeiT-Tiny', 'deit_tiny_patch16_224', '', False, 300, 5.7, 72.2),
    Row('DeiT-Tiny (distilled)', 'deit_tiny_distilled_patch16_224', '', True, 1000, 5.7, 76.6),
    Row('LeViT-128', 'levit_128', '', True, 1000, 9.2, 78.6),
    Row('LeViT-192', 'levit_192', '', True, 1000, 11.0, 80.0),
    Row('PiT-Ti', 'pit_ti_distilled_224', '', True, 1000, 5.1, 76.4),
    Row('Swin-1G', None, '', False, 450, 7.3, 77.3),
    Row('Mobile-Former-294M', None, '', False, 450, 11.4, 77.9),
    Row('EdgeViT-XS', None, '', False, 300, 6.7, 77.5),
    Row('MobileViT-S', 'mobilevit_s', '', False, 300, 5.6, 78.3, 256),
    Row('FastViT-T12', 'fastvit_t12', '', False, 300, 6.8, 79.1, 256),
    Row('EfficientFormerV2-S1', 'efficientformerv2_s1', '', True, 450, 6.1, 79.7),
    Row('EfficientViT-M4', 'efficientvit_m4', '', True, 1000, 8.8, 77.1),
    Row('SeaFormer-L', None, '', False, 600, 14.0, 79.9),
    Row('EfficientViT-B1', 'efficientvit_b1', '', False, 300, 9.1, 79.4),
    Row('ViT-Tiny', 'mmlite.ViT-Tiny', '', False, 300, 5.7, 75.8),
    Row('ViT-Tiny', 'mmlite.ViT-Tiny', 'MAE (IN1K)', False, 300, 5.7, 78.0),
    Row('ViT-Tiny', 'mmlite.ViT-Tiny', 'D2-MAE (IN1K)', False, 300, 5.7, 78.7),
    Row('ViT-Tiny (RPE)', 'mmlite.ViT-Tiny-RPE', 'D2-MAE (IN1K)', False, 1000, 5.7, 79.4),
    Row('Hiera-Tiny', 'mmlite.Hiera-Tiny', '', False, 300, 6.5, 75.8),
    Row('Hiera-Tiny', 'mmlite.Hiera-Tiny', 'MAE (IN1K)', False, 300, 6.5, 78.5),
    Row('Hiera-Tiny', 'mmlite.Hiera-Tiny', 'D2-MAE (IN1K)', False, 300, 6.5, 78.9),
)  # fmt: skip


def choose_rows(names=None, table=TABLE):
    """The rows of some models.

    Args:
        names (Iterable[str], optional): Names of the table or of models; any other model of timm
            is added as a row without accuracy, at timm's own input size. Defaults to the table.
        table (Sequence[Row]): Defaults to :data:`TABLE`.

    Returns:
        list[Row]: In the order of the table, other models of timm behind.

    Raises:
        UserError: If a name is unknown, or of a model that timm does not have.
    """
    if not names:
        return list(table)
    known = {n.lower(): row for row in table for n in (row.name, row.model) if n}
    found, others = [], []
    for name in names:
        row = known.get(name.lower())
        if row is not None:
            if row.model is None:
                raise UserError(f'timm has no {row.name}: leave it out')
            found += [r for r in table if name.lower() in (r.name.lower(), (r.model or '').lower())]
        elif timm.is_model(name):
            size = timm.get_pretrained_cfg(name).input_size[-1]
            others.append(Row(name, name, size=size))
        else:
            near = near_names(name, [n for r in table for n in (r.name, r.model) if n])
            near = near or near_names(name, timm.list_models())
            hint = f'; near names: {", ".join(near)}' if near else ''
            raise UserError(f'{name!r} is neither in the table nor a model of timm{hint}')
    return [row for row in table if row in found] + others
