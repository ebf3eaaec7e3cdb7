"""Chores that every part shares: files, tables, progress, figures, names. Imports only errors."""

from .files import append_csv, atomic_write, sha256, write_bytes, write_csv, write_json, write_text
from .images import IMAGE_SUFFIXES, data_uri, encode_jpeg, encode_png, figure_png, image_grid
from .names import near_names
from .progress import Progress
from .tables import render_table

__all__ = [
    'IMAGE_SUFFIXES', 'Progress', 'append_csv', 'atomic_write', 'data_uri', 'encode_jpeg',
    'encode_png', 'figure_png', 'image_grid', 'near_names', 'render_table', 'sha256', 'write_bytes',
    'write_csv', 'write_json', 'write_text',
]  # fmt: skip
