"""Definitions of the tracking metrics: a default one, and those of other toolkits.

The same boxes get an AUC that differs by up to four points between toolkits. The default is the
official one of LaSOT (Fan et al., CVPR 2019), as OSTrack, STARK and pytracking compute it there.
"""

from dataclasses import dataclass, replace

from mmlite.utils.names import check_known

CENTRES = ('precision', 'norm_precision')
"""Curves of the centre error."""


@dataclass(frozen=True)
class Protocol:
    """How frames are counted and curves are reduced to numbers.

    A frame is *unannotated* where its box is NaN or has no area, and *hidden* where the data set
    says that the target is not visible. Such a frame is never a success.
    """

    name: str
    corner_inside: bool = False  # boxes count as annotated only with x > 0 and y > 0
    # CENTRES in which hidden, or visible unannotated, frames are hits at every threshold; in others
    # they are misses
    hidden_hits: tuple = ()
    unannotated_hits: tuple = ()
    skip_hidden: bool = False  # hidden frames are not counted
    by_cover: bool = False  # hidden means cover 0 where the data set has cover labels
    skip_first: bool = False  # the first frame is not counted; else it counts as found
    repair: bool = True  # predictions without area or with NaN are replaced by the one before
    bounded: bool = False  # boxes are limited to the image, as by GOT-10k's toolkit
    whole_pixels: bool = False  # all boxes are rounded to integers
    strict: bool = True  # a success has IoU > threshold rather than >=
    overlaps: tuple = tuple(i / 20 for i in range(21))  # IoU thresholds, ascending
    pixels: tuple = tuple(float(i) for i in range(51))  # thresholds of the centre error
    shares: tuple = tuple(i / 100 for i in range(51))  # the same as a share of the box
    # AUC, P and P_norm are trapezoidal areas under their curves rather than the mean of the success
    # curve and the values at 20 px and 0.2
    area: bool = False
    pooled: bool = False  # mean over all frames rather than over sequences
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
    """Find a protocol by name; None is ``usual`` if in :data:`OWN_MEASURE`, else ``'lasot'``."""
    name = name or (usual if usual in OWN_MEASURE else LASOT.name)
    check_known('protocol', name, PROTOCOLS)
    return PROTOCOLS[name]
