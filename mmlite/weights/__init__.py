"""Weights of other code bases, converted to the keys of mmlite, and publishing of trained ones."""

from .converters import convert
from .files import SUFFIXES, check_destination, save, summary
from .layouts import SOURCES

__all__ = ['SOURCES', 'SUFFIXES', 'check_destination', 'convert', 'save', 'summary']
