"""Start of each Python below ``mmlite run``: mmlite is imported as soon as mmengine is."""

import importlib
import runpy
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parents[2]))  # of mmlite, where it is not installed

finder = runpy.run_path(str(HERE.parent / 'finder.py'))
calls = {'mmengine': lambda module: importlib.import_module('mmlite')}
sys.meta_path.insert(0, finder['AfterImport'](calls))

# the environment's own, which this file hides
own = PathFinder.find_spec('sitecustomize', [p for p in sys.path if Path(p).resolve() != HERE])
if own:
    own.loader.exec_module(module_from_spec(own))
