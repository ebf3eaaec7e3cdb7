"""The teacher's temperature rises from 0.04 to 0.07 in 30 epochs: official recipe for ViTs."""

_base_ = './dino_vit-tiny_8xb128-amp-coslr-400e_in1k.py'
model = dict(head=dict(teacher_temperature=[(0.0, 0.04), (30 / _base_.max_epochs, 0.07)]))
