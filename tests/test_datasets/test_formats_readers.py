"""One data set written in every format is read alike, imported, and starts a training."""

import copy
import json
import re
from functools import partial
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
import tiny

from mmlite.datasets.formats.find import read_dataset
from mmlite.datasets.formats.write import split_record, write_record
from mmlite.engine.check_config import check_config
from mmlite.engine.checks.data import check_data
from mmlite.engine.config_file import load_config
from mmlite.engine.starter import starter_config
from mmlite.errors import DataError, UserError

NAMES = {1: 'red', 2: 'green'}


def write_as_coco(root, split, data):
    (root / 'annotations').mkdir(exist_ok=True)
    (root / 'annotations' / f'instances_{split}2017.json').write_text(json.dumps(data))
    return root / f'{split}2017'


def write_as_yolo(root, split, data):
    lines = {image['id']: [] for image in data['images']}
    for item in data['annotations']:
        values = np.array(item['segmentation'][0]).reshape(-1, 2) / (80, 64)
        label = item['category_id'] - 1
        lines[item['image_id']].append(' '.join(map(str, [label, *values.ravel().tolist()])))
    (root / 'labels' / split).mkdir(parents=True)
    for number, text in lines.items():
        (root / 'labels' / split / f'{number}.txt').write_text('\n'.join(text))
    (root / 'data.yaml').write_text(
        'train: images/train\nval: images/val\nnames: {0: red, 1: green}\n'
    )
    return root / 'images' / split


def write_as_voc(root, split, data):
    (root / 'Annotations').mkdir(exist_ok=True)
    (root / 'ImageSets' / 'Main').mkdir(parents=True, exist_ok=True)
    stems = []
    for image in data['images']:
        stem = f'{split}{image["id"]}'
        image['file_name'] = f'{stem}.png'
        tree = ElementTree.Element('annotation')
        ElementTree.SubElement(tree, 'filename').text = image['file_name']
        for item in data['annotations']:
            if item['image_id'] == image['id']:
                x, y, w, h = item['bbox']
                entry = ElementTree.SubElement(tree, 'object')
                ElementTree.SubElement(entry, 'name').text = NAMES[item['category_id']]
                box = ElementTree.SubElement(entry, 'bndbox')
                corners = dict(xmin=x + 1, ymin=y + 1, xmax=x + w, ymax=y + h)
                for key, value in corners.items():
                    ElementTree.SubElement(box, key).text = str(value)
        (root / 'Annotations' / f'{stem}.xml').write_bytes(ElementTree.tostring(tree))
        stems.append(stem)
    (root / 'ImageSets' / 'Main' / f'{split}.txt').write_text('\n'.join(stems))
    return root / 'JPEGImages'


def write_as_labelme(root, split, data):
    (root / split).mkdir()
    for image in data['images']:
        shapes = [
            dict(
                label=NAMES[item['category_id']],
                points=np.array(item['segmentation'][0]).reshape(-1, 2).tolist(),
                shape_type='polygon',
            )
            for item in data['annotations']
            if item['image_id'] == image['id']
        ]
        content = dict(imagePath=image['file_name'], imageWidth=80, imageHeight=64, shapes=shapes)
        (root / split / f'{image["id"]}.json').write_text(json.dumps(content))
    return root / split


FORMATS = dict(
    COCO=write_as_coco, YOLO=write_as_yolo, LabelMe=write_as_labelme,
    **{'Pascal VOC': write_as_voc},
)  # fmt: skip


def write_format(root, kind):
    root.mkdir(exist_ok=True)
    for seed, split in enumerate(('train', 'val')):
        data = copy.deepcopy(tiny.coco(seed=seed))
        folder = FORMATS[kind](root, split, data)
        folder.mkdir(parents=True, exist_ok=True)
        for image in data['images']:
            cv2.imwrite(str(folder / image['file_name']), np.full((64, 80, 3), 40, np.uint8))
    return root


def objects(split):
    """(image stem's number, class, box) of every object."""
    data = split.labels
    names = {category['id']: category['name'] for category in data['categories']}
    digits = {i['id']: re.search(r'\d+(?=\.)', i['file_name'])[0] for i in data['images']}
    return sorted(
        (digits[a['image_id']], names[a['category_id']], *np.round(a['bbox'], 2).tolist())
        for a in data['annotations']
    )


@pytest.mark.parametrize('kind', FORMATS)
def test_all_formats_of_boxes_are_read_alike(kind, tmp_path):
    record = read_dataset(write_format(tmp_path / 'data', kind))
    assert (record.task, record.format) == ('det', kind)
    assert sorted(record.classes) == ['green', 'red']
    for seed, split in enumerate(('train', 'val')):
        expected = sorted(
            (str(a['image_id']), NAMES[a['category_id']], *map(float, a['bbox']))
            for a in tiny.coco(seed=seed)['annotations']
        )
        assert objects(record.splits[split]) == expected


@pytest.mark.parametrize('kind', FORMATS)
def test_an_import_is_read_as_its_source(kind, tmp_path):
    record = read_dataset(write_format(tmp_path / 'data', kind))
    write_record(record, tmp_path / 'copy')
    again = read_dataset(tmp_path / 'copy')
    assert again.format == 'COCO'
    for split in ('train', 'val'):
        assert objects(again.splits[split]) == objects(record.splits[split])
        assert all(path.is_symlink() for path in again.splits[split].images)
    with pytest.raises(UserError, match='is not empty'):
        write_record(record, tmp_path / 'copy')


def write_maps(root):
    for split in ('training', 'validation'):
        for kind in ('images', 'annotations'):
            (root / kind / split).mkdir(parents=True)
        for number in range(3):
            cv2.imwrite(
                str(root / 'images' / split / f'{number}.jpg'), np.zeros((8, 9, 3), np.uint8)
            )
            cv2.imwrite(
                str(root / 'annotations' / split / f'{number}.png'), np.ones((8, 9), np.uint8)
            )
    return root


def write_folders(root):
    for split in ('train', 'val'):
        for name in ('ant', 'bee', '.ipynb_checkpoints'):
            (root / split / name).mkdir(parents=True)
            cv2.imwrite(str(root / split / name / 'a.png'), np.zeros((8, 9, 3), np.uint8))
    return root


def write_videos(root):
    for split in ('train', 'val'):
        (root / split / 'cat').mkdir(parents=True)
        (root / split / 'cat' / 'groundtruth.txt').write_text('1,2,3,4\n')
        cv2.imwrite(str(root / split / 'cat' / '0001.png'), np.zeros((8, 9, 3), np.uint8))
    return root


@pytest.mark.parametrize(
    ('write', 'task', 'train'),
    [(write_maps, 'seg', 3), (write_folders, 'cls', 2), (write_videos, 'track', 1)],
)
def test_other_tasks_are_recognized_and_imported(write, task, train, tmp_path):
    for folder in (write(tmp_path / 'data'), tmp_path / 'copy'):
        record = read_dataset(folder)
        assert record.task == task and len(record.splits['train'].images) == train
        if folder.name == 'data':
            write_record(record, tmp_path / 'copy')


def test_a_data_set_without_a_validation_split_is_divided_once(tmp_path):
    for name in ('ant', 'bee'):
        (tmp_path / name).mkdir()
        for number in range(10):
            cv2.imwrite(str(tmp_path / name / f'{number}.png'), np.zeros((8, 9, 3), np.uint8))
    parts = []
    for _ in range(2):
        record = read_dataset(tmp_path)
        split_record(record, 0.8)
        parts.append({name: split.images for name, split in record.splits.items()})
        assert {len(parts[-1]['train']), len(parts[-1]['val'])} == {16, 4}
        assert record.splits['val'].labels.count('ant') == 2
    assert parts[0] == parts[1] and not set(parts[0]['train']) & set(parts[0]['val'])


BAD_LINES = [
    ('2 0.5 0.5 0.1 0.1', 'line 1: class 2 is not one of 0 to 1'),
    ('1.5 0.5 0.5 0.1 0.1', 'class 1.5 is not one of 0 to 1'),
    ('nan 0.5 0.5 0.1 0.1', 'class nan is not one of 0 to 1'),
    ('0 0.5 0.5 0.1', 'line 1: 3 numbers after the class'),
    ('\n\n0 0.5 0.5 0.1 0.1 0.98', 'line 3: 5 numbers after the class'),
    ('0 0.5 0.5 0.1 1.5', 'is not within 0 to 1'),
    ('0 40 30 10 10', 'is not within 0 to 1'),
    ('red 0.5 0.5 0.1 0.1', 'is not numbers'),
    ('# comment', 'is not numbers'),
    ('0,0.5,0.5,0.1,0.1', 'is not numbers'),
    ('0 0.5 0.5 0.1 nan', r'line 1 has the box .* = \[36\.0, nan, 8\.0, nan\]'),
    ('0 0.5 0.5 -0.005 0.1', 'line 1 has the box'),
    (b'0 0.5 0.5 0.1 0.1 \xe9', 'is not text in UTF-8'),
]


@pytest.mark.parametrize(('line', 'message'), BAD_LINES)
def test_wrong_lines_of_yolo_are_named(line, message, tmp_path):
    root = write_format(tmp_path / 'data', 'YOLO')
    line = line if isinstance(line, bytes) else line.encode()
    (root / 'labels' / 'train' / '1.txt').write_bytes(line)
    with pytest.raises(DataError, match=rf'train/1\.txt.*{message}'):
        read_dataset(root)


@pytest.mark.parametrize(
    'lines', [b'1 0.5 0.5 0.1 0.1\r\n\r\n', b'\xef\xbb\xbf1.0\t0.5 0.5 .1 1e-1', b'1 .5 .5 .1 .1 ']
)
def test_lines_of_yolo_of_other_forms_are_read(lines, tmp_path):
    root = write_format(tmp_path / 'data', 'YOLO')
    (root / 'labels' / 'train' / '1.txt').write_bytes(lines)
    found = [row for row in objects(read_dataset(root).splits['train']) if row[0] == '1']
    assert found == [('1', 'green', 36.0, 28.8, 8.0, 6.4)]


@pytest.mark.parametrize(
    ('names', 'message'),
    [
        *((text, 'names must be a list of different names') for text in (
            '', 'red', '[]', '[red, red]', 'x.names')),
        ('{0: red, 2: green}', 'the keys of names must be 0 to 1'),
        ('[red, green]\nnc: 3', 'nc is 3, but there are 2 names'),
        ('[red, green', 'is not valid YAML'),
        ('[red, green]\npath: /gone', r'/gone/images/train. of the YOLO data set does not exist'),
    ],
)  # fmt: skip
def test_wrong_descriptions_of_yolo_are_named(names, message, tmp_path):
    root = write_format(tmp_path / 'data', 'YOLO')
    (root / 'data.yaml').write_text(f'train: images/train\nval: images/val\nnames: {names}\n')
    with pytest.raises(DataError, match=message) as error:
        read_dataset(root)
    assert '\n' not in str(error.value)


def test_yolo_needs_no_yaml_and_its_label_files_are_counted(tmp_path):
    root = write_format(tmp_path / 'data', 'YOLO')
    expected = objects(read_dataset(root).splits['train'])
    (root / 'data.yaml').write_text(
        "train: images/train\nval: images/val\nnames: {'0': red, '1': 'a: b'}"
    )
    assert read_dataset(root).classes == ['red', 'a: b']
    (root / 'data.yaml').unlink()
    (root / 'classes.txt').write_text('red\ngreen\n')
    (root / 'labels' / 'train' / 'alone.txt').write_text('')
    record = read_dataset(root)
    assert record.format == 'YOLO' and objects(record.splits['train']) == expected
    assert '1 label files have no image, such as' in record.findings[0]


def _voc(path, text):
    """A change of the first element at a path of an annotation."""
    return lambda tree: setattr(tree.find(path), 'text', text)


def _size(width):
    text = f'<size><width>{width}</width><height>64</height></size>'
    return lambda tree: tree.append(ElementTree.fromstring(text))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (_voc('object/bndbox/xmin', 'x'), r'object 1 has no bndbox'),
        (_voc('object/bndbox/xmin', 'nan'), 'red has the box'),
        (_voc('object/bndbox/xmax', 'inf'), 'red has the box'),
        (_voc('object/bndbox/xmax', '-5'), r'object 1 .red. has the corners'),
        (_voc('object/name', ' '), r'object 1 .. has the corners'),
        (_size('x'), 'its size cannot be used'),
        (_size(64), r'its size is 64 x 64, but .* 80 x 64'),
        *((change, None) for change in (
            _size(0), _size('80.0'), _voc('object/name', ' red\n'),
            _voc('filename', 'C:\\other.png'),
            lambda tree: tree.find('object').insert(0, ElementTree.fromstring(
                '<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>')))),
    ],
)  # fmt: skip
def test_files_of_voc_are_read_or_named(change, message, tmp_path):
    root = write_format(tmp_path, 'Pascal VOC')
    expected = objects(read_dataset(root).splits['train'])
    file = root / 'Annotations' / 'train1.xml'
    tree = ElementTree.parse(file).getroot()
    change(tree)
    file.unlink()
    file = root / 'Annotations' / 'deeper' / 'train1.xml'
    file.parent.mkdir()
    file.write_bytes(ElementTree.tostring(tree))
    (root / 'ImageSets' / 'Main' / 'train.txt').write_text(
        'train0\n \ntrain1 1\ntrain1\ntrain2\ntrain3'
    )
    if message is None:
        assert objects(read_dataset(root).splits['train']) == expected
        return
    with pytest.raises(DataError, match=rf'train1\.xml.*{message}'):
        read_dataset(root)


@pytest.mark.parametrize('text', [' 1 ', 'True', '0'])
def test_difficult_objects_of_voc_are_ignored(text, tmp_path):
    root = write_format(tmp_path, 'Pascal VOC')
    file = root / 'Annotations' / 'train1.xml'
    file.write_text(
        file.read_text().replace('<object>', f'<object><difficult>{text}</difficult>', 1)
    )
    labels = read_dataset(root).splits['train'].labels['annotations']
    assert sum(item['iscrowd'] for item in labels) == (text != '0')


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(shapes=None), 'is not a file of LabelMe'), (dict(shapes=[None]), 'is not a file of'),
        (dict(imagePath=None), 'is not a file of'), (dict(imagePath='gone.png'), 'does not exist'),
        (dict(imageWidth=64), r'its size is 64 x 64'), (dict(imageWidth='x'), 'its size cannot be'),
        (dict(shape_type='line'), r'shape 1 .red. is a line of 4 points'),
        (dict(shape_type='point', points=[[1, 2]]), 'is a point of 1 points'),
        (dict(points=[[1, 2, 3]] * 3), 'are not pairs of numbers'), (dict(label=' '), 'no label'),
        (dict(points=[[1, 2], [3, 4], [float('nan'), 5]]), 'not all finite'),
        (dict(points=[[900, 900], [950, 900], [950, 950]]), 'red has the box'),
        (dict(points=[[0, 0], [1e10, 0], [1e10, 1e10]]), 'near the image'),
        (dict(imageWidth='80'), None), (dict(label=' red '), None), (dict(group_id=1), None),
        (dict(imageData='aGVsbG8=', imagePath='..\\a\\0.png', imageWidth=None), None),
    ],
)  # fmt: skip
def test_files_of_labelme_are_read_or_named(changes, message, tmp_path):
    root = write_format(tmp_path, 'LabelMe')
    expected = objects(read_dataset(root).splits['train'])
    file = root / 'train' / '0.json'
    content = json.loads(file.read_text())
    for key, value in changes.items():
        place = (
            content['shapes'][0]
            if key in ('shape_type', 'points', 'label', 'group_id')
            else content
        )
        place[key] = value
    file.write_text(json.dumps(content), encoding='utf-8-sig')
    if message is None:
        assert objects(read_dataset(root).splits['train']) == expected
        return
    with pytest.raises(DataError, match=rf'0\.json.*{message}'):
        read_dataset(root)


@pytest.mark.parametrize(('kind', 'file'), [
    ('YOLO', 'images/train/1.png'), ('Pascal VOC', 'JPEGImages/train1.png'),
    ('LabelMe', 'train/1.png'),
])  # fmt: skip
def test_images_that_cannot_be_read_are_named(kind, file, tmp_path):
    root = write_format(tmp_path, kind)
    (root / file).write_bytes(b'not an image')
    with pytest.raises(DataError, match=rf'its image .*{file} .*is not an image'):
        read_dataset(root)


def test_what_is_no_data_set_is_refused(tmp_path):
    with pytest.raises(DataError, match='does not exist'):
        read_dataset(tmp_path / 'gone')
    (tmp_path / 'notes.txt').write_text('x')
    with pytest.raises(DataError, match='is of no known format: COCO'):
        read_dataset(tmp_path)


@pytest.mark.parametrize('gpus', [0, 2])
@pytest.mark.parametrize('backbone', ['vit-tiny', 'hiera-tiny'])
@pytest.mark.parametrize('task', ['pretrain', 'det', 'seg', 'cls', 'track'])
def test_a_new_config_is_short_and_loads(task, backbone, gpus, tmp_path):
    writers = dict(seg=write_maps, track=write_videos, cls=write_folders, pretrain=write_folders)
    write = writers.get(task, partial(write_format, kind='COCO'))
    root = tmp_path / 'it\'s a "name"'
    write_record(read_dataset(write(tmp_path / 'source')), root)
    record = read_dataset(root)
    record.task = task
    record.classes = ["a'b", 'Größe "c"']
    text = starter_config(record, root, backbone, 'init.pth', gpus)
    assert len(text.splitlines()) <= 25
    file = tmp_path / 'new.py'
    file.write_text(text)
    cfg = load_config(file)
    cfg.optim_wrapper.type = 'OptimWrapper'  # AMP needs a GPU
    check_config(cfg, 'train', data=False)
    check_data(cfg, ['train'] if task == 'pretrain' else ['train', 'val'])
    assert cfg.model.backbone.init_cfg.checkpoint == 'init.pth'
    batch = 2 if gpus else dict(det=4, seg=3).get(task, 2)
    assert cfg.auto_scale_lr.enable and cfg.train_dataloader.batch_size == batch
    if task in ('det', 'seg'):
        assert cfg.train_cfg.max_iters == (2000 if gpus else 400)
        classes = cfg.train_dataloader.dataset.metainfo.classes
        assert classes == tuple(record.classes)
    elif task != 'track':  # 2 images, one step an epoch
        epochs = dict(cls=(200, 1000), pretrain=(400, 5000))[task]
        assert cfg.train_cfg.max_epochs == epochs[gpus > 0]
    else:
        assert cfg.train_cfg.max_epochs == (20 if gpus else 4)
        assert cfg.train_dataloader.dataset.samples_per_epoch == 200
