"""Lets configs inherit from those of the suite: ``_base_ = 'mmlite::det/...'``; and be scripts.

RepLKNet's in mmpretrain 1.2 is one, which mmengine 0.10 takes for a pure-Python config: ``The
configuration file type in the inheritance chain must match``.
"""

from pathlib import Path

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

    stock_is_lazy = Config._is_lazy_import

    def is_lazy_import(filename):
        return stock_is_lazy(filename) and '__main__' not in Path(filename).read_text('utf-8')

    Config._get_cfg_path = staticmethod(get_cfg_path)
    Config._is_lazy_import = staticmethod(is_lazy_import)
