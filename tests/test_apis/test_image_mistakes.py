"""What inferencers for images say about images and arguments that they cannot use."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_tasks import TASKS, assert_all_same

from mmlite.errors import ArgumentError, DataError, UserError

# images that cannot be used


def test_unreadable_images_are_named_and_skipped(case, infer, torn, task, tmp_path, capsys):
    folder, files = torn
    done = infer(folder, tmp_path / 'out', batch_size=4, progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(f'{TASKS[task]}: 1/4 images, ')
    assert lines[-1].startswith(f'{TASKS[task]}: 4/4 images, ')
    assert_all_same(done.results, infer(files).results)
    (sentence,) = done.unreadable
    assert (
        sentence == f'image {folder / "b.png"} cannot be read: the PNG is truncated (no IEND chunk)'
    )
    written = json.loads((tmp_path / 'out' / 'predictions.json').read_text())
    assert len(written['images']) == 3 and written['unreadable'] == [sentence]


def test_an_unreadable_image_can_stop(infer, torn, tmp_path):
    folder, _ = torn
    with pytest.raises(DataError, match='b.png cannot be read: .*: inference stopped there'):
        infer(folder, tmp_path / 'out', batch_size=4, on_unreadable='stop')
    written = json.loads((tmp_path / 'out' / 'predictions.json').read_text())
    assert [Path(record['image']).name for record in written['images']] == ['a.png']
    assert (tmp_path / 'out' / 'a.jpg').exists()


def test_arrays_and_paths_in_a_list_are_skipped_too(cases, inferencers, tmp_path):
    infer, good = inferencers('cls'), cv2.imread(cases('cls').files()[0])
    bad = [good.astype(float), good[..., 0], str(tmp_path / 'no.png')]
    done = infer([good, *bad, good], progress=False)
    assert_all_same(done.results, infer([good, good], progress=False).results)
    assert [result.image for result in done.results] == ['array 0', 'array 4']
    assert done.unreadable[0] == 'array 1 is of type float64: it should be uint8'
    assert done.unreadable[1].startswith('array 2 has shape (')
    assert 'no.png does not exist: give an image file, a directory' in done.unreadable[2]


def test_a_picture_too_thin_for_the_pipeline_is_named(cases, inferencers):
    thin, good = np.zeros((1, 3000, 3), np.uint8), cv2.imread(cases('det').files()[0])
    done = inferencers('det')([thin, good], progress=False)
    assert len(done.results) == 1
    assert done.unreadable[0].startswith('array 0 of 3000x1 pixels cannot be prepared')


INPUTS = {
    'nothing': ([], UserError, 'the list of inputs is empty: give an image file'),
    'number': (3, ArgumentError, "input 0 is a int: give an image file, a directory"),
    'nested': ([['a.png']], ArgumentError, 'input 0 is a list: give an image file'),
    'file': ('{tmp}/no.png', DataError, r'^[^;]*no.png does not exist: give an image file'),
    'files': (
        ['{tmp}/no.png', '{tmp}/text.png'], DataError,
        'no image can be used; the first: .*no.png does not exist',
    ),
    'no image': ('{tmp}/text.png', DataError, 'text.png cannot be read: it is not an image'),
    'folder': ('{tmp}/empty', DataError, r"has no image .*; a pattern such as '.*/\*\*/\*.jpg'"),
    'pattern': ('{tmp}/*.bmp', UserError, r'\*.bmp matches no file: give an image file'),
    'array': (np.zeros((4, 4)), DataError, 'array 0 is of type float64'),
}  # fmt: skip


@pytest.mark.parametrize(('inputs', 'error', 'message'), INPUTS.values(), ids=INPUTS)
def test_inputs_that_are_no_images(inputs, error, message, inferencers, tmp_path):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'text.png').write_text('no image')
    if isinstance(inputs, str):
        inputs = inputs.format(tmp=tmp_path)
    elif isinstance(inputs, list):
        inputs = [x.format(tmp=tmp_path) if isinstance(x, str) else x for x in inputs]
    with pytest.raises(error, match=message):
        inferencers('cls')(inputs, progress=False)


@pytest.mark.parametrize(
    ('task', 'options', 'message'),
    [
        ('cls', dict(batch_size=0), 'batch_size must be >= 1, got 0'),
        ('cls', dict(on_unreadable='no'), "on_unreadable must be 'skip' or 'stop', got 'no'"),
        ('cls', dict(top_k=0), 'top_k must be >= 1, got 0'),
        ('det', dict(score_threshold=2), 'score_threshold must be from 0 to 1, got 2'),
        ('seg', dict(top_k=1), "SegInferencer has no option 'top_k'; those of segmentation: none"),
    ],
    ids=str,
)
def test_bad_arguments_of_a_call(task, options, message, inferencers, tmp_path):
    image = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(ArgumentError, match=message):
        inferencers(task)(image, tmp_path / 'unused', **options)
    assert not (tmp_path / 'unused').exists()
    (tmp_path / 'file').touch()
    with pytest.raises(UserError, match='out_dir .* cannot be written: .*file is not a dir'):
        inferencers(task)(image, tmp_path / 'file')
