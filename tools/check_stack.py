"""Print the installed packages, and the command that fixes what is wrong.

One table: packages (required and found), the source of the operators of ``mmcv.ops``, the GPU. The
exit code is 0 if all is right, else 1. It runs with any package missing.
"""

import platform
import sys
import textwrap
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PYTHON = (3, 10)
MMCV = 'mmcv>=2.0.0rc4,<2.2.0'


class Row(NamedTuple):
    """A line of the table; ``install`` names what pip should install if it is not ``ok``."""

    name: str
    required: str = ''
    found: str = ''
    state: str = 'ok'
    ok: bool = True
    install: tuple = ()


def brief(error):
    return textwrap.shorten(f'{type(error).__name__}: {error}', 90)


def installed(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def requirement_lines():
    text = (ROOT / 'requirements.txt').read_text()
    return list(filter(None, (line.partition('#')[0].strip() for line in text.splitlines())))


def package_rows():
    try:
        from packaging.requirements import Requirement
    except ImportError:
        everything = ('-r', 'requirements.txt')
        return [Row('packaging', state='missing', ok=False, install=everything)]
    return [package_row(line, Requirement(line)) for line in requirement_lines()]


def package_row(line, requirement):
    """A required package. A compiled mmcv takes the place of mmcv-lite."""
    if requirement.name == 'mmcv-lite' and installed('mmcv'):
        return package_row(MMCV, type(requirement)(MMCV))
    found = installed(requirement.name)
    required = line.removeprefix(requirement.name)
    if found and requirement.specifier.contains(found, prereleases=True):
        return Row(requirement.name, required, found)
    state = 'wrong version' if found else 'missing'
    return Row(requirement.name, required, found or '', state, ok=False, install=(line,))


def stack_rows():
    """Whether ``import mmlite`` works, its changes, and the operators."""
    sys.path.insert(0, str(ROOT))
    try:
        import mmlite
    except Exception as error:  # whatever is wrong, the table shows it
        return [Row('import mmlite', found=brief(error), state='fails', ok=False)]
    changes = [Row('mmlite.stack', found=change) for change in mmlite.stack.changes()]
    return [Row('mmlite', found=mmlite.__version__), *changes, *operator_rows()]


def operator_rows():
    """Call two operators of mmcv, and count those that are not provided."""
    try:
        import torch
        from mmcv import _ext, ops

        ops.nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.ones(1), 0.5)
        ops.RoIAlign(1)(torch.ones(1, 1, 2, 2), torch.tensor([[0.0, 0.0, 0.0, 1.0, 1.0]]))
    except Exception as error:  # such as a torchvision or mmcv built for another torch
        pair = [line for line in requirement_lines() if line.startswith('torch')]
        again = ('--force-reinstall', *pair)
        return [Row('mmcv.ops', found=brief(error), state='fails', ok=False, install=again)]
    missing = getattr(_ext, 'NOT_PROVIDED', None)
    if missing is None:
        return [Row('mmcv.ops', found='compiled mmcv')]
    from mmlite.stack.ops import FUNCTIONS, KERNELS

    return [
        Row(f'mmcv.ops: {len(FUNCTIONS) + len(KERNELS)} operators', found='torch and torchvision'),
        Row(f'mmcv.ops: {len(missing)} other kernels', found='none', state='raise if called'),
    ]


def gpu_row():
    try:
        import torch
    except ImportError:
        return Row('GPU', found='unknown without torch')
    if not torch.cuda.is_available():
        return Row('GPU', found=f'none (torch built for CUDA {torch.version.cuda})')
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return Row('GPU', found=f'{", ".join(names)} (CUDA {torch.version.cuda})')


def render(rows):
    """The rows as a table, also where rich is missing."""
    header, cells = ('package', 'required', 'found', 'state'), [row[:4] for row in rows]
    try:
        from mmlite.utils import render_table
    except Exception:  # mmlite cannot be imported: that is in the table
        return '\n'.join('  '.join(filter(None, line)) for line in [header, *cells])
    return render_table(header, cells, left=4)


def advice(rows):
    """The commands that fix what is wrong, and the one that builds the other operators."""
    install = [f'"{name}"' for row in rows for name in row.install]
    if install:
        yield f'To fix it: pip install {" ".join(install)}'
    if any(row.state == 'raise if called' for row in rows):
        from mmlite.stack.versions import BUILD_FULL_MMCV

        yield f'Only if a model needs the other kernels: {BUILD_FULL_MMCV}'


def main():
    """Print the table and the advice; return the exit code."""
    right = sys.version_info >= PYTHON
    python = Row(
        'python', f'>={PYTHON[0]}.{PYTHON[1]}', platform.python_version(),
        'ok' if right else 'too old', right,
    )  # fmt: skip
    rows = [python, *package_rows(), *stack_rows(), gpu_row()]
    print(render(rows))
    for line in advice(rows):
        print(line)
    wrong = [row.name for row in rows if not row.ok]
    print(f'Wrong: {", ".join(wrong)}.' if wrong else 'All is right.')
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
