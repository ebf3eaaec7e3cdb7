"""HTML reports of trainings."""

from .training import prediction_figures, write_report

__all__ = ['prediction_figures', 'write_report']
