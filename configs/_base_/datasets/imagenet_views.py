"""ImageNet-1K without labels, as contrastive methods see it: the parts of their views."""

_base_ = './imagenet_pretrain.py'

jitter = dict(
    type='RandomApply',
    transforms=[
        dict(type='mmlite.ColorJitter', brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1)
    ],
    prob=0.8,
)
gray = dict(  # weights in BGR order
    type='RandomGrayscale', prob=0.2, keep_channels=True, channel_weights=(0.114, 0.587, 0.299)
)
# sigma is sampled uniformly from the range for every image
blur = dict(type='GaussianBlur', magnitude_range=(0.1, 2.0), magnitude_std='inf')
solarize = dict(type='Solarize', thr=128)
flip = dict(type='RandomFlip', prob=0.5)
