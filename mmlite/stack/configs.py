"""Lets configs inherit from those of the suite: ``_base_ = 'mmlite::det/...'``.

A config with imports that it does not use is no lazy config, as those of RepLKNet in mmpretrain 1.2
are taken for: ``The configuration file type in the inheritance chain must match``.
"""

import ast
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
        if not stock_is_lazy(filename):
            return False
        tree = ast.parse(Path(filename).read_text(encoding='utf-8'))
        tree.body = [node for node in tree.body if not isinstance(node, ast.If)]  # __main__
        nodes = list(ast.walk(tree))
        used = {node.id for node in nodes if isinstance(node, ast.Name)}
        names = [name for node in nodes if isinstance(node, ast.ImportFrom) for name in node.names]
        return any(name.name == '*' or (name.asname or name.name) in used for name in names)

    Config._get_cfg_path = staticmethod(get_cfg_path)
    Config._is_lazy_import = staticmethod(is_lazy_import)
