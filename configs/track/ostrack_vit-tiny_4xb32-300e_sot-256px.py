"""OSTrack-256 on ViT-Tiny without candidate elimination."""

_base_ = [
    '../_base_/models/ostrack_vit-tiny.py',
    '../_base_/datasets/sot_pairs_256px.py',
    '../_base_/datasets/sot_tests.py',
    '../_base_/schedules/adamw-300e_sot.py',
    '../_base_/track_runtime.py',
]
