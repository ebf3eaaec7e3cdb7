"""Runs the command-line tools inside the tests' own process."""

import runpy
from pathlib import Path

from mmengine.visualization import Visualizer

TOOLS = Path(__file__).resolve().parents[1] / 'tools'


def run_tool(name, *args):
    """Run a tool; returns its exit code.

    Args:
        name (str): Its path below ``tools/`` without the suffix, e.g. ``'train'``.
        *args: Of the command line; paths and numbers are written as text.
    """
    for kind in (Visualizer, *Visualizer.__subclasses__()):
        kind._instance_dict.clear()  # else a run would log into the folder of the one before
    return runpy.run_path(str(TOOLS / f'{name}.py'))['main']([str(arg) for arg in args])
