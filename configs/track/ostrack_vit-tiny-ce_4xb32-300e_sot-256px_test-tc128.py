"""OSTrack-T, tested on TC-128."""

_base_ = './ostrack_vit-tiny-ce_4xb32-300e_sot-256px.py'
test_dataloader = dict(dataset=dict(_delete_=True, **_base_.sot_tests.tc128))
