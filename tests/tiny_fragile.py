"""A model that fails at chosen steps, for tests of FiniteHook."""

import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from tiny import TinyModel
from torch import nn

from mmlite.engine.hooks.fit import unwrap_model
from mmlite.registry import HOOKS, MODELS, OPTIM_WRAPPERS

CONFIG = """
custom_imports = dict(imports=['tiny', 'tiny_fragile'])
default_scope = 'mmlite'
model = dict(type='FragileModel')
train_dataloader = dict(
    batch_size=2,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(type='TinyNumbers', serialize_data=False),
)
train_cfg = dict(by_epoch=False, max_iters=6)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=0.01))
default_hooks = dict(finite=dict(type='FiniteHook'), checkpoint=None)
custom_hooks = [dict(type='Sabotage', **{sabotage!r})]
randomness = dict(seed=0)
"""


@MODELS.register_module(force=True)
class FragileModel(TinyModel):
    """TinyModel with dropout, a batch norm, an EMA and a switch for faults.

    ``fault`` is ``''``, ``'nan loss'`` or ``'infinite loss'`` (with finite gradients), or
    ``'gradient'`` (NaN, of ``scale`` only, with a finite loss).
    """

    def __init__(self):
        super().__init__()
        self.fault = ''
        self.statistics = nn.BatchNorm1d(4)
        self.scale = nn.Parameter(torch.ones(1))
        self.average = nn.Parameter(torch.zeros(1, 4), requires_grad=False)

    def forward(self, inputs, target, mode='tensor', sample_idx=None):
        x = nn.functional.dropout(torch.stack(inputs), 0.5)
        self.average.data.lerp_(x.mean(0, keepdim=True), 0.1)
        out = self.head(self.backbone(self.statistics(x) + self.average))
        error = (out - torch.stack(target)).square().mean()
        zero = self.scale - self.scale.detach()
        extra = zero.abs().sqrt().sum() * 0 if self.fault == 'gradient' else zero.sum()
        constant = {'nan loss': float('nan'), 'infinite loss': float('inf')}.get(self.fault, 0.0)
        return dict(loss_error=error, loss_extra=extra + constant)


@HOOKS.register_module(force=True)
class Sabotage(Hook):
    """Make iterations ``at`` (from 0) fail in one process; keep the model's state before each.

    ``fault`` is of :class:`FragileModel`, or ``'batch'`` or a parameter's name for a NaN in it.
    """

    def __init__(self, fault='', at=(), rank=0):
        self.fault, self.at, self.rank = fault, at, rank
        self.seen = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        model = unwrap_model(runner.model)
        self.seen.append({k: v.clone() for k, v in model.state_dict().items()})
        model.fault = ''
        if runner.iter not in self.at or get_rank() != self.rank:
            return
        parameters = dict(model.named_parameters())
        if self.fault == 'batch':
            data_batch['inputs'][1][2] = float('nan')
        elif self.fault in parameters:
            parameters[self.fault].data.view(-1)[0] = float('nan')
        else:
            assert isinstance(model, FragileModel), f'no parameter {self.fault}'
            model.fault = self.fault


@OPTIM_WRAPPERS.register_module(force=True)
class ScaledOptimWrapper(OptimWrapper):
    """AmpOptimWrapper, which asks for a GPU, with a scaler of the CPU and no autocast."""

    def __init__(self, **options):
        super().__init__(**options)
        self._scale_update_param = None
        self.loss_scaler = torch.amp.GradScaler('cpu', init_scale=1024.0)

    backward = AmpOptimWrapper.backward
    step = AmpOptimWrapper.step

    def state_dict(self):
        return dict(super().state_dict(), loss_scaler=self.loss_scaler.state_dict())

    def load_state_dict(self, state_dict):
        self.loss_scaler.load_state_dict(state_dict.pop('loss_scaler'))
        super().load_state_dict(state_dict)


def write_config(folder, fault='', at=(), rank=0, extra='', name='fragile.py'):
    """Write the config of a run of six iterations in which some fail; returns its path."""
    sabotage = dict(fault=fault, at=at, rank=rank)
    (folder / name).write_text(CONFIG.format(sabotage=sabotage) + extra)
    return folder / name
