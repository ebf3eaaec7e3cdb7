"""Reports of trainings as HTML pages."""

from .training import write_report

__all__ = ['write_report']
