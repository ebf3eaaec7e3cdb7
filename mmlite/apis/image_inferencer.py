"""The core of the inferencers for images: loading, batches, progress and files."""

import itertools
import json
import logging
import math
from dataclasses import dataclass, field
from pathlib import Path

import torch
from mmengine.dataset import pseudo_collate
from mmengine.logging import print_log
from mmengine.registry import DefaultScope

from mmlite.engine.build import config_name, init_model, open_config
from mmlite.engine.cli import check_out_folder
from mmlite.errors import ArgumentError, DataError, UserError
from mmlite.utils import Progress, encode_jpeg, encode_png, write_bytes, write_text

from .image_inputs import list_images
from .image_model import ImagePipeline, read_classes
from .tasks import check_on_unreadable, check_task

SIDES = (480, 960)  # px, bounds of the longest side of a drawn image


@dataclass
class Predictions:
    """Results of an inferencer.

    Args:
        results (list): :class:`~.classification.Classification`, :class:`~.detection.Detections` or
            :class:`~.segmentation.Segmentation` of each readable image, in the order of the
            inputs. Empty with ``keep=False``.
        summaries (list[str]): A line about each, e.g. ``'dog.jpg: beagle 0.93'``.
        unreadable (list[str]): A sentence for each image that could not be read.
        files (list[Path]): Written files.
    """

    results: list = field(default_factory=list)
    summaries: list = field(default_factory=list)
    unreadable: list = field(default_factory=list)
    files: list = field(default_factory=list)


class ImageInferencer:
    """Base of the inferencers for images, which the test pipeline of the config prepares.

    Args:
        config, weights, device: See :func:`~mmlite.apis.build_inferencer`.

    Attributes:
        class_names (tuple[str] | None): Of the checkpoint's meta, or else of the data set of the
            config. None if both lack them: a warning says so, and numbers stand for names.
        model (nn.Module): In evaluation mode.

    Raises:
        UserError: The config, the weights or the device are wrong or missing, or do not fit.
    """

    TASK = None  # key of tasks.INFERENCERS
    FIELD = None  # of the libraries' data samples, with the prediction
    OPTIONS = {}  # of a call: name -> (default, type, least, largest, what it must be)

    def __init__(self, config, weights=None, device=None):
        cfg = open_config(config)
        weights = check_task(cfg, self.TASK, weights)
        self._scope = cfg.get('default_scope') or 'mmengine'
        with DefaultScope.overwrite_default_scope(self._scope):
            self._pipeline = ImagePipeline(cfg)
            self.model = init_model(cfg, weights, device)
            recorded, dataset = self.model.dataset_meta, self._pipeline.dataset
            self.class_names, self._palette = read_classes(recorded, dataset, self._scope)
        mean = getattr(self.model.data_preprocessor, 'mean', None)
        if self._pipeline.rgb and mean is not None and mean.numel() == 1:
            raise UserError(
                f'{config_name(cfg)} is for images of one channel: inferencers are for color images'
            )
        if self.class_names is None:
            text = 'neither the checkpoint nor the data set of the config names classes: '
            print_log(text + 'their numbers are used', 'current', logging.WARNING)

    def __call__(
        self, inputs, out_dir=None, batch_size=1, on_unreadable='skip', progress=True, keep=True,
        **options,
    ):  # fmt: skip
        """Predict on images.

        Args:
            inputs (str | Path | ndarray | list): See :func:`~.image_inputs.list_images`.
            out_dir (str | Path, optional): Directory for a drawn ``<name>.jpg`` of each image and
                ``predictions.json``; segmentation adds ``labels/<name>.png``. Defaults to None:
                nothing is written.
            batch_size (int): Images that the model takes at once, where they follow each other with
                one size after the test pipeline. Results do not depend on it. Defaults to 1.
            on_unreadable (str): ``'skip'`` an image that cannot be read, or ``'stop'`` after those
                before it are written. Defaults to ``'skip'``.
            progress (bool): Show the progress of several images on stderr. Defaults to True.
            keep (bool): Return the results. Defaults to True; False saves memory.
            **options: Of the task, see its inferencer.

        Returns:
            Predictions: Results, unreadable images and files.

        Raises:
            DataError: No image can be read; or, with ``'stop'``, at one that cannot.
        """
        options = self._check(batch_size, on_unreadable, options)
        images = list_images(inputs)
        done, records = Predictions(), []
        if out_dir is not None:
            out_dir = Path(out_dir)
            check_out_folder('out_dir', out_dir)
            for image in images:
                if image.is_file and Path(image.place).resolve().parent == out_dir.resolve():
                    raise UserError(
                        f'out_dir {out_dir} holds {image.place}, which a drawn image could '
                        'replace: give another directory'
                    )
            done.files = [out_dir / 'predictions.json']
        shown = images
        if progress and len(images) > 1:
            shown = Progress(self.TASK, len(images), 'images').track(images)
        try:
            items = self._read(shown, done, on_unreadable == 'stop')
            for batch in self._batches(items, batch_size):
                samples = self._predict([data for *_, data in batch])
                for (source, image, _), sample in zip(batch, samples, strict=True):
                    result = self._result(source.place, sample, options)
                    if out_dir:
                        drawn = self._draw(source.name, image, result)
                        records.append(json.dumps(dict(result.record(), files=list(drawn))))
                        done.files += write_images(out_dir, drawn)
                    done.summaries.append(f'{Path(source.place).name}: {result.summary()}')
                    if keep:
                        done.results.append(result)
        finally:
            if out_dir:
                head = json.dumps(dict(task=self.TASK, classes=self.class_names))[:-1]
                lines, unreadable = ',\n'.join(records), json.dumps(done.unreadable)
                text = f'{head}, "images": [\n{lines}\n], "unreadable": {unreadable}}}\n'
                write_text(out_dir / 'predictions.json', text)
        if done.unreadable and on_unreadable == 'stop':
            raise DataError(f'{done.unreadable[0]}: inference stopped there')
        if not done.summaries:
            several = 'no image can be used; the first: ' if len(images) > 1 else ''
            raise DataError(several + done.unreadable[0])
        return done

    def name_of(self, label):
        """str: Name of a class, or its number where it has none."""
        names = self.class_names or ()
        return names[label] if label < len(names) else str(label)

    def _result(self, place, sample, options):
        """Make the result of an image from the data sample of the model."""
        raise NotImplementedError

    def _draw(self, name, image, result):
        """Draw a result on a BGR image: path below the output directory -> RGB or grey image."""
        raise NotImplementedError

    def _check(self, batch_size, on_unreadable, options):
        """Check the arguments of a call; the options of the task with their defaults."""
        check_on_unreadable(on_unreadable)
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ArgumentError(f'batch_size must be >= 1, got {batch_size!r}')
        for name, value in options.items():
            if name not in self.OPTIONS:
                known = ', '.join(self.OPTIONS) or 'none'
                raise ArgumentError(
                    f'{type(self).__name__} has no option {name!r}; those of {self.TASK}: {known}'
                )
            _, kind, least, largest, rule = self.OPTIONS[name]
            if not isinstance(value, kind) or not least <= value <= largest:
                raise ArgumentError(f'{name} must be {rule}, got {value!r}')
        return {name: options.get(name, default) for name, (default, *_) in self.OPTIONS.items()}

    def _read(self, images, done, stop):
        """Read and prepare images: yields input, BGR image and data of each that is readable."""
        for source in images:
            try:
                image = source.read(self._pipeline.load)
                with DefaultScope.overwrite_default_scope(self._scope):
                    data = self._pipeline(image, source)
            except DataError as error:
                done.unreadable.append(str(error))
                if stop:
                    return
            else:
                yield source, image, data

    def _batches(self, items, batch_size):
        """Lists of successive items that the model sees in one size, padding included."""
        divisor = getattr(self.model.data_preprocessor, 'pad_size_divisor', 1)

        def padded_size(item):
            return [math.ceil(n / divisor) for n in item[-1]['inputs'].shape[-2:]]

        for _, group in itertools.groupby(items, padded_size):
            while batch := list(itertools.islice(group, batch_size)):
                yield batch

    def _predict(self, batch):
        """The model's data samples."""
        with DefaultScope.overwrite_default_scope(self._scope), torch.no_grad():
            try:
                samples = self.model.test_step(pseudo_collate(batch))
            except torch.cuda.OutOfMemoryError as error:
                raise UserError(
                    f'the GPU has no memory for {len(batch)} images at once: give a smaller '
                    'batch_size, or the device cpu'
                ) from error
        if self.FIELD not in samples[0]:
            raise UserError(
                f'{type(self.model).__name__} returns no {self.FIELD}, which {self.TASK} requires'
            )
        return samples


def write_images(folder, images):
    """Write RGB or grey images, name -> uint8 array, as JPEG or PNG; returns their paths."""
    for name, image in images.items():
        encoded = encode_png(image) if name.endswith('.png') else encode_jpeg(image, quality=92)
        write_bytes(folder / name, encoded)
    return [folder / name for name in images]
