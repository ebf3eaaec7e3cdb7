"""Lets configs inherit from those of the suite: ``_base_ = 'mmlite::det/...'``."""

from mmengine.config import Config

from ..utils.paths import suite_path

PREFIX = 'mmlite::'


def install():
    """Teach mmengine, whose list of packages is closed, where the configs of the suite are."""
    stock = Config._get_cfg_path

    def get_cfg_path(cfg_path, filename):
        if cfg_path.startswith(PREFIX):  # no scope: they are read as if they lay beside the file
            return str(suite_path('configs', cfg_path.removeprefix(PREFIX))), None
        return stock(cfg_path, filename)

    Config._get_cfg_path = staticmethod(get_cfg_path)
