"""Stand-in modules, found by Python's import system only where the real module is missing."""

import pkgutil
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder
from importlib.util import find_spec, spec_from_file_location
from pathlib import Path

STAND_INS = {
    'mmcv._ext': Path(__file__).with_name('mmcv_ext.py'),
    'pkg_resources': Path(__file__).with_name('pkg_resources.py'),
}


class StandInFinder(MetaPathFinder):
    """Finds the stand-ins. It is asked last, so an installed module of that name always wins.

    A stand-in is an ordinary source file run under the missing module's name: it has a spec and a
    loader, so ``importlib.reload`` and the look-ups of mmengine and mmcv work on it.
    """

    def find_spec(self, fullname, path=None, target=None):
        """The spec of a stand-in, None for any other module."""
        if fullname not in STAND_INS:
            return None
        return spec_from_file_location(fullname, STAND_INS[fullname])


def install():
    """Make the stand-ins importable. Calling it again changes nothing."""
    if not any(isinstance(finder, StandInFinder) for finder in sys.meta_path):
        sys.meta_path.append(StandInFinder())
    if not hasattr(pkgutil, 'find_loader'):  # gone in Python 3.14, called by mmengine and mmcv
        pkgutil.find_loader = _find_loader


def stands_in(module):
    """Whether ``import module`` gives the stand-in here, found out without importing anything."""
    if module in sys.modules:
        return getattr(sys.modules[module], '__file__', None) == str(STAND_INS[module])
    parent = module.rpartition('.')[0]
    locations = find_spec(parent).submodule_search_locations if parent else None
    return PathFinder.find_spec(module, locations) is None


def _find_loader(fullname):
    spec = find_spec(fullname)
    return spec and spec.loader
