"""Training pairs drawn from several tracking data sets, and the sampler that numbers them."""

from collections import Counter

import numpy as np
from mmengine.dataset import Compose
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Dataset, Sampler

from mmlite.errors import ArgumentError, DataError
from mmlite.registry import DATA_SAMPLERS, DATASETS

from .sampling import MAX_INTERVAL, MIN_FRAMES, MIN_VISIBLE, is_usable, sample_causal

STILLS = 'stills'  # protocol of data sets of pictures: template and search are the same picture


@DATASETS.register_module()
class TrackPairs(Dataset):
    """Pairs of a template and a search frame, drawn anew in every epoch.

    For each pair, a data set is drawn by its ratio, a sequence uniformly from it, and two frames as
    :func:`~mmlite.datasets.sot.sampling.sample_causal` does. Only the annotation of that sequence
    and those frames are read. Indices are ``(seed, epoch, k)``, from :class:`PairSampler`: a pair
    is a function of these three numbers alone, whatever the number of workers and whether training
    was resumed.

    A video that is too short, or hardly shows its target, is replaced by another one of the same
    data set. Where the pipeline returns None, all is drawn again, the data set too: OSTrack's rule,
    by which a data set that fails often gets less than its share. So it is with a file that cannot
    be read, if :attr:`bad_samples` allows that.

    Args:
        datasets (Sequence[dict | Dataset]): Data sets of sequences, or configs of them.
        ratios (Sequence[float], optional): Their shares of the pairs, of any sum. Equal by default.
        samples_per_epoch (int): Pairs of an epoch, over all processes. Defaults to 60000.
        max_interval (int): Distance in frames from template to search frame that is not reached
            unless the target is hidden for long. Defaults to 200.
        pipeline (Sequence[dict | Callable]): Transforms of a dict with ``template_image``,
            ``template_box``, ``search_image``, ``search_box`` and ``rng``, see
            :mod:`~mmlite.datasets.sot.transforms`; further keys are ``sequence``, ``frame_ids`` and
            ``img_path`` (of the search frame), for information. Defaults to none.
        max_tries (int): Draws for one pair before it is an error. Defaults to 1000.

    Attributes:
        bad_samples (BadSamples | None): Policy for unreadable files, from the training loop.
            Without one, they are an error.

    Raises:
        ArgumentError: If an argument is wrong, or an index is no ``(seed, epoch, k)``.
        DataError: If a data set is empty; from an index, if no draw gave a usable pair.
    """

    def __init__(
        self,
        datasets,
        ratios=None,
        samples_per_epoch=60_000,
        max_interval=MAX_INTERVAL,
        pipeline=(),
        max_tries=1000,
    ):
        for name, value in (('samples_per_epoch', samples_per_epoch), ('max_tries', max_tries)):
            if value < 1:
                raise ArgumentError(f'{name} must be at least 1, got {value}')
        if max_interval < 2:
            raise ArgumentError(
                f'max_interval must be at least 2, the frame after the template, got {max_interval}'
            )
        self._bounds = _cumulative(ratios, len(datasets))
        self.datasets = [DATASETS.build(d) if isinstance(d, dict) else d for d in datasets]
        for dataset in self.datasets:
            if not len(dataset):
                raise DataError(f'data set {dataset.metainfo["dataset"]} has no sequences')
        self.samples_per_epoch = samples_per_epoch
        self.max_interval = max_interval
        self.pipeline = Compose(pipeline)
        self.max_tries = max_tries
        self.bad_samples = None

    @property
    def metainfo(self):
        """dict: Names of the data sets."""
        return dict(datasets=tuple(d.metainfo['dataset'] for d in self.datasets))

    def __len__(self):
        return self.samples_per_epoch

    def __getitem__(self, index):
        """What the pipeline makes of pair ``k`` of an epoch, ``index`` being (seed, epoch, k)."""
        try:
            seed, epoch, k = index
        except (TypeError, ValueError):
            raise ArgumentError(
                f'TrackPairs has no index {index!r}: its data loader needs '
                "sampler=dict(type='mmlite.PairSampler')"
            ) from None
        rng = np.random.default_rng((seed, epoch, k))
        dataset, failures = None, _Failures()
        for _ in range(self.max_tries):
            if dataset is None:
                dataset = self._draw_dataset(rng)
            try:
                number = int(rng.integers(len(dataset)))
                sequence = dataset[number]
                frames = self._draw_frames(rng, dataset, sequence)
                if frames is None:
                    failures.add('unsuitable', f'{_name(sequence)} is such a video')
                    continue  # with another video of this data set
                pair = _read(sequence, *frames)
            except DataError as error:
                if self.bad_samples is None:
                    raise
                self.bad_samples.note(f'{dataset.metainfo["dataset"]}, sequence {number}', error)
                failures.add('unreadable', error)
            else:
                packed = self.pipeline(dict(pair, rng=rng))
                if packed is not None:
                    return packed
                boxes = f'{pair["template_box"].tolist()} and {pair["search_box"].tolist()}'
                failures.add('refused', f'frames {frames} of {_name(sequence)}, boxes {boxes}')
            dataset = None
        raise DataError(
            f'none of {self.max_tries} draws gave a usable pair ({seed}, {epoch}, {k}): {failures}'
        )

    def _draw_dataset(self, rng):
        return self.datasets[np.searchsorted(self._bounds, rng.random(), side='right')]

    def _draw_frames(self, rng, dataset, sequence):
        """Template and search frame, None for a video that is no good."""
        if dataset.metainfo['protocol'] == STILLS:
            return 0, 0
        if not is_usable(sequence.visible):
            return None
        return sample_causal(rng, sequence.visible, self.max_interval)

    def __repr__(self):
        names = ', '.join(f'{d.metainfo["dataset"]} ({len(d)} sequences)' for d in self.datasets)
        return f'{type(self).__name__}({names}; {len(self)} pairs an epoch)'


@DATA_SAMPLERS.register_module()
class PairSampler(Sampler):
    """Numbers the pairs of every epoch for :class:`TrackPairs`: ``(seed, epoch, k)``.

    mmengine starts the workers of a data loader with the same random numbers each time, so that a
    data set which draws its samples in them repeats its first epoch for ever. Here the epoch is
    part of the index. Process r of n takes the pairs ``k = r, r + n, ...``; a remainder that would
    give some processes one pair more is left out. Of a loader whose epoch nobody sets, as
    mmengine's for validation, the pairs are the same each time.

    Args:
        dataset (Sized): The data set; its length is the number of pairs of an epoch.
        seed (int, optional): Not negative, equal in all processes. mmengine gives the seed of the
            run. Drawn at random by default.

    Raises:
        ArgumentError: If there are fewer pairs than processes.
    """

    def __init__(self, dataset, seed=None):
        self.rank, self.world_size = get_dist_info()
        self.num_samples = len(dataset) // self.world_size
        if not self.num_samples:
            raise ArgumentError(
                f'{len(dataset)} pairs an epoch are too few for {self.world_size} processes'
            )
        self.seed = sync_random_seed() if seed is None else seed
        self.epoch = 0

    def __iter__(self):
        """Yields tuple[int, int, int]: (seed, epoch, k)."""
        for k in range(self.rank, self.num_samples * self.world_size, self.world_size):
            yield self.seed, self.epoch, k

    def __len__(self):
        """Number of pairs of this process."""
        return self.num_samples

    def set_epoch(self, epoch):
        """Go to an epoch, counted from 0; mmengine's ``DistSamplerSeedHook`` calls this."""
        self.epoch = epoch


class _Failures:
    """Why draws gave no pair: how many for which reason, and what the last one was."""

    def __init__(self):
        self.counts, self.last = Counter(), None

    def add(self, kind, reason):
        self.counts[kind] += 1
        self.last = reason

    def __str__(self):
        return (
            f'{self.counts["unsuitable"]} were videos of fewer than {MIN_FRAMES} frames or '
            f'{MIN_VISIBLE} visible ones, {self.counts["unreadable"]} had unreadable files and '
            f'{self.counts["refused"]} were refused by the pipeline; the last: {self.last}'
        )


def _read(sequence, template, search):
    """The frames and boxes of a pair; a single frame is read once."""
    image = sequence.frames.read(template)
    return dict(
        template_image=image,
        template_box=sequence.boxes[template].copy(),
        search_image=image if search == template else sequence.frames.read(search),
        search_box=sequence.boxes[search].copy(),
        sequence=sequence.name,
        frame_ids=(template, search),
        img_path=str(sequence.frames.where(search)),
    )


def _name(sequence):
    return f'{sequence.dataset} {sequence.name}'


def _cumulative(ratios, count):
    """Upper ends of the shares of [0, 1) that belong to each of ``count`` data sets."""
    ratios = np.ones(count) if ratios is None else np.asarray(ratios, dtype=np.float64)
    if not 0 < count == len(ratios):
        raise ArgumentError(
            f'TrackPairs needs one or more data sets and a ratio for each, got {count} data sets '
            f'and {len(ratios)} ratios'
        )
    if not (ratios >= 0).all() or not 0 < ratios.sum() < np.inf:
        raise ArgumentError(f'ratios must be 0 or more and not all 0, got {ratios.tolist()}')
    bounds = np.cumsum(ratios)
    return bounds / bounds[-1]
