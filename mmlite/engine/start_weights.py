"""Whose weights a training started from, and under which licence they are."""

import os
from pathlib import Path

from mmengine.config import Config

from mmlite import stack
from mmlite.errors import CheckpointError

from .published_config import parse_config

UNKNOWN = 'unknown'
FROZEN_PARTS = ('teacher', 'target_generator')
"""Parts of a model that only guide its training: their weights do not go into the model's."""


def start_licenses(cfg, _seen=()):
    """The licences of the weights that a config starts from.

    Training does not copy the licence of its start into its checkpoints. So every file that
    ``init_cfg`` or ``load_from`` names is looked at, and where it is itself such a checkpoint, the
    files that it started from.

    Args:
        cfg (Config): The config of a training.

    Returns:
        dict[str, str]: Name of the file -> licence, ``'unknown'`` where the file is not here or
        tells nothing; empty where training started from random weights.
    """
    found = {}
    for source in _sources(cfg):
        name = os.path.basename(source.rstrip('/')) or source
        path = os.path.realpath(source)
        if path not in _seen:
            found.update(_licenses_of(source, name, (*_seen, path)))
    return found


def _sources(cfg):
    sources = list(_pretrained(cfg.get('model') or {}))
    if cfg.get('load_from') and not cfg.get('resume'):
        sources.append(cfg['load_from'])
    return list(dict.fromkeys(map(str, sources)))


def _pretrained(value):
    """Files that ``init_cfg`` of any part names, except of frozen parts."""
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _pretrained(item)
    elif isinstance(value, dict):
        if value.get('type') == 'Pretrained' and value.get('checkpoint'):
            yield value['checkpoint']
        for key, item in value.items():
            if key not in FROZEN_PARTS:
                yield from _pretrained(item)


def _licenses_of(source, name, seen):
    try:
        if '://' in source or not Path(source).expanduser().is_file():
            return {name: UNKNOWN}
        meta = stack.load(source).get('meta')
        meta = meta if isinstance(meta, dict) else {}
        told = {name: str(meta['license'])} if meta.get('license') else {}
        told.update(meta.get('start_licenses') or {})  # a published file has both
        if told:
            return told
        earlier = start_licenses(Config(parse_config(meta.get('cfg'))), seen)
    except CheckpointError:
        return {name: UNKNOWN}
    return earlier or {name: UNKNOWN}
