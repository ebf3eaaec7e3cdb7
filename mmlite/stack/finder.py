"""Stand-ins for missing modules, and calls after the import of others."""

import pkgutil
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder
from importlib.util import find_spec, spec_from_file_location
from pathlib import Path

STAND_INS = {
    'mmcv._ext': Path(__file__).with_name('mmcv_ext.py'),
    'pkg_resources': Path(__file__).with_name('pkg_resources.py'),
    **dict.fromkeys(
        ('panopticapi', 'panopticapi.evaluation', 'panopticapi.utils'),
        Path(__file__).with_name('panopticapi.py'),
    ),
}
PACKAGES = {name.rpartition('.')[0] for name in STAND_INS} & STAND_INS.keys()


class StandInFinder(MetaPathFinder):
    """Finds the stand-ins; asked last, so that an installed module of that name always wins."""

    def find_spec(self, fullname, path=None, target=None):
        """Spec of a stand-in, an ordinary source file; None for any other module."""
        path = STAND_INS.get(fullname)
        within = [] if fullname in PACKAGES else None
        return path and spec_from_file_location(fullname, path, submodule_search_locations=within)


class AfterImport(MetaPathFinder):
    """Calls the functions of a table, module -> function, with a module once it is imported."""

    def __init__(self, calls):
        self.calls = calls

    def find_spec(self, fullname, path=None, target=None):
        """Spec that the other finders give, with the call added; None for any other module."""
        if fullname not in self.calls:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        specs = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next(filter(None, specs), None)
        if spec:
            execute = spec.loader.exec_module

            def exec_module(module):
                execute(module)
                self.calls[fullname](module)

            spec.loader.exec_module = exec_module
        return spec


def install():
    """Make the stand-ins importable. Calling it again changes nothing."""
    if not any(isinstance(finder, StandInFinder) for finder in sys.meta_path):
        sys.meta_path.append(StandInFinder())
    if not hasattr(pkgutil, 'find_loader'):  # gone in Python 3.14, called by mmengine and mmcv
        pkgutil.find_loader = lambda name: getattr(find_spec(name), 'loader', None)


def stands_in(module):
    """Whether ``import module`` gives the stand-in, without importing anything."""
    if module in sys.modules:
        return getattr(sys.modules[module], '__file__', None) == str(STAND_INS[module])
    parent = module.rpartition('.')[0]
    locations = find_spec(parent).submodule_search_locations if parent else None
    return PathFinder.find_spec(module, locations) is None
