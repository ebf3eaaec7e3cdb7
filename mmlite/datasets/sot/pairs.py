"""Training pairs sampled from several tracking data sets, and the sampler that numbers them."""

from collections import Counter

import numpy as np
from mmengine.dataset import Compose
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Dataset, Sampler

from mmlite.errors import ArgumentError, DataError
from mmlite.registry import DATA_SAMPLERS, DATASETS

MIN_FRAMES = 20  # of a video
MIN_VISIBLE = 5  # frames that show the target: more than two for each frame of a pair
STILLS = 'stills'  # protocol of data sets of images: template and search are the same image


@DATASETS.register_module()
class TrackPairs(Dataset):
    """Pairs of a template and a search frame, sampled anew in every epoch.

    A data set is sampled by its ratio, a sequence uniformly from it, and two frames by
    :func:`sample_causal`. Indices are ``(seed, epoch, k)`` from
    :class:`PairSampler`, and a pair depends on these three numbers alone.

    As in OSTrack, an unsuitable video is replaced by another one of its data set, but after a
    rejected pair or an unreadable file the data set is sampled again, too: one that fails often
    gets less than its share.

    Args:
        datasets (Sequence[dict | Dataset]): Data sets of sequences, or configs of them.
        ratios (Sequence[float], optional): Their shares of the pairs, of any sum. Default to equal.
        samples_per_epoch (int): Pairs of an epoch, over all processes. Defaults to 60000.
        max_interval (int): Exclusive upper bound of the distance in frames from template to search
            frame, unless the target is hidden for long. Defaults to 200.
        pipeline (Sequence[dict | Callable]): Transforms of a pair, see
            :mod:`~mmlite.datasets.sot.transforms`; None rejects it. The dict also has ``sequence``,
            ``frame_ids`` and ``img_path`` (of the search frame). Defaults to none.
        max_tries (int): Attempts for one pair before it is an error. Defaults to 1000.

    Attributes:
        bad_samples (BadSamples | None): Policy for unreadable files, from the training loop; they
            are an error without one.
    """

    def __init__(
        self, datasets, ratios=None, samples_per_epoch=60_000, max_interval=200, pipeline=(),
        max_tries=1000,
    ):  # fmt: skip
        if min(samples_per_epoch, max_tries, max_interval - 1) < 1:
            raise ArgumentError(
                f'samples_per_epoch={samples_per_epoch} and max_tries={max_tries} must be >= 1, '
                f'max_interval={max_interval} >= 2'
            )
        self._bounds = _cumulative(ratios, len(datasets))
        self.datasets = [DATASETS.build(d) if isinstance(d, dict) else d for d in datasets]
        self.metainfo = dict(datasets=tuple(d.metainfo['dataset'] for d in self.datasets))
        self.samples_per_epoch = samples_per_epoch
        self.max_interval = max_interval
        self.pipeline = Compose(pipeline)
        self.max_tries = max_tries
        self.bad_samples = None

    def __len__(self):
        return self.samples_per_epoch

    def __getitem__(self, index):
        try:
            seed, epoch, k = index
        except (TypeError, ValueError):
            raise ArgumentError(
                f'TrackPairs has no index {index!r}: its data loader needs '
                "sampler=dict(type='mmlite.PairSampler')"
            ) from None
        rng = np.random.default_rng(index)
        dataset, failures, last = None, Counter(), None
        for _ in range(self.max_tries):
            if dataset is None:
                dataset = self.datasets[np.searchsorted(self._bounds, rng.random(), side='right')]
            try:
                number = int(rng.integers(len(dataset)))
                sequence = dataset[number]
                name = f'{sequence.dataset} {sequence.name}'
                if dataset.metainfo['protocol'] == STILLS:
                    frames = 0, 0
                elif is_usable(sequence.visible):
                    frames = sample_causal(rng, sequence.visible, self.max_interval)
                else:
                    failures['unsuitable'] += 1
                    last = f'{name} is such a video'
                    continue  # with another video of this data set
                pair = _read(sequence, *frames)
            except DataError as error:
                if self.bad_samples is None:
                    raise
                self.bad_samples.note(f'{dataset.metainfo["dataset"]}, sequence {number}', error)
                failures['unreadable'] += 1
                last = error
            else:
                packed = self.pipeline(dict(pair, rng=rng))
                if packed is not None:
                    return packed
                failures['rejected'] += 1
                boxes = f'{pair["template_box"].tolist()} and {pair["search_box"].tolist()}'
                last = f'frames {frames} of {name}, boxes {boxes}'
            dataset = None
        raise DataError(
            f'none of {self.max_tries} attempts gave a usable pair ({seed}, {epoch}, {k}): '
            f'{failures["unsuitable"]} were videos of fewer than {MIN_FRAMES} frames or '
            f'{MIN_VISIBLE} visible ones, {failures["unreadable"]} had unreadable files and '
            f'{failures["rejected"]} were rejected by the pipeline; the last: {last}'
        )


@DATA_SAMPLERS.register_module()
class PairSampler(Sampler):
    """Sampler of the indices ``(seed, epoch, k)`` of :class:`TrackPairs`.

    With the epoch in the index, workers that start with the same random numbers each time do not
    repeat it. Process r of n takes the pairs ``k = r, r + n, ...``; a remainder is dropped. Where
    nobody sets the epoch, as in mmengine's validation, the pairs are the same each time.

    Args:
        dataset (Sized): Its length is the number of pairs of an epoch.
        seed (int, optional): Not negative, equal in all processes. mmengine passes the seed of the
            run. Defaults to a random one.
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
        for k in range(self.rank, self.num_samples * self.world_size, self.world_size):
            yield self.seed, self.epoch, k

    def __len__(self):
        return self.num_samples

    def set_epoch(self, epoch):
        """Set the epoch, counted from 0; mmengine's ``DistSamplerSeedHook`` calls this."""
        self.epoch = epoch


def is_usable(visible):
    """Whether a video of visibility bool (N,) is long enough, and visible enough, for training."""
    return len(visible) >= MIN_FRAMES and np.count_nonzero(visible) >= MIN_VISIBLE


def sample_causal(rng, visible, max_interval=200):
    """Sample a template and a later search frame that show the target: OSTrack's 'causal' mode.

    The template is uniform over the visible frames before the last frame of the video, the search
    frame uniform over the visible ones among the ``max_interval - 1`` frames that follow it. Where
    none of these is visible, both are sampled again from an interval of 5 frames more. ``visible``,
    bool (N,), must be True for two or more frames.
    """
    shown = np.flatnonzero(visible)
    if len(shown) < 2:
        raise ValueError(f'a pair needs two visible frames, got {len(shown)}')
    templates = np.searchsorted(shown, len(visible) - 1)
    while True:
        first = rng.integers(templates)
        end = np.searchsorted(shown, shown[first] + max_interval)
        if end > first + 1:
            return int(shown[first]), int(shown[rng.integers(first + 1, end)])
        max_interval += 5


def _read(sequence, template, search):
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


def _cumulative(ratios, count):
    """Upper ends of the shares of [0, 1) that belong to each of ``count`` data sets."""
    ratios = np.ones(count) if ratios is None else np.asarray(ratios, dtype=np.float64)
    if not 0 < count == len(ratios):
        counts = f'{count} data sets and {len(ratios)} ratios'
        raise ArgumentError(f'TrackPairs needs a ratio for each data set, got {counts}')
    if not (ratios >= 0).all() or not 0 < ratios.sum() < np.inf:
        raise ArgumentError(f'ratios must be >= 0 and not all 0, got {ratios.tolist()}')
    bounds = np.cumsum(ratios)
    return bounds / bounds[-1]
