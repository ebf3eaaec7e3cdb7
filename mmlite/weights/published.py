"""Published weights by name: the table of them, and the cache of converted files.

The cache is ``MMLITE_CACHE``, by default ``~/.cache/mmlite``. ``FAMILY/NAME.safetensors`` there are
the converted weights, ``FAMILY/NAME.json`` says what was downloaded.
"""

import csv
import functools
import json
import logging
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import timm
from filelock import FileLock
from mmengine.logging import print_log
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from mmlite import stack
from mmlite.errors import ArgumentError, CheckpointError, OutputError, UserError
from mmlite.models import TimmViT
from mmlite.stack.checkpoints import FAMILIES
from mmlite.utils import near_names, sha256, write_json
from mmlite.utils.names import with_near

from .converters import convert
from .download import download, remove
from .files import save

TIMM = 'timm'


@dataclass(frozen=True)
class Published:
    """A row of ``published.csv``; a column that does not apply is ``''``.

    Args:
        name (str): ``FAMILY/NAME``.
        address (str): URL of the file.
        layout (str): ``source`` of :func:`~mmlite.weights.convert`.
        licence (str): Of the weights.
        result (str): The authors' own.
        config (str): Config of the model, below ``configs/``.
        init (str): Key of :data:`~mmlite.engine.initializations.METHODS`, how they are fine-tuned.
        sha256 (str): Of the file at the address, in hexadecimal.
    """

    name: str
    address: str
    layout: str
    licence: str
    result: str = ''
    config: str = ''
    init: str = ''
    sha256: str = ''

    @property
    def path(self):
        """Path: Where the converted weights are, or will be."""
        cache = os.environ.get('MMLITE_CACHE') or '~/.cache/mmlite'
        return Path(f'{Path(cache).expanduser() / self.name}.safetensors')

    @property
    def record(self):
        """dict: ``address``, ``sha256`` and ``bytes`` of the last download; empty before it."""
        with suppress(OSError, ValueError):
            return json.loads(self.path.with_suffix('.json').read_text())
        return {}


@functools.cache
def table():
    """dict[str, Published]: Every name of ``published.csv``; those of timm are not listed."""
    with open(Path(__file__).with_name('published.csv'), newline='', encoding='utf-8') as file:
        return {row['name']: Published(**row) for row in csv.DictReader(file)}


def find(name):
    """Published weights of a name, of the table or ``timm/MODEL``; a UserError if unknown."""
    family, _, model = name.partition('/')
    if family == TIMM and timm.models.is_model_pretrained(model):
        facts = timm.models.get_pretrained_cfg(model)
        source = facts.hf_hub_id or 'timm'
        return Published(name, f'https://huggingface.co/{source}', TIMM, facts.license or 'unknown')
    if name in table():
        return table()[name]
    known = table()
    if family == TIMM:
        known = [f'{TIMM}/{model}' for model in timm.list_models(pretrained=True)]
    message = f'{name!r} is neither a file nor a name of published weights'
    raise UserError(with_near(message, near_names(name, known)))


def find_named(text):
    """Published weights that ``text`` names; None if it is None or a path, which wins."""
    is_name = re.fullmatch(rf'({"|".join(FAMILIES)})/[^/]+', str(text or ''))
    return find(str(text)) if is_name and not os.path.exists(text) else None


def resolve(name, force=False, file=None):
    """Path of the converted weights of a name, which are downloaded at the first use.

    Of several processes one downloads, the others wait. Later calls need no network.

    Args:
        name (str): See :func:`find`.
        force (bool): Download again, also if the file has changed. Defaults to False.
        file (str | Path, optional): The file as it was downloaded by hand.

    Returns:
        Path: A ``.safetensors`` file in the cache.

    Raises:
        UserError: The name is unknown.
        CheckpointError: The download fails, has another SHA-256 than at the first time or in the
            table, or is not of the layout.
        OutputError: The cache cannot be written.
    """
    weights = find(name)
    path = weights.path
    if path.is_file() and not (force or file):
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f'.{path.name}.lock')):
            if not path.is_file() or force or file:
                _fill(weights, path, force, file and Path(file).expanduser())
    except OSError as error:
        if isinstance(error, UserError):
            raise
        raise OutputError(f'the cache {path.parent} cannot be written: {error.strerror}') from error
    return path


def _fill(weights, path, force, file):
    """Download (or take ``file``), check, convert and store."""
    if re.search(r'\bnc\b|non-?commercial', weights.licence, re.I):
        text = f'the weights {weights.name} are not for commercial use: {weights.licence}'
        print_log(text, 'current', logging.WARNING)
    record = {}
    if weights.layout == TIMM:
        converted = _convert_timm(weights, file)
    else:
        given, file = file, file or path.with_suffix('.download')
        if not given:
            print_log(f'downloading {weights.name} from {weights.address}', 'current')
            download(weights.address, file)
        try:
            contents = stack.load(file)
            digest = sha256(file)
            known = weights.sha256 or weights.record.get('sha256')
            if known and digest != known and not force:
                raise CheckpointError(
                    f'it has changed: its SHA-256 is {digest}, not {known}; mmlite weights get '
                    f'{weights.name} --force takes it'
                )
            record = dict(address=weights.address, sha256=digest, bytes=file.stat().st_size)
            converted = convert(contents, weights.layout)
        except CheckpointError as error:
            raise CheckpointError(f'{given or weights.address}: {error}') from error
        finally:
            if not given:
                remove(file)
    converted['meta'] |= dict(license=weights.licence, published=weights.name, **record)
    save(converted, path, overwrite=True)
    if record:
        write_json(path.with_suffix('.json'), record)


def _convert_timm(weights, file):
    """Build a model of timm with its weights, from Hugging Face or a file, and convert them."""
    overlay = file and dict(pretrained_cfg_overlay=dict(file=str(file)))
    try:
        model = timm.create_model(weights.name.partition('/')[2], pretrained=True, **overlay or {})
    except Exception as error:  # of the network, of Hugging Face or of torch
        reason = ' '.join(str(error).split())[:200]
        raise CheckpointError(f'{weights.name} cannot be read: {reason}') from error
    if not isinstance(model, VisionTransformer | Eva):
        try:
            return convert(model.state_dict(), TIMM)
        except CheckpointError as error:
            raise CheckpointError(f'{weights.name}: {error}') from error
    kind = 'avg_featmap' if isinstance(model.fc_norm, nn.LayerNorm) else 'raw'
    try:
        vit = TimmViT(weights.name.partition('/')[2], out_type=kind)
    except ArgumentError as error:
        raise CheckpointError(f'{weights.name}: {error}') from error
    vit.load_timm(model)  # adapts it to images normalized as those of the suite
    state = {f'backbone.{key}': tensor for key, tensor in vit.state_dict().items()}
    if isinstance(model.head, nn.Linear):
        state |= {f'head.fc.{key}': tensor for key, tensor in model.head.state_dict().items()}
    return dict(state_dict=state, meta=dict(backbone=vit.describe(), source=TIMM))
