"""OSTrack-T, tested on LaSOT-ext's 150 videos of 15 new classes."""

_base_ = './ostrack_vit-tiny-ce_4xb32-300e_sot-256px.py'
test_dataloader = dict(dataset=dict(_delete_=True, **_base_.sot_tests.lasot_ext))
