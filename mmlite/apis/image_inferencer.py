"""What inferencers for images have in common: loading, batches, progress, files and messages."""

import logging
import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.logging import print_log
from mmengine.registry import DefaultScope

from mmlite.datasets.shapes.cli import Progress
from mmlite.errors import ArgumentError, DataError, UserError

from .common import check_on_unreadable, make_directory
from .image_files import ResultFiles
from .image_inputs import ImageInput, list_images
from .image_model import load_image_model


@dataclass
class Predictions:
    """What an inferencer made of images.

    Args:
        results (list): One of each image that could be read, in the order of the inputs:
            :class:`~.classification.Classification`, :class:`~.detection.Detections` or
            :class:`~.segmentation.Segmentation`. Empty with ``keep=False``.
        summaries (list[str]): A line about each, e.g. ``'dog.jpg: beagle 0.93'``.
        unreadable (list[str]): A sentence for each image that could not be read.
        files (list[Path]): What was written.
    """

    results: list
    summaries: list
    unreadable: list
    files: list


@dataclass
class _Item:
    """An image on its way: what was asked for, BGR uint8 (H, W, 3), and what the model takes."""

    image: ImageInput
    picture: np.ndarray
    data: dict


class ImageInferencer:
    """Base of the inferencers for images; :func:`~.build.build_inferencer` chooses the right one.

    Example::

        detector = DetInferencer('configs/det/....py', 'mask-rcnn.pth')
        predictions = detector('photos', out_dir='detected')
        predictions.results[0].boxes

    Args:
        config (str | Path | Config): Config file or open config. Its test pipeline prepares the
            images.
        weights (str | Path, optional): Checkpoint, ``.pth`` or ``.safetensors``. All its weights
            are used and none may be missing. Defaults to the ``load_from`` of the config.
        device (str, optional): Defaults to CUDA where there is a GPU.

    Attributes:
        class_names (tuple[str] | None): As the checkpoint says in its meta, or else the data set of
            the config. None if neither does; a warning says so, and numbers stand for names.
        model (nn.Module): In evaluation mode.

    Raises:
        UserError: If the config, the weights or the device are missing or wrong, or the config is
            of another task; the message says which inferencer it is for.
        CheckpointError: If the weights are not those of the model.
    """

    TASK = None  # key of tasks.INFERENCERS
    FIELD = None  # of the libraries' data samples, where the model leaves what it found
    OPTIONS = {}  # of a call: name -> default

    def __init__(self, config, weights=None, device=None):
        self._loaded = load_image_model(config, weights, device, self.TASK)
        self.model = self._loaded.network
        self.class_names = self._loaded.classes
        if self.class_names is None:
            print_log(
                'neither the checkpoint nor the data set of the config names classes: their '
                'numbers are used',
                logger='current',
                level=logging.WARNING,
            )

    def __call__(
        self,
        inputs,
        out_dir=None,
        batch_size=1,
        on_unreadable='skip',
        progress=True,
        keep=True,
        **options,
    ):
        """Predict on images.

        Args:
            inputs (str | Path | ndarray | list): An image file, a folder, a pattern such as
                ``'photos/*.jpg'``, an array, BGR uint8 (H, W, 3) as OpenCV reads it, or a list of
                those; see :func:`~.image_inputs.list_images`.
            out_dir (str | Path, optional): Folder for a drawn ``<name>.jpg`` of each image and
                ``predictions.json``; see the inferencer of the task for what it holds and what else
                is written. Defaults to None: nothing is written.
            batch_size (int): Images that the model takes at once, where they follow each other with
                one size behind the test pipeline: results do not depend on it. Defaults to 1.
            on_unreadable (str): What to do about an image that cannot be read: ``'skip'`` it, or
                ``'stop'`` after what came before is done and written. Defaults to ``'skip'``.
            progress (bool): Tell on stderr how many of several images are done, and how much time
                is left. Defaults to True.
            keep (bool): Return the results. Without, a run over very many images needs no memory
                for them. Defaults to True.
            **options: Of the task, see its inferencer.

        Returns:
            Predictions: Results, unreadable images and files.

        Raises:
            UserError: If an argument is wrong.
            DataError: If no image can be read; or, with ``'stop'``, at one that cannot.
        """
        options = self._check(batch_size, on_unreadable, options)
        images = list_images(inputs)
        folder = _output_folder(out_dir, images)
        files = ResultFiles(folder, dict(task=self.TASK, classes=self.class_names))
        done = Predictions([], [], [], files.written)
        told = _progress(self.TASK, len(images)) if progress else lambda done: None
        try:
            items = self._read(images, done.unreadable, on_unreadable == 'stop')
            for batch in self._batches(items, batch_size):
                for item, sample in zip(batch, self._predict(batch), strict=True):
                    self._finish(item, sample, options, done, files, keep)
                told(len(done.summaries) + len(done.unreadable))
        finally:
            files.close(done.unreadable)
        if done.unreadable and on_unreadable == 'stop':
            raise DataError(f'{done.unreadable[0]}: inference stopped there')
        told(len(images))
        if not done.summaries:
            several = 'no image can be used; the first: ' if len(images) > 1 else ''
            raise DataError(several + done.unreadable[0])
        return done

    def name_of(self, label):
        """str: Name of a class, or its number where it has none."""
        names = self.class_names or ()
        return names[label] if label < len(names) else str(label)

    # what differs between the tasks

    def _result(self, place, sample, options):
        """The result of an image from the data sample of the model."""
        raise NotImplementedError

    def _pictures(self, name, picture, result):
        """Pictures to be written, path below the folder -> BGR or grey."""
        raise NotImplementedError

    # what does not

    def _check(self, batch_size, on_unreadable, options):
        """The options of the task with their defaults."""
        check_on_unreadable(on_unreadable)
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ArgumentError(f'batch_size must be 1 or more, got {batch_size!r}')
        for name in options:
            if name not in self.OPTIONS:
                known = ', '.join(self.OPTIONS) or 'none'
                raise ArgumentError(
                    f'{type(self).__name__} has no option {name!r}; those of {self.TASK}: {known}'
                )
        return {**self.OPTIONS, **options}

    def _read(self, images, unreadable, stop):
        """Read and prepare images one by one, and note the sentences about those that cannot be."""
        for image in images:
            try:
                picture = image.read(self._loaded.load)
                data = self._prepare(picture, image)
            except DataError as error:
                unreadable.append(str(error))
                if stop:
                    return
            else:
                yield _Item(image, picture, data)

    def _prepare(self, picture, image):
        """What the model takes, from the test pipeline of the config."""
        loaded = self._loaded
        given = np.ascontiguousarray(picture[..., ::-1]) if loaded.rgb else picture
        given = given.astype(np.float32) if loaded.to_float32 else given
        size = picture.shape[:2]
        with DefaultScope.overwrite_default_scope(loaded.scope):
            # mmdet packs the id, which only its metrics read
            record = dict(img=given, img_path=image.path, img_id=0, img_shape=size, ori_shape=size)
            try:
                return loaded.pipeline(record)
            except (cv2.error, ValueError, ZeroDivisionError) as error:
                reason = ' '.join(str(error).split())
                raise DataError(
                    f'{image.place} of {size[1]}x{size[0]} pixels cannot be prepared for the '
                    f'model: {reason}'
                ) from error

    def _batches(self, items, batch_size):
        """Lists of successive items that the model sees in one size, padding included."""
        divisor = getattr(self.model.data_preprocessor, 'pad_size_divisor', 1)
        batch, last = [], None
        for item in items:
            size = [math.ceil(n / divisor) for n in item.data['inputs'].shape[-2:]]
            if batch and size != last:
                yield batch
                batch = []
            batch.append(item)
            last = size
            if len(batch) == batch_size:
                yield batch
                batch = []
        if batch:
            yield batch

    def _predict(self, batch):
        """The model's data samples."""
        data = pseudo_collate([item.data for item in batch])
        with DefaultScope.overwrite_default_scope(self._loaded.scope), torch.no_grad():
            try:
                samples = self.model.test_step(data)
            except torch.cuda.OutOfMemoryError as error:
                raise UserError(
                    f'the GPU has no memory for {len(batch)} images at once: give a smaller '
                    'batch_size, or the device cpu'
                ) from error
        if self.FIELD not in samples[0]:
            raise UserError(
                f'{type(self.model).__name__} gives no {self.FIELD}, which {self.TASK} is about'
            )
        return samples

    def _finish(self, item, sample, options, done, files, keep):
        """Turn a data sample into a result, and write it."""
        result = self._result(item.image.place, sample, options)
        if files.wanted:
            pictures = self._pictures(item.image.name, item.picture, result)
            files.add(pictures, dict(result.record(), files=list(pictures)))
        done.summaries.append(f'{Path(item.image.place).name}: {result.summary()}')
        if keep:
            done.results.append(result)


def _output_folder(out_dir, images):
    """The folder, made if needed, where drawn pictures do not take the place of images."""
    if out_dir is None:
        return None
    target = Path(out_dir).resolve()
    for image in images:
        if image.path and '://' not in image.path and Path(image.path).resolve().parent == target:
            raise UserError(
                f'out_dir {out_dir} holds {image.place}, which a drawn picture could replace: '
                'give another folder'
            )
    return make_directory(out_dir)


def _progress(task, count):
    """A function that tells how many of several images are done."""
    if count == 1:
        return lambda done: None
    tell, told = Progress(task, 'images'), [0]

    def show(done):
        if done > told[0]:  # the last line is written once
            tell(done, count, 0)
            told[0] = done

    return show
