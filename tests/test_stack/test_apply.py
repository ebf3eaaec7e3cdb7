"""What ``import mmlite`` changes, says and demands; partly in fresh interpreters."""

import pkgutil
import subprocess
import sys
from contextlib import nullcontext
from importlib import metadata, reload
from importlib.machinery import PathFinder
from types import SimpleNamespace

import mmdet
import mmseg
import pytest
from mmcv.cnn.bricks import transformer
from mmcv.ops import MultiScaleDeformableAttention
from mmcv.utils.ext_loader import check_ops_exist
from mmengine.utils import get_installed_path, is_installed
from mmengine.utils.dl_utils import mmcv_full_available

from mmlite import stack
from mmlite.errors import UserError
from mmlite.stack import finder, versions


def test_import_after_mmcv(monkeypatch):
    """Without operators, the first import of mmcv.cnn leaves it without one layer."""
    monkeypatch.delattr(transformer, 'MultiScaleDeformableAttention')
    stack._repair_early_mmcv()
    assert transformer.MultiScaleDeformableAttention is MultiScaleDeformableAttention


def test_import_is_light_and_leaves_a_compiled_mmcv_alone(tmp_path):
    (tmp_path / '_ext.py').write_text('def __getattr__(name): return lambda *args: name')
    program = f"""
import mmcv, sys
mmcv.__path__.append({str(tmp_path)!r})
import mmlite
print([name for name in ('mmcv.ops', 'mmdet', 'mmseg', 'mmpretrain') if name in sys.modules])
import mmcv.ops, mmcv._ext
print(mmcv._ext.__file__, mmcv._ext.nms())
print(any('mmcv.ops' in change for change in mmlite.stack.changes()))
"""
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert done.stdout.split() == ['[]', str(tmp_path / '_ext.py'), 'nms', 'False'], done.stderr


def test_loaded_compiled_mmcv_is_not_a_stand_in(monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmcv._ext', type(sys)('mmcv._ext'))
    assert not finder.stands_in('mmcv._ext')


def test_pkg_resources(monkeypatch):
    """In an environment whose setuptools has no pkg_resources."""
    find_spec = PathFinder.find_spec
    monkeypatch.setattr(
        PathFinder, 'find_spec', lambda n, *a: None if n == 'pkg_resources' else find_spec(n, *a)
    )
    monkeypatch.setitem(sys.modules, 'pkg_resources', None)  # restored when the test ends
    del sys.modules['pkg_resources']
    assert finder.stands_in('pkg_resources')
    assert is_installed('mmdet') and not is_installed('no-such-distribution')
    assert get_installed_path('mmdet') == mmdet.__path__[0]
    assert get_installed_path('mmsegmentation') == mmseg.__path__[0]
    stand_in = reload(sys.modules['pkg_resources'])
    assert stand_in.get_distribution('mmdet').version == metadata.version('mmdet')
    with pytest.raises(AttributeError, match='resource_filename .*setuptools<82'):
        stand_in.resource_filename  # noqa: B018


def test_pkgutil_of_python_3_14(monkeypatch):
    """mmengine and mmcv look mmcv._ext up by a function that Python 3.14 has not."""
    monkeypatch.delattr(pkgutil, 'find_loader', raising=False)
    finder.install()
    assert mmcv_full_available() and check_ops_exist()
    assert pkgutil.find_loader('mmlite.no_such_module') is None


def test_changes_are_made_once():
    before = list(sys.meta_path), stack.changes()
    stack.apply()
    assert (sys.meta_path, stack.changes()) == before
    assert 'weights_only=True' in stack.changes()[-1]


def test_missing_package(monkeypatch):
    find_spec = versions.find_spec
    missing = ('mmseg', 'timm')
    monkeypatch.setattr(versions, 'find_spec', lambda m: None if m in missing else find_spec(m))
    with pytest.raises(UserError, match='needs timm, mmsegmentation, .*pip install') as caught:
        versions.check()
    assert isinstance(caught.value, ImportError) and '\n' not in str(caught.value)


@pytest.mark.parametrize('version, works', [('2.0.0', True), ('2.2.0', False), ('1.7.1', False)])
def test_version_of_mmcv(monkeypatch, version, works):
    mmcv = SimpleNamespace(version=version)
    monkeypatch.setattr(metadata, 'distributions', lambda name: [mmcv])
    message = f'mmcv {version} is installed, .*mmcv-lite==2.1.0'
    with nullcontext() if works else pytest.raises(UserError, match=message):
        versions.check()
