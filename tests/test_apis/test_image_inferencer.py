"""Inferencers for images: their numbers, inputs and files, the same for every task."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from tiny_tasks import TASKS, assert_all_same, assert_same

from mmlite.apis import ClsInferencer, DetInferencer
from mmlite.errors import UserError
from mmlite.registry import MODELS

# numbers


def compare_cls(result, sample):
    order = sample.pred_score.argsort(descending=True)
    assert result.labels == order.tolist()
    assert result.label == sample.pred_label.item()
    assert result.scores == pytest.approx(sample.pred_score[order].tolist(), abs=1e-6)


def compare_det(result, sample):
    found = sample.pred_instances
    assert len(result) == len(found) == 6
    np.testing.assert_allclose(result.boxes, found.bboxes, atol=1e-4)
    np.testing.assert_array_equal(result.labels, found.labels)
    np.testing.assert_allclose(result.scores, found.scores, atol=1e-6)
    np.testing.assert_array_equal(result.masks, found.masks)


def compare_seg(result, sample):
    np.testing.assert_array_equal(result.label_map, sample.pred_sem_seg.data[0])


def test_results_are_those_of_the_test_data(task, case, infer):
    """Each drawing goes through the config's own data set and the model's test_step."""
    model, dataset = case.model(), case.dataset()
    results = infer(case.files()).results
    assert len(results) == len(dataset)
    for index, result in enumerate(results):
        with DefaultScope.overwrite_default_scope(case.cfg.default_scope), torch.no_grad():
            (sample,) = model.test_step(pseudo_collate([dataset[index]]))
        globals()[f'compare_{task}'](result, sample)


def test_the_kind_of_input_does_not_matter(case, infer):
    files = sorted(case.files())
    folder = Path(files[0]).parent
    files = [file for file in files if Path(file).parent == folder]
    first, *_, last = arrays = [cv2.imread(file) for file in files]
    expected = infer(files).results
    pattern = f'{folder}/*{Path(files[0]).suffix}'
    for given in (folder, pattern, [first, *map(Path, files[1:-1]), last]):
        results = infer(given).results
        assert_all_same(results, expected)
        assert [result.image for result in results[1:-1]] == files[1:-1]
    for single in (Path(files[0]), arrays[0][:, ::-1][:, ::-1]):  # needs no list
        assert_all_same(infer(single).results, expected[:1])
    with pytest.raises(AssertionError):  # else equality would say nothing
        assert_same(*expected[:2])


def test_the_batch_size_does_not_matter(case, infer):
    files = case.files() + case.files()[::-1]
    expected = infer(files).results
    for batch_size in (3, 100):
        assert_all_same(infer(files, batch_size=batch_size).results, expected)


def test_a_batch_holds_pictures_of_one_size(cases, inferencers, monkeypatch):
    """With padding, the detector sees all in one size; the segmentor does not."""
    counts = []
    for task in ('det', 'seg'):
        model = inferencers(task).model
        step = model.test_step
        sizes = []
        monkeypatch.setattr(model, 'test_step', lambda d, n=sizes, f=step: n.append(d) or f(d))
        files = cases(task).files()
        inferencers(task)([files[0], files[0], files[2], files[0]], batch_size=3, progress=False)
        counts.append([len(data['inputs']) for data in sizes])
    assert counts == [[3, 1], [2, 1, 1]]


def test_scores_are_cut_and_classes_counted(cases, inferencers):
    file = cases('det').files()[0]
    everything, some = (
        inferencers('det')(file, score_threshold=value).results[0] for value in (0, 0.45)
    )
    kept = everything.scores >= 0.45
    assert 0 < kept.sum() == len(some) < 6
    np.testing.assert_array_equal(some.boxes, everything.boxes[kept])
    nothing = inferencers('det')(file, score_threshold=1).results[0]
    assert len(nothing) == 0 and nothing.masks.shape == (0, *nothing.size)
    assert nothing.boxes.shape == (0, 4) and nothing.summary() == 'no object'
    file = cases('cls').files()[0]
    counts = {k: len(inferencers('cls')(file, top_k=k).results[0].labels) for k in (1, 2, 9)}
    assert counts == {1: 1, 2: 2, 9: 3}


def test_data_from_memory_are_rgb(cases):
    """CIFAR's pipeline loads nothing: its data set holds RGB."""
    case = cases('cls')
    cfg = case.cfg
    cfg.test_dataloader.dataset.pipeline = cfg.test_dataloader.dataset.pipeline[1:]
    inferencer = ClsInferencer(cfg, case.weights)
    drawing = cv2.imread(case.files()[0])
    (result,) = inferencer(drawing, top_k=3).results
    wanted = ClsInferencer(case.config, case.weights)(drawing[..., ::-1], top_k=3).results[0]
    assert_same(result, wanted)
    cfg.model.data_preprocessor.update(mean=[33.0], std=[79.0])
    with pytest.raises(UserError, match='is for images of one channel'):
        ClsInferencer(cfg, case.weights)


def test_a_detector_without_masks(tmp_path):
    """A stock model of mmdet; its annotation file lists the categories in another order."""
    config = tiny.write_detector(tmp_path)
    annotations = json.loads((tmp_path / 'val.json').read_text())
    annotations['categories'] = [dict(id=7, name='green'), dict(id=90, name='red')]
    (tmp_path / 'val.json').write_text(json.dumps(annotations))
    cfg = Config.fromfile(config)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model)
    torch.save(model.state_dict(), tmp_path / 'weights.pth')
    inferencer = DetInferencer(config, tmp_path / 'weights.pth')
    done = inferencer(tmp_path / 'val', tmp_path / 'out', score_threshold=0.0, progress=False)
    assert [result.masks for result in done.results] == [None, None]
    assert len(done.results[0]) > 0 and done.results[0].boxes.shape[1] == 4
    assert cv2.imread(str(tmp_path / 'out' / '0.jpg')).shape == (384, 480, 3)
    images = json.loads((tmp_path / 'out' / 'predictions.json').read_text())['images']
    objects = images[0]['objects']
    assert set(objects[0]) == {'label', 'category_id', 'name', 'score', 'box'}
    ids = {(item['label'], item['name'], item['category_id']) for item in objects}
    assert ids and ids <= {(0, 'red', 90), (1, 'green', 7)}


# files


def changed(drawing, original):
    """Where a drawn drawing differs from the enlarged original, as far as that goes."""
    scale = 480 / max(original.shape[:2])
    enlarged = cv2.resize(original, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    height, width = enlarged.shape[:2]
    assert drawing.shape[1] >= width
    left = (drawing.shape[1] - width) // 2
    part = drawing[:height, left : left + width].astype(int)
    return np.abs(part - enlarged).max(2) > 40


def look_cls(drawing, original, result, palette):
    top = 30 + 2 * 24 + 6  # the best class, two others and a gap
    assert changed(drawing[top:], original).mean() < 0.01
    assert drawing.shape[0] == top + 480 * original.shape[0] // max(original.shape[:2]) + 6


def look_det(drawing, original, result, palette):
    differences = changed(drawing, original)
    x1, y1, x2, y2 = (result.boxes[0] * 480 / max(original.shape[:2])).round().astype(int)
    edge = differences[max(y2 - 2, 0) : y2 + 2, x1 + 4 : x2 - 4].max(0)
    assert edge.mean() > 0.7
    assert 0.01 < differences.mean() < 0.9


def look_seg(drawing, original, result, palette):
    labels, counts = np.unique(result.label_map, return_counts=True)
    colour = palette[labels[counts.argmax()]][::-1]
    near = np.abs(drawing.astype(int) - colour).max(2) < 15
    assert near.mean() > 0.8 * counts.max() / counts.sum() / 3


def test_pictures_and_records_are_written(task, case, infer, tmp_path):
    files, out = case.files()[:2], tmp_path / 'new' / 'out'
    done = infer([*files, cv2.imread(files[0])], out)
    written = json.loads((out / 'predictions.json').read_text())
    assert written['task'] == TASKS[task] and written['unreadable'] == []
    assert [record['image'] for record in written['images']] == [*files, 'array 2']
    assert sorted(done.files) == sorted(path for path in out.rglob('*') if path.is_file())
    for record, result in zip(written['images'], done.results, strict=True):
        names = record.pop('files')
        assert record == json.loads(json.dumps(result.record()))
        original = cv2.imread(files[0] if result.image == 'array 2' else result.image)
        drawing = cv2.imread(str(out / names[0]))
        globals()[f'look_{task}'](drawing, original, result, case.cfg.get('palette'))
        if task == 'seg':
            labels = cv2.imread(str(out / names[1]), cv2.IMREAD_UNCHANGED)
            np.testing.assert_array_equal(labels, result.label_map)


def test_nothing_is_written_or_kept_without_need(case, infer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = Path(case.files()[0])
    assert infer(file).files == [] and list(tmp_path.iterdir()) == []
    done = infer(file, 'out', keep=False)
    assert done.results == [] and len(done.files) >= 2
    assert done.summaries[0].startswith(f'{file.name}: ')
    before = sorted(file.parent.iterdir())
    with pytest.raises(UserError, match='out_dir .* holds .*, which a drawn image could replace'):
        infer(file, file.parent)
    assert sorted(file.parent.iterdir()) == before


def test_images_of_equal_names_are_told_apart(cases, inferencers, tmp_path):
    drawing = cv2.imread(cases('cls').files()[0])
    for name in ('a/1.png', 'b/1.png', 'a/1_2.png', 'c/1.jpg'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), drawing)
    files = [str(tmp_path / 'a' / '1.png'), str(tmp_path / '*' / '*.*')]
    done = inferencers('cls')(files, tmp_path / 'out', progress=False)
    names = {path.stem for path in done.files if path.suffix == '.jpg'}
    assert len(names) == 5 == len(done.results)
