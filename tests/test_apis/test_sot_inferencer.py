"""The inferencer: loading, frame by frame, on whole videos, and everything that can be wrong."""

import shutil
from pathlib import Path
from unittest.mock import Mock

import cv2
import numpy as np
import pytest
import tiny_tracker
from mmengine.config import Config
from run_tool import run_tool

from mmlite.apis import SOTInferencer, frame_sources
from mmlite.errors import ArgumentError, CheckpointError, DataError, UserError
from mmlite.evaluation.sot.results import read_boxes, read_column

BOXES = tiny_tracker.path(30)


@pytest.fixture
def inferencer():
    return SOTInferencer(tiny_tracker.RectangleFinder().eval())


@pytest.fixture
def files(tmp_path):
    """Config and checkpoint of the finder, its cx shifted by 0.25 to tell it from a new one."""
    return tiny_tracker.write_config(tmp_path, tmp_path, shift=0.25)


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    """A folder of 30 frames with ``groundtruth.txt``."""
    return tiny_tracker.write_sequence(tmp_path_factory.mktemp('clips'), 'clip', BOXES)


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    """The same as a video file of 25 frames a second, almost without loss."""
    path = tmp_path_factory.mktemp('videos') / 'movie.avi'
    size = (tiny_tracker.WIDTH, tiny_tracker.HEIGHT)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 25, size)
    assert writer.isOpened()
    for box in BOXES:
        writer.write(tiny_tracker.draw(box))
    writer.release()
    return path


def frame(index):
    return tiny_tracker.draw(BOXES[index])


def decoded(path):
    """All frames of a video file."""
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1])
    return frames, capture.get(cv2.CAP_PROP_FPS)


def test_targets_and_new_ones_at_any_frame(inferencer):
    with pytest.raises(UserError, match=r'no target yet: call init\(frame, box\) before track'):
        inferencer.track(frame(0))
    inferencer.init(frame(0), BOXES[0])
    box, score = inferencer.track(frame(1))
    assert box.dtype == np.float64 and box.shape == (4,)
    np.testing.assert_allclose(box, BOXES[1], atol=1)
    assert isinstance(score, float) and score > 0.9
    inferencer.init(frame(0), BOXES[[0, 0, 0]])
    boxes, scores = inferencer.track(frame(1))
    assert boxes.shape == (3, 4) and scores.shape == (3,)
    np.testing.assert_allclose(boxes, BOXES[[1, 1, 1]], atol=1)
    large = cv2.copyMakeBorder(frame(20), 0, 50, 0, 50, cv2.BORDER_REPLICATE)
    inferencer.init(large, BOXES[20:21])
    boxes, _ = inferencer.track(large)
    assert boxes.shape == (1, 4)
    np.testing.assert_allclose(boxes[0], BOXES[20], atol=1)


# loading


def test_a_config_and_its_weights(files):
    config, checkpoint = files
    opened = Config.fromfile(config)
    named = Config.fromfile(config)
    named.load_from = str(checkpoint)
    for args in ((str(config), str(checkpoint), 'cpu'), (opened, checkpoint), (named,)):
        network = SOTInferencer(*args).network
        assert network.shift.item() == 0.25 and not network.training


def test_missing_things_are_named(files, tmp_path):
    _, checkpoint = files
    with pytest.raises(CheckpointError, match='no.onnx does not exist'):
        SOTInferencer(tmp_path / 'no.onnx')
    with pytest.raises(UserError, match='no.onnx has its own weights and runs on the CPU'):
        SOTInferencer('no.onnx', checkpoint)
    with pytest.raises(ArgumentError, match='a network has its weights and its device'):
        SOTInferencer(tiny_tracker.RectangleFinder().eval(), checkpoint)


# whole videos


def test_frames_in_img_are_called_by_the_folder_above(clip, tmp_path):
    (tmp_path / 'heart-2').mkdir()
    (tmp_path / 'heart-2' / 'img').symlink_to(clip)
    copied = shutil.copytree(clip, tmp_path / 'star-2' / 'img')
    sources = (tmp_path / 'heart-2', copied, f'{copied}/*.png', clip)
    names = [frame_sources.open_source(source).name for source in sources]
    assert names == ['heart-2', 'star-2', 'star-2', clip.name]


@pytest.mark.parametrize('form', ['pattern', 'video'])
def test_a_video_is_tracked_and_annotated(form, inferencer, clip, video, tmp_path):
    source = dict(pattern=str(clip / '*.png'), video=str(video))[form]
    result = inferencer(source, BOXES[0], tmp_path / 'out', progress=False)
    (track,) = result.tracks
    assert track.name == ('movie' if form == 'video' else 'clip')
    np.testing.assert_allclose(track.boxes, BOXES, atol=1.5)
    np.testing.assert_array_equal(track.boxes[0], BOXES[0])
    assert track.scores.min() > 0.9
    assert (track.seconds[1:] > 0).all() and result.fps > 1
    assert result.unreadable == [] and result.mean_iou is None

    assert sorted(path.suffix for path in result.files) == ['.jpg', '.mp4', '.txt']
    boxes = tmp_path / 'out' / f'{track.name}.txt'
    assert boxes in result.files
    np.testing.assert_array_equal(read_boxes(boxes), track.boxes)
    frames, fps = decoded(boxes.with_suffix('.mp4'))
    assert len(frames) == 30 and fps == (25 if form == 'video' else 30)
    for index in (0, 29):  # the box is drawn in red around the target
        x, y, w, h = (4 * track.boxes[index]).round().astype(int)  # 640 pixels wide, not 160
        original = cv2.resize(tiny_tracker.draw(BOXES[index]), None, fx=4, fy=4).astype(int)
        changed = np.abs(frames[index].astype(int) - original).max(2) > 60
        edge = changed[y + h - 3 : y + h + 3, x + 3 : x + w - 3].max(0)
        assert edge.mean() > 0.8
        assert changed[y + 6 : y + h - 6, x + 6 : x + w - 6].mean() < 0.2
    sheet = cv2.imread(str(boxes.with_suffix('.jpg')))
    assert sheet.shape[0] > 3 * 225 and sheet.shape[1] > 4 * 300  # tiles of 300x225 pixels


def test_the_truth_is_compared_and_gives_the_init_box(inferencer, clip):
    truth = BOXES.copy()
    truth[5] = np.nan
    truth[6] = 0
    assert 0.9 < inferencer(clip, truth=truth, progress=False).mean_iou < 1
    far = BOXES + np.array([500, 0, 0, 0])
    far[0] = BOXES[0]
    assert inferencer(clip, truth=far, progress=False).mean_iou == 0
    assert inferencer(clip, truth=clip / 'groundtruth.txt', progress=False).mean_iou > 0.9


def test_several_targets_have_a_file_each(inferencer, clip, tmp_path, capsys):
    result = inferencer(clip, BOXES[[0, 0]], tmp_path, max_frames=20)
    assert [track.name for track in result.tracks] == ['clip_1', 'clip_2']
    assert len(read_boxes(tmp_path / 'clip_2.txt')) == 20
    assert len(read_column(tmp_path / 'clip_2_time.txt')) == 20
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith('track: 20/20 frames, ') and line.endswith('0:00:00 left')
    with pytest.raises(ArgumentError, match='a truth is for one target, but 2 boxes are given'):
        inferencer(clip, BOXES[[0, 0]], truth=BOXES, progress=False)


@pytest.fixture
def torn(clip, tmp_path):
    """The clip with an unreadable frame 7 and a frame 9 of another size."""
    folder = shutil.copytree(clip, tmp_path / 'torn')
    (folder / '0007.png').write_bytes((clip / '0007.png').read_bytes()[:40])
    cv2.imwrite(str(folder / '0009.png'), np.zeros((50, 60, 3), np.uint8))
    return folder


def test_unreadable_frames_are_named_and_skipped(inferencer, torn, tmp_path):
    result = inferencer(torn, BOXES[0], tmp_path / 'out', truth=BOXES, progress=False)
    assert [Path(s.split(' cannot')[0]).name for s in result.unreadable[:1]] == ['0007.png']
    assert '0009.png: the frame has 60x50 pixels, those before it 160x120' in result.unreadable[1]
    assert len(result.unreadable) == 2
    (track,) = result.tracks
    assert len(track) == 30
    np.testing.assert_array_equal(track.boxes[[7, 9]], track.boxes[[6, 8]])
    assert track.scores[[7, 9]].tolist() == track.seconds[[7, 9]].tolist() == [0, 0]
    np.testing.assert_allclose(track.boxes[10:], BOXES[10:], atol=1)
    assert len(decoded(tmp_path / 'out' / 'torn.mp4')[0]) == 28


def test_an_unreadable_frame_can_stop(inferencer, torn, tmp_path):
    with pytest.raises(DataError, match='0007.png cannot be read: .*: tracking stopped there'):
        inferencer(torn, BOXES[0], tmp_path, on_unreadable='stop', progress=False)
    assert len(read_boxes(tmp_path / 'torn.txt')) == 8  # what came before is kept
    assert len(decoded(tmp_path / 'torn.mp4')[0]) == 7


def test_a_video_that_ends_early_is_named(inferencer, video, tmp_path):
    cut = tmp_path / 'cut.avi'
    data = video.read_bytes()
    cut.write_bytes(data[: len(data) // 2])
    result = inferencer(cut, BOXES[0], progress=False)
    (sentence,) = result.unreadable
    assert 'of 30 and those after it cannot be decoded' in sentence
    assert 5 < len(result.tracks[0]) < 29


@pytest.mark.parametrize(
    ('source', 'error', 'message'),
    [
        ('{}/no.mp4', UserError, 'no.mp4 does not exist: give a video file, a directory of fra'),
        ('{}/*.jpg', UserError, r'\*.jpg matches no file: give the frames of one video'),
        ('{}/text.mp4', DataError, 'text.mp4 is not a video that OpenCV can read'),
        ('{}', DataError, 'has no frames'),
    ],
)
def test_sources_that_are_none(source, error, message, inferencer, tmp_path):
    (tmp_path / 'text.mp4').write_text('no video')
    with pytest.raises(error, match=message):
        inferencer(source.format(tmp_path), BOXES[0])


def test_bad_arguments_of_a_call(inferencer, clip, tmp_path):
    (tmp_path / 'file').touch()
    for error, message, args in (
        (UserError, 'no init box is given', {}),
        (DataError, '0000.png: init box x=999, y=0, w=5, h=5 lies outside', dict(
            box=(999, 0, 5, 5), out_dir=tmp_path / 'unused')),
        (DataError, 'the truth has 29 boxes, but clip has 30 frames', dict(truth=BOXES[1:])),
        (ArgumentError, "on_unreadable must be 'skip' or 'stop', got 'no'", dict(
            on_unreadable='no')),
        (ArgumentError, 'max_frames must be >= 1, got 0', dict(max_frames=0)),
        (UserError, 'cannot write .*file: File exists', dict(
            box=BOXES[0], out_dir=tmp_path / 'file')),
    ):  # fmt: skip
        with pytest.raises(error, match=message):
            inferencer(clip, **args)
    assert not (tmp_path / 'unused').exists()


def test_a_camera_is_tracked_until_it_is_interrupted(inferencer, tmp_path, monkeypatch):
    camera = Mock(get=lambda what: 0.0)
    camera.read.side_effect = [*((True, frame(number)) for number in range(8)), KeyboardInterrupt]
    monkeypatch.setattr(cv2, 'VideoCapture', {3: camera}.get)
    result = inferencer(3, BOXES[0], tmp_path)
    np.testing.assert_allclose(result.tracks[0].boxes, BOXES[:8], atol=1)
    assert (tmp_path / 'camera3.mp4').stat().st_size > 1000
    camera.isOpened.return_value = False
    with pytest.raises(DataError, match='camera 3 cannot be opened: is it connected, and free'):
        inferencer('3', BOXES[0])


def test_the_window_asks_for_the_box_and_ends_the_run(inferencer, clip, monkeypatch):
    shown = []
    monkeypatch.setenv('DISPLAY', ':0')
    monkeypatch.setattr(cv2, 'namedWindow', lambda title, flags: None)
    monkeypatch.setattr(cv2, 'selectROI', lambda *args, **kwargs: tuple(BOXES[0]))
    monkeypatch.setattr(cv2, 'imshow', lambda title, picture: shown.append(title))
    monkeypatch.setattr(cv2, 'waitKey', lambda ms: ord('q') if len(shown) == 5 else -1)
    monkeypatch.setattr(cv2, 'destroyAllWindows', lambda: shown.append('closed'))
    result = inferencer(clip, show=True, progress=False)
    assert len(result.tracks[0]) == 5
    assert shown == 5 * ['clip'] + ['closed']


def test_without_a_display_the_window_is_an_error(inferencer, clip, monkeypatch):
    monkeypatch.setenv('DISPLAY', ':0')
    monkeypatch.setattr(cv2, 'namedWindow', Mock(side_effect=cv2.error('no display')))
    with pytest.raises(UserError, match='no window can be opened here: leave out show'):
        inferencer(clip, show=True)
    monkeypatch.delenv('DISPLAY')
    monkeypatch.delenv('WAYLAND_DISPLAY', raising=False)
    monkeypatch.setattr('sys.platform', 'linux')
    with pytest.raises(UserError, match='neither DISPLAY nor WAYLAND_DISPLAY is set'):
        inferencer(clip, BOXES[0], show=True)


# the tool


def test_the_tool_tracks_in_one_line(clip, tmp_path, capsys):
    centred = tiny_tracker.write_config(tmp_path, tmp_path)
    box, out = ('--box', *BOXES[0]), tmp_path / 'out'
    truth = ('--truth', clip / 'groundtruth.txt')
    assert run_tool('demo/track', *centred, clip, *box, '--out', out, *truth) == 0
    printed = capsys.readouterr().out
    assert printed.startswith('30 frames, ') and 'mean IoU with the truth: 0.9' in printed
    assert str(out / 'clip.mp4') in printed
    np.testing.assert_allclose(read_boxes(out / 'clip.txt'), BOXES, atol=1)
    joined = ('--box', ','.join(map(str, BOXES[0])))  # as in a line of groundtruth.txt
    args = ('--out', out, '--max-frames', 3)
    assert run_tool('demo/track', *centred, *box, clip, *joined, *args) == 0
    np.testing.assert_array_equal(read_boxes(out / 'clip_2.txt')[0], BOXES[0])


def test_the_exit_code_of_the_tool_tells(torn, tmp_path, capsys):
    config, checkpoint = tiny_tracker.write_config(tmp_path, tmp_path)
    args = ('--box', *BOXES[0], '--out', tmp_path / 'out')
    assert run_tool('demo/track', config, '--device', 'cpu', checkpoint, torn, *args) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith('error: 2 of 30 frames could not be used; the first: image ')
    assert (tmp_path / 'out' / 'torn.mp4').exists()
