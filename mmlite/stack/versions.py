"""A check of the packages below mmlite, before one of them fails in its own words."""

from importlib import metadata
from importlib.util import find_spec

from ..errors import StackError

PACKAGES = {
    name: name
    for name in ('torch', 'torchvision', 'timm', 'mmengine', 'mmdet', 'mmpretrain', 'ftfy', 'regex',
                 'safetensors', 'packaging')
} | {'mmcv': 'mmcv-lite', 'mmseg': 'mmsegmentation'}  # fmt: skip
"""Name of a module -> of its distribution."""
# Without --no-build-isolation the build does not see torch and leaves the operators out.
BUILD_FULL_MMCV = (
    'pip uninstall -y mmcv-lite && pip install "setuptools<82" wheel ninja && '
    'pip install --no-build-isolation mmcv==2.1.0'
)
MMCV_RANGE = '>=2.0.0rc4,<2.2.0'  # asserted by mmdet 3.3.0 and mmsegmentation 1.2.2


def check():
    """Raise a :class:`StackError` of one sentence if mmlite cannot work on this installation."""
    missing = [name for module, name in PACKAGES.items() if find_spec(module) is None]
    if missing:
        raise StackError(
            f'mmlite needs {", ".join(missing)}, which this environment lacks: run "pip install -r '
            'requirements.txt" in the directory of mmlite.'
        )
    from packaging.specifiers import SpecifierSet

    names = ('mmcv', 'mmcv-lite')  # neither for a source tree on the path
    found = [mmcv.version for name in names for mmcv in metadata.distributions(name=name)]
    if found and not SpecifierSet(MMCV_RANGE).contains(found[0], prereleases=True):
        raise StackError(
            f'mmcv {found[0]} is installed, but mmdet and mmsegmentation work with mmcv '
            f'{MMCV_RANGE} only: run "pip install mmcv-lite==2.1.0".'
        )
