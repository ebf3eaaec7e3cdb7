"""Hooks that draw test results."""

import os
from pathlib import Path

import cv2
import numpy as np
import torch
from matplotlib.font_manager import FontProperties, findfont, get_font
from mmengine.hooks import Hook

from mmlite.datasets.transforms import LoadImageFromFile
from mmlite.datasets.wrapped import parts
from mmlite.errors import DataError
from mmlite.evaluation.sot.ope import iou
from mmlite.registry import HOOKS
from mmlite.utils import encode_jpeg, write_bytes
from mmlite.utils.images import warn_of_font
from mmlite.visualization import TILE, draw_label_maps, draw_targets, even_indices, track_sheet


@HOOKS.register_module()
class SegPredictionHook(Hook):
    """Draw every segmentation result: image, ground truth, prediction and a legend.

    mmseg's ``SegVisualizationHook`` requires the training data; this one needs the test data alone.

    Args:
        out_dir (str): Directory of the images, which keep their paths below the data set's.
        backend_args (dict, optional): File backend of the images, see :func:`mmengine.fileio.get`.
    """

    def __init__(self, out_dir, backend_args=None):
        self.out_dir = Path(out_dir)
        self._load = LoadImageFromFile(backend_args=backend_args)

    def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        dataset = runner.test_dataloader.dataset
        names, colors = dataset.metainfo['classes'], dataset.metainfo['palette']
        for sample in outputs:
            image = self._load({'img_path': sample.img_path})['img'][..., ::-1]
            maps = {'ground truth': sample.get('gt_sem_seg'), 'prediction': sample.pred_sem_seg}
            maps = {k: v.data[0].cpu().numpy() for k, v in maps.items() if v is not None}
            ignored = getattr(dataset, 'ignore_index', 255)
            drawn = draw_label_maps(image, maps, names, colors, ignored)
            path = self.out_dir / _name(sample.img_path, dataset)
            write_bytes(path.with_suffix('.jpg'), encode_jpeg(drawn, 92))


@HOOKS.register_module()
class PredictionHook(Hook):
    """Draw every test result by a hook of mmdet or mmpretrain, which keeps the names of files only.

    Args:
        out_dir (str): Directory of the images, which keep their paths below the data set's.
        hook (dict): Config of the hook.
    """

    def __init__(self, out_dir, hook):
        self.out_dir, self._hook = Path(out_dir), HOOKS.build(hook)
        self._key = 'test_out_dir' if hasattr(self._hook, 'test_out_dir') else 'out_dir'
        self._resized_truth = False

    def before_test(self, runner):
        """Make class names strings; warn of what is drawn in part."""
        dataset = runner.test_dataloader.dataset
        metainfo = getattr(dataset, 'metainfo', None) or {}
        names = [str(name) for name in metainfo.get('classes') or ()]
        runner.visualizer.dataset_meta = {**metainfo, 'classes': names}
        font = get_font(findfont(FontProperties(family=['sans-serif'])))
        if not all(font.get_char_index(ord(letter)) for letter in set(''.join(names)) - {'\n'}):
            warn_of_font()
        # the stock hooks draw ground truth upon the original image
        pipelines = (getattr(part, 'pipeline', None) for part in parts(dataset))
        steps = next((p.transforms for p in pipelines if hasattr(p, 'transforms')), [])
        steps = [type(step).__name__ for step in steps]
        loaded = steps.index('LoadAnnotations') if 'LoadAnnotations' in steps else len(steps)
        self._resized_truth = any(name.endswith('Resize') for name in steps[loaded:])
        if self._resized_truth:
            runner.logger.warning(
                'ground truth is not drawn, as the test pipeline resizes it: put LoadAnnotations '
                'behind Resize'
            )

    def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Draw every sample of ``outputs``."""
        loader, inputs = runner.test_dataloader, data_batch['inputs']
        if not isinstance(inputs, torch.Tensor) and getattr(inputs[0], 'ndim', 4) == 4:
            inputs = inputs[0]  # the first view of test-time augmentation
        for index, sample in enumerate(outputs):
            if self._resized_truth:
                sample.pop('gt_instances', None)
            path = sample.get('img_path')  # images of CIFAR have none: the hook counts them
            folder = _name(path, loader.dataset).parent if path else ''
            setattr(self._hook, self._key, str(self.out_dir / folder))
            alone = {**data_batch, 'inputs': inputs[index : index + 1]}
            number = batch_idx * loader.batch_size + index
            try:
                self._hook.after_test_iter(runner, number, alone, [sample])
            except cv2.error as error:
                raise DataError(
                    f'the prediction for {path} cannot be drawn: OpenCV writes no file of that name'
                ) from error


@HOOKS.register_module()
class TrackSheetHook(Hook):
    """Draw a contact sheet of every tracked sequence: 12 frames, boxes and annotation.

    Args:
        out_dir (str): Directory of the images, ``<sequence>.jpg``.
    """

    def __init__(self, out_dir):
        self.out_dir = Path(out_dir)

    def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        for sequence, track in zip(data_batch, outputs, strict=True):
            sheet = draw_sequence(sequence, track)
            write_bytes(self.out_dir / f'{track.name}.jpg', encode_jpeg(sheet, 95))


def _name(path, dataset):
    """Path of an image below the directory of the images of a data set, or of several."""
    prefixes = [getattr(part, 'data_prefix', None) or {} for part in parts(dataset)]
    folders = [p[key] for p in prefixes for key in ('img', 'img_path') if p.get(key)]
    root = os.path.commonpath(map(os.path.abspath, folders or [os.path.dirname(path)]))
    return Path(os.path.relpath(path, root).replace(f'{os.pardir}{os.sep}', ''))


def draw_sequence(sequence, track):
    """Draw a contact sheet (RGB uint8) of a tracked ``Sequence`` and its ``Track``."""
    truth = sequence.boxes if sequence.annotated else [None] * len(track)
    tiles = []
    for index in even_indices(len(track)):
        frame, box = sequence.frames.read(index)[..., ::-1], track.boxes[[index]]
        box = box[np.isfinite(box).all(1)]  # none where VOT starts anew
        caption = f'frame {index}'
        tiles.append(draw_targets(frame, box, truth=truth[index], caption=caption, sides=TILE))
    title = f'{track.name}\n{len(track)} frames'
    if sequence.annotated and sequence.visible[1:].any():
        overlaps = iou(track.boxes, sequence.boxes)[1:][sequence.visible[1:]]
        title += f', mean IoU {np.mean(overlaps):.3f} where the target is visible'
    return track_sheet(title, tiles, truth=sequence.annotated)
