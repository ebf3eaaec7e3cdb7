"""Base class of one-stream trackers: template and search region in one sequence, then a head."""

from mmengine.model import BaseModel

from mmlite.errors import ArgumentError
from mmlite.registry import MODELS
from mmlite.utils.names import check_known

from .targets import hann_window

COORDS = ('ostrack', 'exact')
SETTINGS = ('template_size', 'search_size', 'template_factor', 'search_factor', 'coords')
"""Attributes of a tracker that tell how its crops are cut."""


class OneStreamTracker(BaseModel):
    """Base of :class:`~.ostrack.OSTrack` and :class:`~.hiera_ostrack.HieraOSTrack`.

    A subclass defines ``embed_template(images)`` and ``embed_search(images)``, normalized templates
    (B, 3, T, T) and search regions (B, 3, S, S) to tokens, independently, and ``relate(template,
    search)``, both tokens to the map (B, C, F, F) of the search region.

    Args:
        backbone (dict): Config of the backbone.
        head (dict): Config of the head, see :class:`~.center_head.CenterHead`.
        template_size (int): Side of template crops in pixels. Defaults to 128.
        search_size (int): Side of search crops in pixels. Defaults to 256.
        template_factor (float): Side of the region of a template crop, in units of sqrt(w * h) of
            the target. Defaults to 2.
        search_factor (float): The same of a search crop. Defaults to 4.
        coords (str): Mapping between crop and image: ``'ostrack'`` as in the release, whose labels
            and predictions are half a crop pixel apart, or ``'exact'``. Training and tracking must
            use the same. Defaults to ``'ostrack'``.
        data_preprocessor, init_cfg: As in :class:`mmengine.model.BaseModel`.
    """

    stride = size_unit = 16  # sides of crops are multiples of size_unit pixels

    def __init__(
        self, backbone, head, template_size=128, search_size=256, template_factor=2.0,
        search_factor=4.0, coords='ostrack', data_preprocessor=None, init_cfg=None,
    ):  # fmt: skip
        super().__init__(data_preprocessor, init_cfg)
        check_known('coords', coords, COORDS)
        self.template_size, self.search_size = template_size, search_size
        self.template_factor, self.search_factor = template_factor, search_factor
        self.coords = coords
        for name in ('template_size', 'search_size'):
            size = getattr(self, name)
            if size % self.size_unit:
                raise ArgumentError(f'{name} {size} must be a multiple of {self.size_unit} pixels')
        self.backbone = MODELS.build(backbone)
        self.head = MODELS.build(head)
        self.register_buffer('window', hann_window(search_size // self.stride), persistent=False)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        """Relate normalized ``template`` (B, 3, T, T) and ``search`` (B, 3, S, S) of ``inputs``.

        Mode ``'loss'`` returns the head's losses for ``box`` (B, 4) of ``data_samples``: x, y, w, h
        as fractions of the search region's side. Mode ``'tensor'`` returns the head's maps,
        ``feat`` (B, C, F, F) and ``pred_boxes`` (B, 1, 4), cx, cy, w, h, decoded without a window.
        """
        if mode not in ('tensor', 'loss'):
            raise ArgumentError(
                f"mode '{mode}' is unknown: use 'tensor' or 'loss', or OnlineTracker to track"
            )
        for name in ('template', 'search'):
            side, given = getattr(self, f'{name}_size'), tuple(inputs[name].shape[-2:])
            if given != (side, side):
                raise ArgumentError(f'{name} images must have {side}x{side} pixels, got {given}')
        template = self.embed_template(inputs['template'])
        feat = self.relate(template, self.embed_search(inputs['search']))
        maps = self.head(feat)
        if mode == 'loss':
            return self.head.loss(maps, data_samples['box'])
        boxes = self.head.decode(maps)[:, None, :4]
        return dict(maps, feat=feat, pred_boxes=boxes)

    def locate(self, template, search):
        """Find the targets in search regions (B, 3, S, S), with a Hann window over the scores.

        ``template`` holds tokens of :meth:`embed_template`. Returns (B, 6) float32: cx, cy, w, h as
        fractions of the search region's side, the score of the chosen cell in 0..1, and the same
        times the window.
        """
        maps = self.head(self.relate(template, self.embed_search(search)))
        return self.head.decode(maps, self.window)
