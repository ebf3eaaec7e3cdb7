"""Models of the recipes as a run has them: their optimizer and one training step."""

import copy

from mmlite.registry import OPTIM_WRAPPER_CONSTRUCTORS, PARAM_SCHEDULERS


def optim_wrapper(cfg, model):
    """The optimizer wrapper of a config, without AMP, which requires a GPU."""
    wrapper = dict(cfg.optim_wrapper, type='OptimWrapper')
    constructor = dict(
        type=wrapper.pop('constructor'),
        paramwise_cfg=wrapper.pop('paramwise_cfg', None),
        optim_wrapper_cfg=wrapper,
    )
    return OPTIM_WRAPPER_CONSTRUCTORS.build(constructor)(model)


def settings(cfg, model):
    """Learning rate and weight decay of every parameter that learns, by name."""
    groups = optim_wrapper(cfg, model).optimizer.param_groups
    return {n: (g['lr'], g['weight_decay']) for g in groups for n in g['param_names']}


def scheduled(cfg, optimizer, steps):
    """Parameter groups before every iteration of a recipe, with ``steps`` iterations an epoch."""
    given = dict(optimizer=optimizer, epoch_length=steps)
    schedulers = [PARAM_SCHEDULERS.build(part, default_args=given) for part in cfg.param_scheduler]
    seen = []
    for _ in range(cfg.train_cfg.max_epochs * steps):
        seen.append([{k: v for k, v in g.items() if k != 'params'} for g in optimizer.param_groups])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return seen


def step(model, batch):
    """Losses of a batch as the training loop computes them, and the backward pass of their sum."""
    model.train()
    batch = model.data_preprocessor(copy.deepcopy(batch), True)
    total, scalars = model.parse_losses(model(**batch, mode='loss'))
    model.zero_grad()
    total.backward()
    return {key: value.item() for key, value in scalars.items()}


def without_gradient(model):
    """Parameters that should learn but have no gradient, or one that is not finite."""
    return [
        name
        for name, p in model.named_parameters()
        if p.requires_grad and (p.grad is None or not p.grad.isfinite().all())
    ]


def table_rows(text):
    """Rows of the logged table of loaded weights: {name: (count, keys)}."""
    lines = [line for line in text.splitlines() if line.startswith('  ')]
    rows = {line[:14].strip(): line[14:].split(maxsplit=1) for line in lines}
    return {name: (int(count), ''.join(keys)) for name, (count, *keys) in rows.items()}
