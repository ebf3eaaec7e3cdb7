"""Models of the OpenMMLab wheels, each built, trained for a step and tested in its own process.

Weights are random and images are noise: nothing is downloaded, and nothing said about accuracy.
"""

import inspect
import multiprocessing
import os
import re
import string
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager, nullcontext
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple
from unittest import mock

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, init_default_scope

from ..stack import ops
from .zoo_batches import IMAGES, batch

LIBRARIES = ('mmdet', 'mmseg', 'mmpretrain')
CUDA_CODE = 'cuda-code'
"""Device: the CPU, on the branches that the libraries take on a GPU."""
SIZES = (128, 256, 512)
"""Sides of images in pixels, of which the smallest is taken that a model trains with."""
REGIONS = 32
"""Largest number of regions of an image."""
REMOVED = {'init_cfg', 'pretrained', 'teacher_ckpt', 'batch_augments'}
WORDS = (
    'atto femto pico nano xxs xxsmall xs xsmall tiny t small s medium m base b large l swinl huge '
    'h xlarge xl x giant g'
).split()
TYPICAL = {
    'centernet': '*dcnv2*',
    'cascade_rpn': '*faster*',
    'dcn': '*dconv-c3-c5*',
    'dcnv2': '*mdconv-c3-c5*',
    'guided_anchoring': 'ga-retinanet*',
    'regnet': 'regnetx-400mf*',
    'resnet': 'resnet18_*',
    'san': '*b16_coco-stuff*',
    'swin': '*coco.py|*in1k-pre_upernet_8xb2-160k*',
    'v3det': '*r50*',
}
"""Family -> patterns of the configs to choose from, where the smallest is not typical."""
STAGES = ('build', 'train', 'predict')
OK, NOT_APPLICABLE, PACKAGE, DOWNLOAD, FAILS = 'OK', 'n/a', 'package', 'download', 'fails'

CONTEXT = multiprocessing.get_context('forkserver')


class Result(NamedTuple):
    """State of each stage, the operators of ``mmcv.ops`` that ran, and what is missing."""

    library: str
    family: str
    config: str
    build: str = ''
    train: str = ''
    predict: str = ''
    operators: tuple = ()
    note: str = ''

    @property
    def ok(self):
        """Whether the model does all that it is made for."""
        return set(self[3:6]) <= {OK, NOT_APPLICABLE}


def configs(library):
    """Directory of a wheel's configs."""
    return Path(find_spec(library).origin).parent / '.mim' / 'configs'


def representatives(library):
    """The config of each family, a directory of the wheel, with the smallest backbone by name."""
    families = (f for f in sorted(configs(library).iterdir()) if f.name not in ('_base_', 'common'))
    found = [list(family.glob('*.py')) for family in families]
    return [min(files, key=_size) for files in found if files]


def _size(file):
    """Order of a family's configs, by what their names tell of the backbone."""
    name, family = file.name, file.parent.name
    words = re.split('[-_]', file.stem.lower())
    numbers = [int(m[1]) for w in words if (m := re.fullmatch(r'[a-z]*?(\d{1,3})[a-z]?', w))]
    return (
        not any(fnmatch(name, p) for p in TYPICAL.get(family, '*').split('|')),
        not name.lower().replace('-', '_').startswith(family),
        'headless' in name or 'tta' in words,
        max((WORDS.index(word) for word in words if word in WORDS), default=WORDS.index('base')),
        sum(numbers),
        len(name),
        name,
    )


def check(files, device='cpu', workers=1, timeout=600):
    """Try configs, each in a process of its own.

    Args:
        files (Iterable[Path]): Configs.
        device (str): ``'cpu'``, ``'cuda'`` or :data:`CUDA_CODE`.
        workers (int): Processes at a time.
        timeout (float): Seconds for each.

    Yields:
        Result: As soon as it is known, in any order.
    """
    os.environ['HF_HUB_OFFLINE'] = '1'  # read by the processes when they start
    CONTEXT.set_forkserver_preload([__name__, *(f'{name}.models' for name in LIBRARIES)])
    with ThreadPoolExecutor(workers) as pool:
        waiting = [pool.submit(_isolated, file, device, timeout) for file in files]
        for done in as_completed(waiting):
            yield done.result()


def _isolated(file, device, timeout):
    """Run :func:`stages` in a process; a crash is a failure of the stage that it happened in."""
    receiver, sender = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_send, args=(sender, file, device), daemon=True)
    process.start()
    sender.close()
    result, end = _start(file), time.monotonic() + timeout
    note = f'not done after {timeout:.0f} s'
    try:
        while receiver.poll(max(end - time.monotonic(), 0)):
            result = receiver.recv()
    except EOFError:
        process.join()
        note = f'the process ended with code {process.exitcode}'
    process.kill()
    process.join()
    return _failed(result, FAILS, note)


def _send(connection, file, device):
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    torch.set_num_threads(1)
    for result in stages(file, device):
        connection.send(result)
    connection.close()


def _start(file):
    root = next((parent for parent in file.parents if parent.name == '.mim'), file.parent)
    return Result(root.parent.name, file.parent.name, file.name)


def stages(file, device='cpu'):
    """Yield the :class:`Result` after each stage, until one fails."""
    result, used = _start(file), set()
    try:
        model, cfg = build(file)
        model.to('cpu' if device == CUDA_CODE else device)
        yield (result := result._replace(library=cfg.get('default_scope', ''), build=OK))
        with _recorded(used), as_cuda() if device == CUDA_CODE else nullcontext():
            for stage, run in (('train', train_step), ('predict', predict)):
                state = _at_some_size(run, model, cfg)
                result = result._replace(**{stage: state}, operators=tuple(sorted(used)))
                yield result
    except Exception as error:  # whatever a library raises is its state
        yield _failed(result, _state(error), _brief(error))


def _failed(result, state, note):
    """The result with the first stage that is not done in this state; else as it is."""
    stage = next((name for name in STAGES if not getattr(result, name)), None)
    return result._replace(**{stage: state}, note=note) if stage and not result.note else result


def _at_some_size(run, model, cfg):
    for size in SIZES:
        try:
            return run(model, cfg, size)
        except Exception:
            if size == SIZES[-1]:
                raise


def _state(error):
    if re.search(r'No module named|not installed|install |requires extra', str(error)):
        return PACKAGE
    return DOWNLOAD if re.search('huggingface.co|urlopen|HTTP', str(error)) else FAILS


def _brief(error):
    lines = str(error).strip().splitlines() or ['']
    return f'{type(error).__name__}: {lines[0]}'[:160]


def build(file):
    """Build the model of a config with random weights; returns it with the config."""
    MMLogger.get_instance('mmengine', log_level='ERROR')
    cfg = Config.fromfile(file)
    scope = cfg.get('default_scope', _start(file).library)
    init_default_scope(scope)
    for clock in ('iter', 'epoch', 'max_iters', 'max_epochs'):  # a Runner tells heads of them
        MessageHub.get_current_instance().update_info(clock, 1)
    torch.manual_seed(0)
    np.random.seed(0)
    with tempfile.TemporaryDirectory() as folder:
        _lighten(cfg.model, configs(scope).parent, Path(folder))
        if cfg.get('data_preprocessor'):
            cfg.model.setdefault('data_preprocessor', cfg.data_preprocessor)
        if 'prototype' in cfg.model:
            cfg.model.prototype = torch.randn(IMAGES, cfg.model.head.in_channels)
        torch.use_deterministic_algorithms(True)  # parameters that are not initialized are NaN
        try:
            with mock.patch('mmpretrain.models.selfsup.milan._load_checkpoint', _random_clip):
                model = MODELS.build(cfg.model)
                model.init_weights()
        finally:
            torch.use_deterministic_algorithms(False)
    for parameter in model.parameters():
        if parameter.isnan().any():  # a checkpoint would have filled them
            torch.nn.init.normal_(parameter.data, std=0.02)
    return revert_sync_batchnorm(model), cfg


def _random_clip(_):
    from mmpretrain.models.utils.clip_generator_helper import CLIP

    return CLIP(512, 224, 1, 64, 16, 8, 8, 64, 1, 1).state_dict()


def _random_bert(folder):
    """Write a BERT of one layer that knows letters."""
    from transformers import BertConfig, BertModel, BertTokenizer

    words = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', '.', '?', *string.ascii_lowercase]
    (folder / 'vocab.txt').write_text('\n'.join(words))
    BertTokenizer(folder / 'vocab.txt').save_pretrained(folder)
    BertModel(BertConfig(len(words), num_hidden_layers=1)).save_pretrained(folder)


def _lighten(node, root, folder):
    """Remove what loads weights or pads images, and most regions; make paths absolute."""
    if isinstance(node, dict):
        for key in REMOVED & node.keys():
            del node[key]
        if 'checkpoint' in node:  # without a default
            node['checkpoint'] = None
        for key in ('num', 'max_per_img'):  # of samplers and of proposals
            if isinstance(node.get(key), int) and ('nms' in node or key == 'num'):
                node[key] = min(node[key], REGIONS)
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        if isinstance(value, str) and value.startswith('configs/'):
            node[key] = str(root / value)
        elif value == 'bert-base-uncased' and find_spec('transformers'):
            if not any(folder.iterdir()):
                _random_bert(folder)
            node[key] = str(folder)
        elif isinstance(value, (dict, list)):
            _lighten(value, root, folder)


def train_step(model, cfg, size):
    """Train for a step; raises a FloatingPointError if loss or gradients are not finite."""
    if getattr(model, 'with_head', True) is False:
        return NOT_APPLICABLE
    model.train()
    model.zero_grad()
    try:
        data = model.data_preprocessor(batch(model, cfg, size, training=True), True)
        loss, _ = model.parse_losses(model(**data, mode='loss'))
    except NotImplementedError:  # such as a tracker that is made of trained parts
        return NOT_APPLICABLE
    loss.backward()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    if not grads or not all(value.isfinite().all() for value in (loss, *grads)):
        raise FloatingPointError('the loss or gradients are not finite')
    torch.optim.SGD(model.parameters(), 1e-6).step()
    return OK


@torch.no_grad()
def predict(model, cfg, size):
    """Predict for an image, or for two frames of a video; without a head, its features."""
    model.eval()
    try:
        data = batch(model, cfg, size, training=False)
        if getattr(model, 'with_head', True) is False:
            found = model(model.data_preprocessor(data, False)['inputs'], mode='tensor')
        else:
            found = model.test_step(data)
    except (NotImplementedError, RuntimeError) as error:
        if isinstance(error, NotImplementedError) or 'Invalid mode' in str(error):
            return NOT_APPLICABLE  # pre-training has no prediction
        raise
    if not len(found):
        raise ValueError('no prediction')
    return OK


@contextmanager
def _recorded(used):
    """Add the names of the operators of :mod:`mmlite.stack.ops` that are called to ``used``."""
    functions = (*ops.FUNCTIONS.values(), *ops.KERNELS.values())
    names = {inspect.unwrap(f).__code__: f.__name__ for f in functions}

    def profile(frame, event, _):
        if event == 'call' and frame.f_code in names:
            used.add(names[frame.f_code])

    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(None)


@contextmanager
def as_cuda():
    """Let tensors on the CPU take the branches of the libraries that are meant for a GPU."""
    cuda = SimpleNamespace(is_available=lambda: True)
    there = SimpleNamespace(**{**vars(torch), 'cuda': cuda})
    with ExitStack() as stack:
        for patch in (
            mock.patch.object(torch.Tensor, 'is_cuda', True),
            mock.patch('mmcv.ops.multi_scale_deform_attn.IS_CUDA_AVAILABLE', True),
            mock.patch('mmdet.models.losses.focal_loss.torch', there),
            mock.patch('mmseg.models.losses.focal_loss.torch', there),
        ):
            stack.enter_context(patch)
        yield
