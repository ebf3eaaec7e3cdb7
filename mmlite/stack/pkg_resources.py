"""The part of ``pkg_resources``, gone in setuptools 82, that mmengine 0.10.7 calls."""

from importlib import metadata


class DistributionNotFound(Exception):
    """No distribution of that name is installed."""


class Distribution:
    """An installed distribution: ``location`` (directory of its packages) and ``version``."""

    def __init__(self, distribution):
        self.location = str(distribution.locate_file(''))
        self.version = distribution.version
        self.get_metadata = distribution.read_text

    def has_metadata(self, name):
        """Whether a metadata file such as ``top_level.txt`` exists."""
        return self.get_metadata(name) is not None


def get_distribution(name):
    """The installed distribution of that name; raises :class:`DistributionNotFound`."""
    try:
        return Distribution(metadata.distribution(name))
    except metadata.PackageNotFoundError as error:
        raise DistributionNotFound(f'The {name!r} distribution was not found.') from error


def __getattr__(name):
    raise AttributeError(
        f'pkg_resources.{name} does not exist: setuptools >= 82 has no pkg_resources, and mmlite '
        'provides what mmengine calls only; "pip install setuptools<82" brings it back.'
    )
