"""Models of the OpenMMLab wheels, each built, trained for a step and tested in its own process.

Weights are random and images are noise: nothing is downloaded, and nothing said about accuracy.
"""

import inspect
import multiprocessing
import os
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import NamedTuple
from unittest import mock

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import MODELS, init_default_scope

from ..errors import OperatorError
from ..stack import ops
from .zoo_inputs import SIZES, batch, lighten

LIBRARIES = ('mmdet', 'mmseg', 'mmpretrain')
WORDS = (
    'atto femto pico nano xxs xxsmall xs xsmall tiny t small s medium m base b large l swinl huge '
    'h xlarge xl x giant g'
).split()
TYPICAL = {
    'centernet': '*dcnv2*',
    'cascade_rpn': '*faster*',
    'dcn': '*dconv-c3-c5*',
    'dcnv2': '*mdconv-c3-c5*',
    'eva': 'eva-l*',
    'guided_anchoring': 'ga-retinanet*',
    'regnet': 'regnetx-400mf*',
    'resnet': 'resnet18_*',
    'san': '*b16_coco-stuff*',
    'swin': '*coco.py|*in1k-pre_upernet_8xb2-160k*',
    'v3det': '*r50*',
}
"""Family -> patterns of the configs to choose from, where the smallest is not typical."""
GPU_BRANCHES = {'FocalLoss', 'MultiScaleDeformableAttention'}
"""Modules that call a compiled operator on a GPU only."""
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
    gpu_code: str = ''
    operators: tuple = ()
    note: str = ''

    @property
    def ok(self):
        """Whether the model does all that it is made for."""
        return set(self[3:7]) <= {OK, NOT_APPLICABLE}

    def failed(self, state, note):
        """The result with the first stage that is not done in this state."""
        stage = next(name for name in self._fields[3:7] if not getattr(self, name))
        return self._replace(**{stage: state}, note=note)


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
        device (str): ``'cpu'`` or ``'cuda'``.
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
    result, end, note = _start(file), time.monotonic() + timeout, f'not done after {timeout} s'
    try:
        while receiver.poll(max(end - time.monotonic(), 0)):
            result = receiver.recv()
    except EOFError:
        process.join()
        note = f'the process ended with code {process.exitcode}'
    process.kill()
    process.join()
    return result if result.gpu_code or result.note else result.failed(FAILS, note)


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
    """Yield the :class:`Result` after each stage, until one fails.

    The last stage repeats the step and the prediction of a model on the CPU by the code that is
    meant for a GPU, where the model has such code.
    """
    result, used = _start(file), set()
    try:
        model, cfg = build(file)
        model.to(device)
        scope = cfg.get('default_scope', result.library)
        yield (result := result._replace(library=scope, build=OK))
        with _recorded(used):
            for stage, run in dict(train=train_step, predict=predict, gpu_code=gpu_code).items():
                state = run(model, cfg)
                result = result._replace(**{stage: state}, operators=tuple(sorted(used)))
                yield result
    except Exception as error:  # whatever a library raises is its state
        yield result.failed(_state(error), _brief(error))


def _state(error):
    if isinstance(error, OperatorError):
        return FAILS
    if isinstance(error, ImportError) or re.search('not installed|install ', str(error)):
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
    if cfg.get('data_preprocessor'):
        cfg.model.setdefault('data_preprocessor', cfg.data_preprocessor)
    with TemporaryDirectory() as folder:
        lighten(cfg.model, configs(scope).parent, Path(folder))
        torch.use_deterministic_algorithms(True)  # parameters that are not initialized are NaN
        try:
            model = MODELS.build(cfg.model)
            model.init_weights()
        finally:
            torch.use_deterministic_algorithms(False)
    for parameter in model.parameters():
        if parameter.isnan().any():  # a checkpoint would have filled them
            torch.nn.init.normal_(parameter.data, std=0.02)
    return model, cfg


def at_some_size(run):
    """Decorator: try images of each of :data:`SIZES`; the error of the largest is raised."""

    def try_sizes(model, cfg):
        for size in SIZES:
            try:
                return run(model, cfg, size)
            except Exception as error:
                # a tracker that is made of trained parts, or pre-training without a prediction
                if type(error) is NotImplementedError or 'Invalid mode' in str(error):
                    return NOT_APPLICABLE
                if size == SIZES[-1] or isinstance(error, OperatorError):
                    raise

    return try_sizes


@at_some_size
def train_step(model, cfg, size):
    """Train for a step; raises a FloatingPointError if loss or gradients are not finite."""
    if getattr(model, 'with_head', True) is False:
        return NOT_APPLICABLE
    model.train()
    model.zero_grad()
    data = model.data_preprocessor(batch(model, cfg, size, training=True), True)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    if not grads or not all(value.isfinite().all() for value in (loss, *grads)):
        raise FloatingPointError('the loss or gradients are not finite')
    torch.optim.SGD(model.parameters(), 1e-6).step()
    return OK


@at_some_size
@torch.no_grad()
def predict(model, cfg, size):
    """Predict for an image, or for two frames of a video; without a head, its features."""
    model.eval()
    data = batch(model, cfg, size, training=False)
    if getattr(model, 'with_head', True) is False:
        found = model(model.data_preprocessor(data, False)['inputs'], mode='tensor')
    else:
        found = model.test_step(data)
    if not len(found):
        raise ValueError('no prediction')
    return OK


def gpu_code(model, cfg):
    """Train and predict on the CPU as on a GPU."""
    names = {type(module).__name__ for module in model.modules()}
    if not names & GPU_BRANCHES or next(model.parameters()).is_cuda:
        return NOT_APPLICABLE
    as_on_gpu = SimpleNamespace(**{**vars(torch), 'cuda': mock.Mock()})  # .is_available() is true
    with (
        mock.patch.object(torch.Tensor, 'is_cuda', True),
        mock.patch('mmcv.ops.multi_scale_deform_attn.IS_CUDA_AVAILABLE', True),
        mock.patch('mmdet.models.losses.focal_loss.torch', as_on_gpu),
        mock.patch('mmseg.models.losses.focal_loss.torch', as_on_gpu),
    ):
        train_step(model, cfg)
        predict(model, cfg)
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
