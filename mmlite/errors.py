"""Errors that a user can fix: the tools show one sentence, never a traceback."""


class UserError(Exception):
    """Something the user gave is wrong: a config, a path, a key or a value.

    The message is one sentence that names the file, key or value and says what would be right.
    ``exit_code`` is what the command-line tools exit with.
    """

    exit_code = 2


class ArgumentError(UserError, ValueError):
    """An argument of a model or another part has a wrong value, in a config or in Python."""


class DataError(UserError):
    """A data set, annotation or image file is missing, unreadable or contradicts itself."""

    exit_code = 1


class CheckpointError(UserError):
    """A checkpoint is missing, truncated, unsafe to read or of another model."""

    exit_code = 1


class CheckpointNotFoundError(CheckpointError, FileNotFoundError):
    """There is no such checkpoint file; a ``FileNotFoundError`` for callers of mmengine."""


class OutputError(UserError, OSError):
    """A file cannot be written: no space, no permission, or something else lies there."""

    exit_code = 1


class NonFiniteError(UserError):
    """Training met a NaN or an infinity and stopped before the optimizer changed a weight."""

    exit_code = 3


class Stopped(UserError):
    """A signal ended training after a step, and the state is saved: nothing is wrong.

    The exit code is that of BSD's ``EX_TEMPFAIL``: start the same command again with ``--resume``.
    """

    exit_code = 75


class StackError(UserError, ImportError):
    """A package that mmlite requires is missing or of a version that cannot work."""

    exit_code = 1


class OperatorError(UserError, NotImplementedError):
    """An operator of ``mmcv.ops`` was called that only a compiled mmcv has."""

    exit_code = 1
