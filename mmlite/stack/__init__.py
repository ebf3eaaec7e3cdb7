"""Compatibility of the frozen OpenMMLab wheels with today's torch.

``import mmlite`` calls :func:`apply`: where they are missing, :mod:`.mmcv_ext` stands in for the
compiled half of ``mmcv.ops``, :mod:`.pkg_resources` for that of setuptools and :mod:`.panopticapi`
for COCO's; mmengine reads checkpoints as data (:mod:`.checkpoints`); configs inherit from those of
the suite by ``_base_ = 'mmlite::...'`` (:mod:`.configs`); and :mod:`.mends` of the wheels are made.
"""

import sys

from . import finder, versions

versions.check()  # one sentence here rather than a traceback from the imports below

from . import checkpoints, configs, mends  # noqa: E402
from .checkpoints import load  # noqa: E402

__all__ = ['apply', 'changes', 'load']

_changes = []


def apply():
    """Make the changes, once."""
    if _changes:
        return
    finder.install()
    checkpoints.install()
    configs.install()
    mends.install()
    _changes.append('mmcv, mmdet, mmpretrain: hues, names of NumPy 1, SSD, a message')
    if finder.stands_in('mmcv._ext'):
        _repair_early_mmcv()
        _changes.append('mmcv.ops: operators in torch and torchvision')
    if finder.stands_in('pkg_resources'):
        _changes.append('pkg_resources: stand-in for mmengine')
    if finder.stands_in('panopticapi'):
        _changes.append('panopticapi: stand-in for panoptic segmentation')
    _changes.append('mmengine checkpoints: read with weights_only=True')


def changes():
    """Changes that :func:`apply` made in this process, a short sentence each."""
    return tuple(_changes)


def _repair_early_mmcv():
    """Give ``mmcv.cnn`` the layer that it lacks if it was imported before mmlite."""
    transformer = sys.modules.get('mmcv.cnn.bricks.transformer')
    if transformer and not hasattr(transformer, 'MultiScaleDeformableAttention'):
        from mmcv.ops import MultiScaleDeformableAttention

        transformer.MultiScaleDeformableAttention = MultiScaleDeformableAttention
