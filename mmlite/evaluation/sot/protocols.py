"""How frames are counted: one definition by default, and the toolkits' own for comparison.

The same boxes get an AUC that differs by up to four points between toolkits, so a number goes with
the name of its protocol. The default is the official one of LaSOT (Fan et al., CVPR 2019), as
OSTrack, STARK and pytracking compute it on that data set.
"""

from dataclasses import dataclass, replace

from mmlite.errors import ArgumentError

OVERLAP_21 = tuple(i / 20 for i in range(21))
PIXELS_51 = tuple(float(i) for i in range(51))
SHARES_51 = tuple(i / 100 for i in range(51))

CENTRES = ('precision', 'norm_precision')


@dataclass(frozen=True)
class Protocol:
    """What a frame counts as, and what a curve is worth.

    An annotation is *unannotated* where its box is NaN or has no area, and *hidden* where the data
    set says that the target is not to be seen. Such a frame is never a success.

    Args:
        name (str): Stands beside the numbers.
        corner_inside (bool): Boxes count as annotated only with x > 0 and y > 0. Defaults to False.
        hidden_hits (tuple[str]): Curves in which a hidden frame counts as a hit at every threshold,
            of ``'precision'`` and ``'norm_precision'``; in others it is a miss. Defaults to none.
        unannotated_hits (tuple[str]): The same for visible frames without a box.
        skip_hidden (bool): Hidden frames are not counted at all. Defaults to False.
        by_cover (bool): Hidden means cover 0 where the data set has cover labels. Defaults to
            False: its visibility.
        skip_first (bool): The first frame is not counted. Defaults to False: it counts as found,
            its prediction replaced by the annotation.
        repair (bool): A prediction without area or with NaN is replaced by that of the frame
            before. Defaults to True.
        bounded (bool): Limit boxes to the picture, as GOT-10k's toolkit does. Defaults to False.
        whole_pixels (bool): Round all boxes to whole pixels. Defaults to False.
        strict (bool): A success has IoU > threshold rather than >=. Defaults to True.
        overlaps (tuple[float]): IoU thresholds T of the success curve, ascending.
        pixels (tuple[float]): Centre errors in pixels of the precision curve.
        shares (tuple[float]): Centre errors as a share of the box of the normalised one.
        area (bool): AUC, P and P_norm are trapezoidal areas under their curves rather than the
            mean of the success curve and the values at 20 px and 0.2. Defaults to False.
        pooled (bool): Mean over all frames rather than over sequences. Defaults to False.
        drop_zero (bool): Sequences with a curve of zeros do not enter its mean. Defaults to False.
        columns (tuple[str]): Names of the numbers, best known first.
    """

    name: str
    corner_inside: bool = False
    hidden_hits: tuple = ()
    unannotated_hits: tuple = ()
    skip_hidden: bool = False
    by_cover: bool = False
    skip_first: bool = False
    repair: bool = True
    bounded: bool = False
    whole_pixels: bool = False
    strict: bool = True
    overlaps: tuple = OVERLAP_21
    pixels: tuple = PIXELS_51
    shares: tuple = SHARES_51
    area: bool = False
    pooled: bool = False
    drop_zero: bool = False
    columns: tuple = ('AUC', 'P', 'P_norm', 'OP50', 'OP75')

    def __post_init__(self):
        for key in ('hidden_hits', 'unannotated_hits'):
            if not set(getattr(self, key)) <= set(CENTRES):
                raise ArgumentError(f'{key} is {getattr(self, key)}; give some of {CENTRES}')
        needed = {'overlaps': (0.5, 0.75)}
        if not self.area:
            needed.update(pixels=(20.0,), shares=(0.2,))
        for key, values in needed.items():
            if not set(values) <= set(getattr(self, key)):
                raise ArgumentError(
                    f'{key} of protocol {self.name} should have {values} among them'
                )


LASOT = Protocol('lasot')

PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        LASOT,
        # pytracking's scorer on every data set but LaSOT and UAV123
        replace(
            LASOT, name='pytracking', corner_inside=True,
            hidden_hits=('norm_precision',), unannotated_hits=('norm_precision',),
        ),
        # the same scorers (pytracking, OSTrack) on UAV123, whose absent targets are NaN
        replace(LASOT, name='uav', hidden_hits=CENTRES, unannotated_hits=CENTRES),
        # LaSOT's MATLAB toolkit
        replace(
            LASOT, name='matlab', corner_inside=True, unannotated_hits=CENTRES, drop_zero=True,
        ),
        # OTB's MATLAB toolkit, from which LaSOT's is made; it knows no visibility
        replace(
            LASOT, name='otb', corner_inside=True, hidden_hits=CENTRES, unannotated_hits=CENTRES,
            drop_zero=True,
        ),
        # GOT-10k's toolkit on its val split: average overlap and success rates of all frames
        Protocol(
            'got10k', skip_hidden=True, by_cover=True, skip_first=True, repair=False, bounded=True,
            overlaps=tuple(i / 100 for i in range(101)), pooled=True,
            columns=('AO', 'SR50', 'SR75'),
        ),
        # like TrackingNet's server, for videos whose annotation one has
        Protocol(
            'trackingnet', whole_pixels=True, strict=False, area=True,
            pixels=tuple(2.5 * i for i in range(21)), shares=tuple(i / 40 for i in range(21)),
        ),
    )
}  # fmt: skip
"""Name -> protocol."""

OWN_MEASURE = ('got10k', 'trackingnet')
"""Protocols of data sets on which LaSOT's numbers mean nothing."""


def find_protocol(name=None, usual=None):
    """The protocol of a name, or the default one of a data set.

    Args:
        name (str | Protocol, optional): One of :data:`PROTOCOLS`. Defaults to ``usual`` if that is
            in :data:`OWN_MEASURE`, else to ``'lasot'``.
        usual (str, optional): ``metainfo['protocol']`` of a data set.

    Raises:
        ArgumentError: If there is no protocol of that name.
    """
    if isinstance(name, Protocol):
        return name
    name = name or (usual if usual in OWN_MEASURE else LASOT.name)
    if name not in PROTOCOLS:
        raise ArgumentError(f'no evaluation protocol {name!r}; there are {", ".join(PROTOCOLS)}')
    return PROTOCOLS[name]


def usage_note(protocol, usual):
    """A sentence for readers who compare numbers with the literature, or None.

    Args:
        protocol (Protocol): What was used.
        usual (str | None): ``metainfo['protocol']``, what papers use on that data set.
    """
    if usual in PROTOCOLS and usual != protocol.name:
        return f'papers score this data set by protocol {usual!r}, these numbers are by another'
    return None
