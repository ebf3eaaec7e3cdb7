"""HTML pages that need no other file."""

import platform
from pathlib import Path

import mmengine
import torch
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mmlite import __version__
from mmlite.utils import data_uri, encode_jpeg, encode_png

TEMPLATES = Path(__file__).parent / 'templates'


def render_page(template, **context):
    """Render a jinja2 template of this package, or elsewhere by its absolute path.

    ``base.html`` is the frame: a template extends it and fills the blocks ``content`` and
    ``style``; it needs ``heading`` and ``title``. Templates also get ``versions`` and the filters
    ``png_uri`` (bytes of a PNG file), ``png`` and ``jpeg`` (RGB uint8 images), which give ``data:``
    URIs.
    """
    template = Path(template)
    folders = [str(template.parent), str(TEMPLATES)] if template.is_absolute() else str(TEMPLATES)
    environment = Environment(
        loader=FileSystemLoader(folders), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(
        png_uri=lambda data: data_uri(data, 'png'),
        png=lambda image: data_uri(encode_png(image), 'png'),
        jpeg=lambda image: data_uri(encode_jpeg(image), 'jpeg'),
    )
    return environment.get_template(template.name).render(versions=versions(), **context)


def last_checkpoint(work_dir):
    """Path of the newest checkpoint of a work directory, which may have been moved; or None."""
    pointer = work_dir / 'last_checkpoint'
    return work_dir / Path(pointer.read_text().strip()).name if pointer.is_file() else None


def versions():
    """Versions of the libraries and the device, in one line."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else 'CPU'
    return (
        f'mmlite {__version__}, torch {torch.__version__}, mmengine {mmengine.__version__}, '
        f'Python {platform.python_version()}, torch threads: {torch.get_num_threads()}, {device}'
    )
