"""Files that come with the suite beside its Python code."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def suite_path(*parts):
    """Absolute path of a file or directory of the suite, e.g. ``suite_path('configs', 'det')``.

    It lies in the checkout or, where mmlite was installed without one, in the package's ``.mim``.
    It need not exist.
    """
    checkout = PACKAGE.parent
    is_checkout = (checkout / 'configs').is_dir() and (checkout / 'tools' / 'train.py').is_file()
    return (checkout if is_checkout else PACKAGE / '.mim').joinpath(*parts)
