"""A check of the packages below mmlite, before one of them fails in its own words."""

from importlib import metadata
from importlib.util import find_spec

from .errors import StackError

PACKAGES = {
    name: name
    for name in ('torch', 'torchvision', 'timm', 'mmengine', 'mmdet', 'mmpretrain', 'ftfy', 'regex',
                 'safetensors', 'packaging')
} | {'mmcv': 'mmcv-lite', 'mmseg': 'mmsegmentation'}  # fmt: skip
"""Name of a module -> of its distribution."""
MMCV_RANGE = '>=2.0.0rc4,<2.2.0'  # asserted by mmdet 3.3.0 and mmsegmentation 1.2.2


def mmcv_version():
    """Version of the installed mmcv or mmcv-lite, None for a source tree on the path."""
    for distribution in ('mmcv', 'mmcv-lite'):
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return None


def check():
    """Raise a :class:`StackError` of one sentence if mmlite cannot work on this installation."""
    missing = [name for module, name in PACKAGES.items() if find_spec(module) is None]
    if missing:
        raise StackError(
            f'mmlite needs {", ".join(missing)}, which this environment lacks: run "pip install -r '
            'requirements.txt" in the directory of mmlite.'
        )
    from packaging.specifiers import SpecifierSet

    version = mmcv_version()
    if version and not SpecifierSet(MMCV_RANGE).contains(version, prereleases=True):
        raise StackError(
            f'mmcv {version} is installed, but mmdet and mmsegmentation work with mmcv '
            f'{MMCV_RANGE} only: run "pip install mmcv-lite==2.1.0".'
        )
