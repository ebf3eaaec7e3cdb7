"""Classes of built data sets agree with each other and with the heads, or the run is refused."""

from contextlib import nullcontext

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.dataset import BaseDataset, ConcatDataset
from mmpretrain.datasets import CustomDataset, ImageNet

from mmlite.datasets.wrapped import WrappedDataset
from mmlite.engine.datasets import check_ignored, judge
from mmlite.errors import DataError, UserError

NAMES = tuple(map(str, range(80)))


class Named(BaseDataset):
    """Two samples, and the names of some classes."""

    def load_data_list(self):
        return [{}, {}]


def refusal(message, kind=UserError):
    return pytest.raises(kind, match=message) if message else nullcontext()


@pytest.mark.parametrize(
    ('model', 'meta', 'message'),
    [
        ({'bbox_head.num_classes': 2}, {}, ''),
        ({'bbox_head.num_classes': 5}, {}, r"^model\.bbox_head\.num_classes=5, but Named of 'a.js"
         r"on' has 2 classes \('red', 'green'\): set model.bbox_head.num_classes to 2, or metainfo"
         r'\.classes of the data set to 5 names$'),
        ({'bbox_head.num_classes': 0}, {}, r'bbox_head\.num_classes must be an integer >= 1 \(got'),
        ({'auxiliary_head': [dict(num_classes=2), dict(type='mmseg.STDCHead', num_classes=7)]}, {},
         ''),
        ({'auxiliary_head': [dict(num_classes=2), dict(type='FCNHead', num_classes=7)]}, {},
         r'model\.auxiliary_head\.1\.num_classes=7, but'),
        ({'roi_head.bbox_head': [dict(num_classes=2), dict(num_classes=3)]}, {},
         r'model\.roi_head\.bbox_head\.1\.num_classes=3, but'),
        ({'mask_head': dict(num_classes=1, class_agnostic=True)}, {}, ''),
        ({'rpn_head.num_classes': 1, 'backbone.num_classes': -1}, {}, ''),
        ({'detector.bbox_head.num_classes': 1}, {}, ''),
        ({'bbox_head.num_classes': 256, 'language_model.type': 'BertModel'}, {}, ''),
        ({'decode_head.type': 'SideAdapterCLIPHead', 'decode_head.num_classes': 171}, {}, ''),
        ({'decode_head.type': 'VPDDepthHead'}, {}, ''),
        ({'module.decode_head.num_classes': 3}, {}, r'^model\.decode_head\.num_classes=3, but'),
        ({'roi_head.bbox_head.num_classes': 1}, dict(thing_classes=('red',)), ''),
        ({'roi_head.bbox_head.num_classes': 2}, dict(thing_classes=('red',)), 'has 1 classes'),
        ({'roi_head.bbox_head.num_classes': 2}, dict(thing_classes=NAMES), ''),
        ({'head.num_classes': 9}, dict(classes=None), ''),
    ],
)  # fmt: skip
@pytest.mark.parametrize('wrap', [lambda dataset: dataset, lambda dataset: WrappedDataset(
    ConcatDataset([dataset, dataset]))], ids=['plain', 'wrapped'])  # fmt: skip
def test_heads_have_the_classes_of_the_data(model, meta, message, wrap):
    cfg = Config()
    cfg.merge_from_dict({f'model.{key}': value for key, value in model.items()})
    dataset = Named(ann_file='a.json', metainfo={'classes': ('red', 'green'), **meta})
    with refusal(message):
        judge(wrap(dataset), cfg, [])


def write_folders(root, names):
    for name in names:
        (root / name).mkdir(parents=True)
        cv2.imwrite(str(root / name / 'a.png'), np.zeros((4, 4, 3), np.uint8))
    return str(root)


@pytest.mark.parametrize(
    ('train', 'val', 'message'),
    [
        (('ant', 'bee'), ('ant', 'bee'), ''),
        (('ant', 'bee', 'cow'), ('ant', 'cow'),
         "class folders differ: '.*/train' has 'bee', which '.*/val' lacks; labels count"),
        (('ant', 'bee'), ('ant', 'bee', 'cow'),
         "class folders differ: '.*/val' has 'cow', which '.*/train' lacks"),
    ],
)  # fmt: skip
def test_class_folders_are_the_same_ones(train, val, message, tmp_path):
    seen = []
    judge(CustomDataset(data_root=write_folders(tmp_path / 'train', train)), Config(), seen)
    dataset = CustomDataset(data_root=write_folders(tmp_path / 'val', val))
    with refusal(message, DataError):
        judge(dataset, Config(), seen)


@pytest.mark.parametrize(
    ('names', 'message'),
    [
        (('ant', 'bee'), ''),
        (('bee', 'ant'), "label 0 is 'ant' in '.*train' and 'bee' in '.*list.txt'"),
        (('Ameise', 'Biene'), ''),  # of the same folders, in words
    ],
)
def test_a_list_names_the_folders_in_their_order(names, message, tmp_path):
    seen, root = [], write_folders(tmp_path / 'train', ('ant', 'bee'))
    judge(CustomDataset(data_root=root), Config(), seen)
    (tmp_path / 'list.txt').write_text('ant/a.png 0\n')
    listed = CustomDataset(
        ann_file=str(tmp_path / 'list.txt'), data_prefix=root, metainfo=dict(classes=names)
    )
    with refusal(message, DataError):
        judge(listed, Config(), seen)


def test_folders_of_imagenet_may_be_named_by_their_type_or_not(tmp_path, monkeypatch):
    monkeypatch.setitem(ImageNet.METAINFO, 'classes', ('tench', 'shark'))
    root, seen = write_folders(tmp_path / 'train', ('n1', 'n2')), []
    judge(CustomDataset(data_root=root), Config(), seen)
    judge(ImageNet(data_root=root), Config(), seen)
    other = ImageNet(data_root=write_folders(tmp_path / 'val', ('n1', 'n3')))
    with pytest.raises(DataError, match="train' has 'n2', which '.*val' lacks"):
        judge(other, Config(), seen)


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('b.jpg 2', ''),
        ('b.jpg 3', "list.txt, line 2: '3' is not a label from 0 to 2, the classes of model.head"),
        ('b.jpg -1', "list.txt, line 2: '-1' is not a label from 0 to 2"),
        ('b.jpg', "list.txt, line 2: 'b.jpg' is not of the form PATH LABEL"),
        ('b.jpg bee', "list.txt, line 2: 'b.jpg bee' is not of the form PATH LABEL"),
        ('7', "list.txt, line 2: '7' is not of the form PATH LABEL"),
    ],
)
def test_labels_of_a_list_are_classes_of_the_head(line, message, tmp_path):
    (tmp_path / 'list.txt').write_text(f'a.jpg 0\n{line}\n')
    with refusal(message, DataError):
        dataset = CustomDataset(data_root=str(tmp_path), ann_file='list.txt')
        judge(dataset, Config(dict(model=dict(head=dict(num_classes=3)))), [])


@pytest.mark.parametrize(('place', 'length'), [('model.', 3), ('', 3), ('', 4), ('', None)])
def test_mixed_labels_have_the_classes_of_the_head(place, length):
    cfg = Config()
    cfg.merge_from_dict({
        'model.head.num_classes': 3,
        'model.train_cfg.augments': [dict(type='Mixup', alpha=0.8)],
        f'{place}data_preprocessor.num_classes': length,
    })  # fmt: skip
    message = f'vectors of model.data_preprocessor.num_classes={length}' if length != 3 else ''
    with refusal(message):
        judge(Named(), cfg, [])


HEAD_254 = {'model.decode_head.ignore_index': 254}
PAD_254 = {'model.data_preprocessor.seg_pad_val': 254}


@pytest.mark.parametrize(
    ('ignored', 'settings', 'message'),
    [
        (255, {}, ''),
        (255, {'model.decode_head.ignore_index': 0}, r'^model\.decode_head\.ignore_index=0, but'),
        (254, {}, r"^model\.decode_head\.ignore_index=255, but Named of 'a\.json' ignores the "
         'label 254: set both to one value$'),
        (254, HEAD_254, r'^model\.data_preprocessor\.seg_pad_val=255, but'),
        (254, HEAD_254 | PAD_254, r'^val_evaluator\.0\.ignore_index=255, but'),
        (254, HEAD_254 | PAD_254 | {'val_evaluator.0.ignore_index': 254}, ''),
    ],
)  # fmt: skip
def test_all_ignore_the_same_label(ignored, settings, message):
    heads = dict(decode_head=dict(num_classes=2), data_preprocessor=dict(size=(8, 8)))
    metrics = [dict(type='IoUMetric'), dict(type='CocoMetric')]
    cfg = Config(dict(model=heads, val_evaluator=metrics))
    cfg.merge_from_dict(settings)
    dataset = Named(ann_file='a.json', metainfo=dict(classes=('red', 'green')), lazy_init=True)
    dataset.ignore_index = ignored
    with refusal(message):
        check_ignored(dataset, cfg)
