"""BEiT with a tokenizer of our own, trained by tokenizer_vq8192_*.py: nothing is downloaded."""

_base_ = './beit_vit-tiny_8xb256-amp-coslr-400e_in1k.py'
tokenizer = 'checkpoints/tokenizer_vq8192_50e_in1k-112px.pth'
model = dict(
    # as the tokenizer's config normalizes its images
    data_preprocessor=dict(second_mean=[127.5] * 3, second_std=[127.5] * 3),
    target_generator=dict(
        _delete_=True,
        type='mmlite.DiscreteTokenizer',
        vocab_size=8192,
        init_cfg=dict(type='Pretrained', checkpoint=tokenizer),
    ),
)
