"""What inferencers for images say about images and arguments that they cannot use."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_tasks import TASKS, assert_all_same

from mmlite.errors import ArgumentError, DataError, UserError

# images that cannot be used


def test_unreadable_images_are_named_and_skipped(case, infer, torn, tmp_path):
    folder, files = torn
    done = infer(folder, tmp_path / 'out', batch_size=4)
    assert_all_same(done.results, infer(files).results)
    (sentence,) = done.unreadable
    assert (
        sentence == f'image {folder / "b.png"} cannot be read: the PNG is truncated (no IEND chunk)'
    )
    written = json.loads((tmp_path / 'out' / 'predictions.json').read_text())
    assert len(written['images']) == 3 and written['unreadable'] == [sentence]


def test_an_unreadable_image_can_stop(case, infer, torn, tmp_path):
    folder, files = torn
    with pytest.raises(DataError, match='b.png cannot be read: .*: inference stopped there'):
        infer(folder, tmp_path / 'out', batch_size=4, on_unreadable='stop')
    written = json.loads((tmp_path / 'out' / 'predictions.json').read_text())
    assert [Path(record['image']).name for record in written['images']] == ['a.png']
    assert (tmp_path / 'out' / 'a.jpg').exists()


def test_arrays_and_paths_in_a_list_are_skipped_too(case, infer, tmp_path):
    good = cv2.imread(case.files()[0])
    bad = [good.astype(float), good[..., 0], str(tmp_path / 'no.png')]
    done = infer([good, *bad, good])
    assert_all_same(done.results, infer([good, good]).results)
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
    'no image': ('{tmp}/text.png', DataError, 'text.png cannot be read: it is no image'),
    'folder': ('{tmp}', DataError, r"has no image .*; a pattern such as '.*/\*\*/\*.jpg'"),
    'pattern': ('{tmp}/*.bmp', UserError, r'\*.bmp matches no file: give an image file'),
    'array': (np.zeros((4, 4)), DataError, 'array 0 is of type float64'),
}  # fmt: skip


@pytest.mark.parametrize(('inputs', 'error', 'message'), INPUTS.values(), ids=INPUTS)
def test_inputs_that_are_no_images(inputs, error, message, cases, inferencers, tmp_path):
    folder = tmp_path / 'in'
    folder.mkdir()
    if not isinstance(inputs, str) or inputs != '{tmp}':
        (folder / 'text.png').write_text('no image')

    def fill(item):
        return item.format(tmp=folder) if isinstance(item, str) else item

    inputs = [*map(fill, inputs)] if isinstance(inputs, list) else fill(inputs)
    with pytest.raises(error, match=message):
        inferencers('cls')(inputs, progress=False)


ARGUMENTS = {
    'batch': (dict(batch_size=0), 'batch_size must be >= 1, got 0'),
    'unreadable': (dict(on_unreadable='no'), "on_unreadable must be 'skip' or 'stop', got 'no'"),
    'option': (dict(top=1), "Inferencer has no option 'top'; those of .*: "),
}


@pytest.mark.parametrize(('options', 'message'), ARGUMENTS.values(), ids=ARGUMENTS)
def test_bad_arguments_of_a_call(options, message, case, infer, tmp_path):
    with pytest.raises(ArgumentError, match=message):
        infer(case.files()[0], tmp_path / 'unused', **options)
    assert not (tmp_path / 'unused').exists()
    (tmp_path / 'file').touch()
    with pytest.raises(UserError, match='cannot write .*predictions.json: File exists'):
        infer(case.files()[0], tmp_path / 'file')


def test_bad_options_of_a_task(inferencers):
    picture = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(ArgumentError, match='top_k must be >= 1, got 0'):
        inferencers('cls')(picture, top_k=0)
    with pytest.raises(ArgumentError, match='score_threshold must be from 0 to 1, got 2'):
        inferencers('det')(picture, score_threshold=2)
    with pytest.raises(ArgumentError, match="no option 'top_k'; those of segmentation: none"):
        inferencers('seg')(picture, top_k=1)


def test_progress_is_told_of_several_images(case, infer, torn, task, capsys):
    folder, files = torn
    infer(files[0], progress=True)
    assert capsys.readouterr().err == ''
    infer(folder, progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(f'{TASKS[task]}: 1/4 images, ')
    assert lines[-1].startswith(f'{TASKS[task]}: 4/4 images, ')
    assert lines[-1].endswith('0:00:00 left')
    assert len(set(lines)) == len(lines)
