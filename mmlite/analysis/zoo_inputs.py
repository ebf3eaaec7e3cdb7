"""Configs and batches for the models of mmdet, mmseg and mmpretrain without data and weights."""

import string
from importlib.util import find_spec

import numpy as np
import torch
from mmengine.dataset import Compose, default_collate
from mmengine.structures import PixelData

IMAGES = 2
SIZES = (128, 256, 512)
"""Sides of images in pixels, of which the smallest is taken that a model works with."""
REGIONS = 32
"""Largest number of regions of an image."""
REMOVED = {'init_cfg', 'pretrained', 'teacher_ckpt', 'batch_augments'}


def lighten(node, root, folder):
    """Change the model of a config in place so that it can be built and run in seconds.

    What loads weights, pads images or thresholds scores is removed, and most regions. Paths of
    configs become absolute. A language model becomes a BERT of one layer, and the CLIP that gives
    targets has one layer, too.

    Args:
        node (ConfigDict): The model, or a part of it.
        root (Path): Directory of the paths that begin with ``configs/``.
        folder (Path): Empty directory for these two.
    """
    if isinstance(node, dict):
        for key in REMOVED & node.keys():
            del node[key]
        for key, value in dict(checkpoint=None, score_thr=0.0, templates=['a {}.']).items():
            if key in node:  # without a default
                node[key] = value
        for key in ('num', 'max_per_img'):  # of samplers and of proposals
            if isinstance(node.get(key), int) and ('nms' in node or key == 'num'):
                node[key] = min(node[key], REGIONS)
        if node.get('type') == 'SyncBN':  # torch's has no CPU
            node['type'] = 'BN'
        if node.get('type') in ('BEiT', 'MAE') and 'img_size' in node:  # of one size
            node['img_size'] = SIZES[0]
        if 'prototype' in node:  # of images that are not there
            node['prototype'] = torch.randn(IMAGES, node['head']['in_channels'])
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        if isinstance(value, str) and value.startswith('configs/'):
            node[key] = str(root / value)
        elif value == 'bert-base-uncased' and find_spec('transformers'):
            node[key] = _random_bert(folder)
        elif key == 'tokenizer_path':
            node[key] = _random_clip(folder)
        elif isinstance(value, (dict, list)):
            lighten(value, root, folder)


def _random_bert(folder):
    """Write a BERT of one layer that knows letters; returns its directory."""
    from transformers import BertConfig, BertModel, BertTokenizer

    words = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', '.', '?', *string.ascii_lowercase]
    (folder / 'vocab.txt').write_text('\n'.join(words))
    BertTokenizer(folder / 'vocab.txt').save_pretrained(folder)
    BertModel(BertConfig(len(words), num_hidden_layers=1)).save_pretrained(folder)
    return str(folder)


def _random_clip(folder):
    """Write the weights of a CLIP of one layer; returns the file."""
    from mmpretrain.models.utils.clip_generator_helper import CLIP

    torch.save(CLIP(512, 224, 1, 64, 16, 8, 8, 64, 1, 1).state_dict(), folder / 'clip.pth')
    return str(folder / 'clip.pth')


def batch(model, cfg, size, training):
    """Batch as a data loader gives it.

    Args:
        model (nn.Module): Built from ``cfg``.
        cfg (Config): Config of a training; its pipeline says what the labels are.
        size (int): Side of the images in pixels; mmpretrain's pipelines have their own.
        training (bool): Else one image, or one video.
    """
    library = type(model).__module__.partition('.')[0]
    make = dict(mmdet=_detection, mmseg=_segmentation, mmpretrain=_classification)[library]
    data = make(model, cfg, size, training)
    if not training and library != 'mmpretrain':
        data = {key: value[:1] for key, value in data.items()}
    return data


def _values(node, key):
    """All values of a key in nested dicts and lists."""
    if isinstance(node, dict):
        if key in node:
            yield node[key]
        node = node.values()
    for child in node:
        if isinstance(child, (dict, list, tuple)):
            yield from _values(child, key)


def _classes(cfg):
    found = [n for key in ('num_classes', 'num_things_classes') for n in _values(cfg.model, key)]
    return min([n for n in found if isinstance(n, int) and n], default=10)


def _detection(model, cfg, size, training):
    from mmdet.structures import ReIDDataSample
    from mmdet.testing import demo_mm_inputs, demo_mm_proposals, demo_track_inputs

    kind = type(model.data_preprocessor).__name__
    if kind == 'ReIDDataPreprocessor':
        samples = [ReIDDataSample().set_gt_label(i // 2) for i in range(4)]
        return dict(inputs=torch.randint(0, 256, (4, 3, 2 * size, size)), data_samples=samples)
    loading = cfg.get('train_dataloader') or {}
    panoptic = 'LoadPanopticAnnotations' in _values(loading, 'type')
    masks = panoptic or any(_values(loading, 'with_mask'))
    classes = _classes(cfg)
    shape = (3, size, size)
    if kind == 'TrackDataPreprocessor':
        if not (training and model.data_preprocessor.use_det_processor):
            return demo_track_inputs(1, 2, [0], [shape], num_classes=classes, with_mask=masks)
    semantic = panoptic or any(_values(loading, 'with_seg'))
    texts = [' . '.join(string.ascii_lowercase[:10])] * IMAGES
    data = demo_mm_inputs(
        IMAGES, [shape] * IMAGES, with_mask=masks, with_semantic=semantic,
        texts=texts, custom_entities=True,
    )  # fmt: skip
    for sample in data['data_samples']:
        sample.gt_instances.labels %= classes
        sample.set_metainfo(dict(homography_matrix=np.eye(3, dtype=np.float32)))
        if getattr(model, 'with_rpn', True) is False:
            (sample.proposals,) = demo_mm_proposals([shape], 20)
    if training and kind == 'MultiBranchDataPreprocessor':
        branches = ('sup', 'unsup_teacher', 'unsup_student')
        data = {key: {branch: value for branch in branches} for key, value in data.items()}
    return data


def _segmentation(model, cfg, size, training):
    from mmseg.structures import SegDataSample

    channels = len(getattr(model.data_preprocessor, 'mean', 'RGB'))
    shape, classes = (size, size), _classes(cfg)
    model.data_preprocessor.size, model.data_preprocessor.size_divisor = shape, None  # no padding
    samples = []
    for _ in range(IMAGES):
        sample = SegDataSample(metainfo=dict(img_shape=shape, ori_shape=shape, pad_shape=shape))
        sample.gt_sem_seg = PixelData(data=torch.randint(0, classes, (1, *shape)))
        sample.gt_edge_map = PixelData(data=torch.randint(0, 2, (1, *shape)))
        samples.append(sample)
    inputs = [torch.randint(0, 256, (channels, *shape), dtype=torch.uint8) for _ in samples]
    return dict(inputs=inputs, data_samples=samples)


def _classification(model, cfg, size, training):
    loader = cfg.get('train_dataloader') if training else None
    loader = loader or cfg.get('test_dataloader') or cfg.get('train_dataloader') or {}
    steps = next(
        _values(loader, 'pipeline'), [dict(type='Resize', scale=224), dict(type='PackInputs')]
    )
    grey = len(getattr(model.data_preprocessor, 'mean', 'RGB')) == 1
    pipeline = Compose([step for step in steps if 'LoadImage' not in str(step['type'])])
    shape = (28, 28) if grey else (240, 320, 3)
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    item = dict(img=image, img_shape=shape[:2], ori_shape=shape[:2], gt_label=1)
    return default_collate(
        [pipeline(dict(item, img=image.copy())) for _ in range(IMAGES if training else 1)]
    )
