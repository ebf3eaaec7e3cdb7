"""Definitions of the tracking metrics: a default one, and those of other toolkits.

The same boxes get an AUC that differs by up to four points between toolkits, so a number is quoted
with the name of its protocol. The default is the official one of LaSOT (Fan et al., CVPR 2019), as
OSTrack, STARK and pytracking compute it on that data set.
"""

from dataclasses import dataclass, replace

from mmlite.errors import ArgumentError

CENTRES = ('precision', 'norm_precision')
"""Curves of the centre error."""


@dataclass(frozen=True)
class Protocol:
    """How frames are counted and curves are reduced to numbers.

    An annotation is *unannotated* where its box is NaN or has no area, and *hidden* where the data
    set says that the target is not visible. Such a frame is never a success.

    Args:
        name (str): Printed with the numbers.
        corner_inside (bool): Boxes count as annotated only with x > 0 and y > 0.
        hidden_hits (tuple[str]): The ``CENTRES`` in which a hidden frame is a hit at every
            threshold; in others it is a miss.
        unannotated_hits (tuple[str]): The same for visible frames without a box.
        skip_hidden (bool): Hidden frames are not counted.
        by_cover (bool): Hidden means cover 0 where the data set has cover labels.
        skip_first (bool): The first frame is not counted; else it counts as found.
        repair (bool): A prediction without area or with NaN is replaced by the one before.
        bounded (bool): Boxes are limited to the image, as GOT-10k's toolkit does.
        whole_pixels (bool): All boxes are rounded to integers.
        strict (bool): A success has IoU > threshold rather than >=.
        overlaps (tuple[float]): IoU thresholds of the success curve, ascending.
        pixels (tuple[float]): Thresholds in pixels of the precision curve.
        shares (tuple[float]): Thresholds of the normalised one, as a share of the box.
        area (bool): AUC, P and P_norm are trapezoidal areas under their curves rather than the
            mean of the success curve and the values at 20 px and 0.2.
        pooled (bool): Mean over all frames rather than over sequences.
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
    overlaps: tuple = tuple(i / 20 for i in range(21))
    pixels: tuple = tuple(float(i) for i in range(51))
    shares: tuple = tuple(i / 100 for i in range(51))
    area: bool = False
    pooled: bool = False
    columns: tuple = ('AUC', 'P', 'P_norm', 'OP50', 'OP75')


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
    """Find a protocol by name, or the default one of a data set.

    Args:
        name (str | Protocol, optional): One of :data:`PROTOCOLS`. Defaults to ``usual`` if that is
            in :data:`OWN_MEASURE`, else to ``'lasot'``.
        usual (str, optional): ``metainfo['protocol']`` of a data set.

    Raises:
        ArgumentError: There is no protocol of that name.
    """
    if isinstance(name, Protocol):
        return name
    name = name or (usual if usual in OWN_MEASURE else LASOT.name)
    if name not in PROTOCOLS:
        raise ArgumentError(f'no evaluation protocol {name!r}; there are {", ".join(PROTOCOLS)}')
    return PROTOCOLS[name]


def usage_note(protocol, usual):
    """Note for comparisons with papers, which use protocol ``usual``; None if that is the same."""
    if usual in PROTOCOLS and usual != protocol.name:
        return f'papers score this data set by protocol {usual!r}, these numbers are by another'
    return None
