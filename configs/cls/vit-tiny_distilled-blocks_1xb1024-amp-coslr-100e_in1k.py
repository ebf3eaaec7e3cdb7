"""What is distilled, and in which block (MAE-Lite, Fig. 9), fine-tuned for 100 epochs.

``tools/sweep.py`` takes the grid from here."""

_base_ = './vit-tiny_reserve-blocks_1xb1024-amp-coslr-100e_in1k.py'
key = 'model.backbone.init_cfg.checkpoint'
taps = ('attn-3', 'attn-6', 'attn-9', 'attn-all', 'rep-3', 'rep-6', 'rep-9', 'rep-12')
names = ['d-mae_vit-tiny', *(f'd-mae_vit-tiny_{tap}' for tap in taps)]  # the first: attn-12
sweep_grid = dict(
    _delete_=True, distilled=[{key: f'checkpoints/{name}_400e_in1k.pth'} for name in names]
)
