"""What benchmarks make of a config: its precision, and its model beside a working optimiser."""

import torch
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper

from mmlite.engine.cli import check_device, check_out_file
from mmlite.engine.launch import set_amp
from mmlite.errors import UserError
from mmlite.registry import MODELS

DTYPES = {'bf16': 'bfloat16', 'fp16': 'float16'}


def add_benchmark_options(parser, steps, warmup):
    """Add ``--steps``, ``--warmup``, ``--device``, ``--amp`` and ``--batch-size`` to ``parser``.

    Args:
        parser (argparse.ArgumentParser): Of a benchmark.
        steps (int): Default of ``--steps``.
        warmup (int): Default of ``--warmup``.
    """
    add = parser.add_argument
    add('--steps', type=int, default=steps, help=f'steps that count; default: {steps}')
    add('--warmup', type=int, default=warmup, help=f'steps before them; default: {warmup}')
    add(
        '--device', choices=['cpu', 'cuda'],
        default='cuda' if torch.cuda.is_available() else 'cpu', help='default: a GPU if any',
    )  # fmt: skip
    add('--amp', choices=['none', *DTYPES], help='precision; default: as in the config')
    add('--batch-size', type=int, help='default: of the config')


def check_benchmark_options(args, positive=('steps', 'batch_size')):
    """Refuse counts that measure nothing, a GPU that is not there, a table that cannot be written.

    Args:
        args (argparse.Namespace): Options of :func:`add_benchmark_options` and more.
        positive (Sequence[str]): Those that must be 1 or more where they are given.

    Raises:
        UserError: Names the option.
    """
    for name in positive:
        if getattr(args, name) is not None and getattr(args, name) < 1:
            raise UserError(f'--{name.replace("_", "-")} is {getattr(args, name)}; give 1 or more')
    if args.warmup < 0:
        raise UserError(f'--warmup is {args.warmup}; give 0 or more')
    check_device(args.device)
    if args.csv:
        check_out_file('--csv', args.csv)


def set_precision(cfg, amp, device):
    """Train in the precision of ``--amp``.

    Args:
        cfg (mmengine.config.Config): Changed in place.
        amp (str | None): ``'none'``, ``'bf16'`` or ``'fp16'``; None leaves the config's own.
        device (str): ``'cpu'`` or ``'cuda'``.

    Raises:
        UserError: Half precision is asked of a CPU.
    """
    if amp:
        set_amp(cfg, amp != 'none')
    if amp in DTYPES:
        # bf16 has the range of fp32: nothing to scale, no overflow to wait for
        scale = dict(enabled=False) if amp == 'bf16' else 'dynamic'
        cfg.optim_wrapper.update(dtype=DTYPES[amp], loss_scale=scale)
    if device == 'cpu' and precision(cfg) != 'fp32':
        raise UserError(f'{precision(cfg)} training needs a GPU: give --amp none')


def precision(cfg):
    """``'fp32'``, ``'fp16'`` or ``'bf16'``."""
    wrapper = cfg.optim_wrapper
    if wrapper.get('type', 'OptimWrapper') == 'OptimWrapper':
        return 'fp32'
    return 'bf16' if wrapper.get('dtype') == 'bfloat16' else 'fp16'


def build_trained(cfg, device):
    """Model with random weights (no checkpoint is looked for), and its optimiser.

    Args:
        cfg (mmengine.config.Config): With ``model`` and ``optim_wrapper``.
        device (torch.device): Where the model is put.

    Returns:
        tuple[BaseModel, OptimWrapper]: The model in training mode; its learning rates are zero, so
        that a step is whole, but nothing diverges on inputs that are always the same.
    """
    model = revert_sync_batchnorm(MODELS.build(cfg.model)).to(device).train()
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    accumulated = cfg.optim_wrapper.get('accumulative_counts', 1)
    optim_wrapper.initialize_count_status(model, 0, accumulated * 10**6)
    for group in optim_wrapper.optimizer.param_groups:
        group['lr'] = 0.0
    return model, optim_wrapper


def rounded(value):
    """Four digits; None stays None."""
    return None if value is None else float(f'{value:.4g}')
