"""OSTrack-T, tested on VOT2019: the results of the experiment "baseline" for the VOT toolkit."""

_base_ = './ostrack_vit-tiny-ce_4xb32-300e_sot-256px.py'
test_dataloader = dict(dataset=dict(_delete_=True, **_base_.sot_tests.vot))
