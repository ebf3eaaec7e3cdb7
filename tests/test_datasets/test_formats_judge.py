"""Label maps, class folders and sizes of images: loaded as they are, or refused by name."""

import re
import struct
import zlib

import cv2
import numpy as np
import pytest
from mmpretrain.datasets import CustomDataset
from mmseg.datasets import BaseSegDataset
from PIL import Image

from mmlite.datasets import LoadImageFromFile, LoadSegAnnotations
from mmlite.datasets.formats.judge import judge_dataset
from mmlite.datasets.formats.label_maps import reduce_zero
from mmlite.engine.datasets import readable_errors
from mmlite.errors import DataError

LABELS = np.repeat(np.arange(4, dtype=np.uint8), 8).reshape(4, 8)


def palette(file, labels):
    image = Image.frombytes('P', labels.shape[::-1], labels.tobytes())
    image.putpalette([0, 0, 0, 200, 10, 10, 10, 200, 10, 10, 10, 200])
    image.save(file)


def few_bits(bits):
    """Write a grey PNG of 2 or 4 bits, as tools that compress PNGs do."""

    def write(file, labels):
        packed = np.packbits(np.unpackbits(labels[..., None], axis=2)[..., 8 - bits :], axis=None)
        header = struct.pack('>IIBBBBB', *labels.shape[::-1], bits, 0, 0, 0, 0)
        rows = packed.reshape(len(labels), -1)
        pixels = zlib.compress(b''.join(b'\0' + row.tobytes() for row in rows))
        chunks = [(b'IHDR', header), (b'IDAT', pixels), (b'IEND', b'')]
        file.write_bytes(
            b'\x89PNG\r\n\x1a\n'
            + b''.join(
                struct.pack('>I', len(data))
                + name
                + data
                + struct.pack('>I', zlib.crc32(name + data))
                for name, data in chunks
            )
        )

    return write


WRITERS = {
    '2 bits': few_bits(2),
    '4 bits': few_bits(4),
    '32 bits': lambda file, labels: Image.fromarray(labels.astype(np.int32)).save(file, 'TIFF'),
    '8 bits': lambda file, labels: Image.fromarray(labels).save(file),
    '16 bits': lambda file, labels: cv2.imwrite(str(file), labels.astype(np.uint16)),
    'palette': palette,
    'alpha': lambda file, labels: Image.fromarray(np.dstack([labels, labels * 0 + 255])).save(file),
}


def load(file, zero=False, classes=4, shape=(4, 8), mapping=None, ignored=255):
    loader = LoadSegAnnotations()
    loader.num_classes, loader.ignore_index = classes, ignored
    results = dict(img_path='a.jpg', seg_map_path=str(file), ori_shape=shape, seg_fields=[])
    return loader(dict(results, reduce_zero_label=zero, label_map=mapping))['gt_seg_map']


@pytest.mark.parametrize('kind', WRITERS)
def test_label_maps_of_every_encoding_are_loaded_alike(kind, tmp_path):
    WRITERS[kind](tmp_path / 'a.png', LABELS)
    np.testing.assert_array_equal(load(tmp_path / 'a.png'), LABELS)


def test_one_bit_and_more_than_255_classes(tmp_path):
    Image.fromarray(LABELS > 1).save(tmp_path / 'a.png')
    np.testing.assert_array_equal(load(tmp_path / 'a.png', classes=2), LABELS > 1)
    large = LABELS.astype(np.uint16) * 100
    cv2.imwrite(str(tmp_path / 'b.png'), large)
    np.testing.assert_array_equal(load(tmp_path / 'b.png', classes=301), large)


def test_zero_is_reduced_for_any_number_of_bits():
    labels = np.array([[0, 1, 254, 255]])
    for dtype in (np.uint8, np.uint16, np.int32):
        np.testing.assert_array_equal(reduce_zero(labels.astype(dtype)), [[255, 0, 253, 255]])
    np.testing.assert_array_equal(reduce_zero(np.array([[300, 0]], np.uint16)), [[299, 255]])


def test_a_subset_of_classes_is_mapped_after_the_check(tmp_path):
    WRITERS['8 bits'](tmp_path / 'a.png', LABELS)
    mapping = {0: 255, 1: 0, 2: 255, 3: 1}
    found = load(tmp_path / 'a.png', mapping=mapping)
    np.testing.assert_array_equal(found, np.vectorize(mapping.get)(LABELS))


@pytest.mark.parametrize(
    ('image', 'options', 'message'),
    [
        (np.zeros((4, 8, 3), np.uint8), {}, 'its pixels are of mode RGB'),
        (LABELS, dict(shape=(8, 4)), r'its size is 8 x 4, but image a\.jpg has 4 x 8 pixels'),
        (LABELS, dict(classes=3), 'its value 3 is not a class: 3 classes have the values 0 to 2.*'
         'set reduce_zero_label=True'),
        (LABELS + 5, dict(classes=3), r'its value 5, 6, 7, 8 is not a class'),
        (LABELS + 2, dict(classes=3, zero=True), 'its value 4, 5 is not a class: .* 1 to 3'),
        (LABELS + 252, dict(ignored=254), 'its value 252, 253, 255 is not .* and 254 is ignored'),
        (LABELS[:, :7], {}, r'its size is 7 x 4, but image a\.jpg has 8 x 4 pixels'),
        (np.dstack([LABELS] * 4), {}, 'its pixels are of mode RGBA'),
        (LABELS > 4, dict(shape=(8, 4)), 'its size is 8 x 4'),
    ],
)  # fmt: skip
def test_wrong_label_maps_are_refused_by_name(image, options, message, tmp_path):
    Image.fromarray(image).save(tmp_path / 'a.png')
    with pytest.raises(DataError, match=rf'label map .*a\.png cannot be used: {message}'):
        load(tmp_path / 'a.png', **options)


def test_lossy_label_maps_are_refused(tmp_path):
    """JPEG writes 1 or 2 for 0 near an edge, which are classes too."""
    Image.fromarray(LABELS).save(tmp_path / 'a.png', 'JPEG')
    with pytest.raises(DataError, match=r'a\.png .* it is a JPEG, whose compression changes'):
        load(tmp_path / 'a.png')


@pytest.mark.parametrize('ignored', [200, 254, 65535])
@pytest.mark.parametrize('zero', [False, True])
def test_any_label_may_be_ignored(ignored, zero, tmp_path):
    maps = segmentation(tmp_path, 1, reduce_zero_label=zero, ignore_index=ignored)
    labels = LABELS.astype(np.uint16) % 2 + zero
    labels[LABELS == 3] = ignored
    for file in (tmp_path / 'maps').iterdir():
        cv2.imwrite(str(file), labels)
    judge_dataset(maps)
    np.testing.assert_array_equal(
        maps[0]['gt_seg_map'], np.where(LABELS == 3, ignored, labels - zero)
    )


@pytest.mark.parametrize('flag', ['color', 'color_ignore_orientation'])
@pytest.mark.parametrize('shown', [False, True])
def test_label_maps_are_for_the_pixels_that_are_loaded(flag, shown, tmp_path):
    maps = segmentation(tmp_path, 1)
    exif = Image.Exif()
    exif[0x0112] = 6
    for file in (tmp_path / 'images').iterdir():
        Image.fromarray(np.zeros((4, 8, 3), np.uint8)).save(file, exif=exif)
    for file in (tmp_path / 'maps').iterdir():
        cv2.imwrite(str(file), (LABELS % 2).T if shown else LABELS % 2)
    maps.pipeline.transforms.insert(0, LoadImageFromFile(color_type=flag))
    if shown == (flag == 'color'):
        judge_dataset(maps)
        assert (
            maps[0]['gt_seg_map'].shape == maps[0]['img'].shape[:2] == ((8, 4) if shown else (4, 8))
        )
    else:
        with pytest.raises(DataError, match=r'label map .*0\.png cannot be used: its size is'):
            judge_dataset(maps)


def test_missing_label_maps_are_named(tmp_path):
    with pytest.raises(DataError, match=r'label map .*gone\.png does not exist'):
        load(tmp_path / 'gone.png')
    with pytest.raises(DataError, match='has no label map: set data_prefix.seg_map_path'):
        LoadSegAnnotations()(dict(img_path='a.jpg', reduce_zero_label=False))


def segmentation(root, value, classes=('wall', 'door'), count=3, **options):
    for number in range(count):
        for folder, image in (('images', np.zeros((4, 8, 3), np.uint8)), ('maps', LABELS * 0)):
            (root / folder).mkdir(exist_ok=True)
            image = (
                image
                + value
                * (folder == 'maps')
                * (LABELS > 1).astype(np.uint8)[(...,) + (None,) * (image.ndim - 2)]
            )
            cv2.imwrite(str(root / folder / f'{number}.png'), image.astype(np.uint8))
    prefix = dict(img_path=str(root / 'images'), seg_map_path=str(root / 'maps'))
    options = dict(dict(reduce_zero_label=False, img_suffix='.png'), **options)
    dataset = BaseSegDataset(metainfo=dict(classes=classes), data_prefix=prefix, **options)
    dataset.pipeline.transforms = [LoadSegAnnotations()]
    return dataset


@pytest.mark.parametrize(
    ('value', 'zero', 'words'),
    [
        (255, False, "without a pixel: 'door'; the ignored label 255 takes 50.0% of the pixels"),
        (1, True, "3 of 3 label maps, reduce_zero_label=True: classes without a pixel: 'door'"),
        (1, False, ''),
    ],
)
def test_classes_without_a_pixel_are_named(value, zero, words, tmp_path, capfd):
    judge_dataset(segmentation(tmp_path, value, reduce_zero_label=zero))
    output = ''.join(capfd.readouterr())
    assert ('without a pixel' in output) == bool(words) and re.search(words, output)


def test_labels_that_are_ignored_cannot_be_classes(tmp_path):
    dataset = segmentation(tmp_path, 1, classes=tuple(f'c{n}' for n in range(256)))
    with pytest.raises(DataError, match='256 classes include the label 255'):
        judge_dataset(dataset)


def test_every_image_needs_its_label_map(tmp_path):
    dataset = segmentation(tmp_path, 1)
    (tmp_path / 'maps' / '1.png').unlink()
    with pytest.raises(DataError, match=r'1\.png has no label map .*maps/1\.png'):
        judge_dataset(dataset)
    judge_dataset(dataset, tolerant=True)


@pytest.mark.parametrize('suffix', ['.webp', '.tiff', '.gif', '.jfif', '.avif'])
def test_images_left_out_by_their_suffix_are_counted(suffix, tmp_path, capfd):
    image = cv2.imencode('.png', np.zeros((4, 4, 3), np.uint8))[1].tobytes()
    for name in ('ant', 'bee', '.ipynb_checkpoints', '__MACOSX/ant', 'ant/.ipynb_checkpoints'):
        (tmp_path / name).mkdir(parents=True)
        for file in ('0.png', f'1{suffix}', '._0.png', '.DS_Store'):
            (tmp_path / name / file).write_bytes(image)
    dataset = CustomDataset(data_root=str(tmp_path))
    assert len(dataset) == 2 and dataset.metainfo['classes'] == ('ant', 'bee')
    assert f'left out because of their suffix: 2 {suffix}' in ' '.join(capfd.readouterr())
    assert len(CustomDataset(data_root=str(tmp_path), extensions=('.png', suffix))) == 4


@pytest.mark.parametrize('names', [('bee', 'ant'), ('tiger', 'wolf')])
def test_names_that_are_not_those_of_the_folders_are_refused(names, tmp_path):
    for name in ('ant', 'bee'):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / '0.png'), np.zeros((4, 4, 3), np.uint8))
    CustomDataset(data_root=str(tmp_path), metainfo=dict(classes=('ant', 'bee')))
    with pytest.raises(DataError, match=f"folder 'ant' .* would have the class '{names[0]}'"):
        CustomDataset(data_root=str(tmp_path), metainfo=dict(classes=names))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(img_suffix='.jpg'), r'images. has no image that ends in \.jpg \(it has 3 \.png\)'),
        (dict(ann_file='empty.txt'), r"the list '.*empty\.txt' names no image"),
    ],
)
def test_segmentation_without_images_is_refused(options, message, tmp_path):
    segmentation(tmp_path, 1)
    (tmp_path / 'empty.txt').touch()
    if 'ann_file' in options:
        options = dict(ann_file=str(tmp_path / 'empty.txt'))
    prefix = dict(img_path=str(tmp_path / 'images'), seg_map_path=str(tmp_path / 'maps'))
    config = dict(type='BaseSegDataset', data_prefix=prefix, **options)
    with pytest.raises(DataError, match=message), readable_errors(dict(dataset=config)):
        BaseSegDataset(data_prefix=prefix, **options)
