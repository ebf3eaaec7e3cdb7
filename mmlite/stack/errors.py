"""Errors of the installation rather than of the code."""

from ..errors import UserError

# Without --no-build-isolation the build does not see torch and leaves the operators out.
BUILD_FULL_MMCV = (
    'pip uninstall -y mmcv-lite && pip install "setuptools<82" wheel ninja && '
    'pip install --no-build-isolation mmcv==2.1.0'
)


class StackError(UserError, ImportError):
    """A package that mmlite requires is missing or of a version that cannot work."""

    exit_code = 1


class OperatorError(UserError, NotImplementedError):
    """An operator of ``mmcv.ops`` was called that only a compiled mmcv has."""

    exit_code = 1
