"""Parameter groups by depth, with as few groups as possible."""

from collections import Counter

from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from mmlite.errors import UserError
from mmlite.registry import OPTIM_WRAPPER_CONSTRUCTORS

from .checks.signatures import Accepted
from .checks.types import check_keys

NORMS = (_BatchNorm, _InstanceNorm, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
"""Normalization layers of torch; synchronized batch norm is a batch norm."""

DECAYS = ('norm_decay_mult', 'bias_decay_mult', 'flat_decay_mult')
OPTIONS = Accepted({'layer_decay_rate', *DECAYS, 'custom_keys', 'respect_no_weight_decay'}, True)
RULE = Accepted({'decay_mult', 'lr_mult'}, True)  # of custom_keys


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Layer-wise learning-rate decay and weight-decay rules for any model with a backbone.

    The learning rate of a parameter is ``lr * layer_decay_rate ** (last - layer) * lr_mult``,
    where the backbone's ``get_layer_depth(name, prefix)`` gives ``(layer, last + 1)``, as in
    mmpretrain: embeddings 0, block ``i`` ``i + 1``, everything after the blocks ``last``. ViT-Tiny
    has ``last = 13``: at 0.85, its embeddings have 0.85 ** 13 = 0.1209 of the learning rate (BEiT,
    appendix; MAE, table 9).

    Parameters of equal learning rate and weight decay share one group, so that fused and
    ``foreach`` optimizers work on few long lists; ``param_names`` of a group lists its members.
    Frozen parameters are left out.

    Args:
        optim_wrapper_cfg (dict): Optimizer wrapper with ``optimizer``.
        paramwise_cfg (dict, optional): Any of

            * ``layer_decay_rate`` (float): 1.0, the default, turns layer-wise decay off.
            * ``custom_keys`` (dict[str, dict]): Substring of a full parameter name ->
              ``decay_mult`` and ``lr_mult`` (both 1.0 by default). The longest substring wins,
              and no other rule for the weight decay applies.
            * ``respect_no_weight_decay`` (bool): No weight decay for the names that the
              backbone's ``no_weight_decay()`` returns. Defaults to False.
            * ``norm_decay_mult`` (float): Weight-decay factor of weights and biases of torch's own
              norm layers.
            * ``bias_decay_mult`` (float): The same for other biases.
            * ``flat_decay_mult`` (float): The same for other one-dimensional parameters.

    Raises:
        UserError: An option is unknown, a factor is given without a weight decay, or the backbone
            lacks the method that an option needs.
    """

    def __init__(self, optim_wrapper_cfg, paramwise_cfg=None):
        options = dict(paramwise_cfg or {})
        path = 'optim_wrapper.paramwise_cfg'
        check_keys(OPTIONS, type(self).__name__, options, path)
        for key, rule in options.get('custom_keys', {}).items():
            check_keys(RULE, 'a rule', rule, f'{path}.custom_keys.{key}')
        decays = [key for key in DECAYS if key in options]
        if decays and 'weight_decay' not in optim_wrapper_cfg['optimizer']:
            raise UserError(
                f'paramwise_cfg.{decays[0]} needs weight_decay in optim_wrapper.optimizer'
            )
        # mmengine skips ``add_params`` when there is no option at all
        options.setdefault('layer_decay_rate', 1.0)
        if optim_wrapper_cfg['optimizer'].get('lr') is None:
            raise UserError('optim_wrapper.optimizer needs a learning rate: lr=...')
        super().__init__(optim_wrapper_cfg, options)
        custom = self.paramwise_cfg.get('custom_keys', {})
        self._custom_keys = sorted(custom.items(), key=lambda item: (-len(item[0]), item[0]))

    def add_params(self, params, module, **kwargs):
        """Append the groups for all trainable parameters of ``module`` to the list ``params``."""
        # a bare backbone is its own
        bare = not hasattr(module, 'backbone')
        backbone, prefix = (module, '') if bare else (module.backbone, 'backbone.')
        exempt = set()
        if self.paramwise_cfg.get('respect_no_weight_decay'):
            _require(backbone, 'no_weight_decay', 'respect_no_weight_decay=True')
            exempt = {prefix + name for name in backbone.no_weight_decay()}
        groups, used = {}, Counter()
        for name, parameter, owner in _trainable(module):
            rule = next(((k, r) for k, r in self._custom_keys if k in name), None)
            used[rule and rule[0]] += 1
            lr = self.base_lr * self._lr_scale(name, backbone, prefix)
            lr *= rule[1].get('lr_mult', 1.0) if rule else 1.0
            decay = self._decay(name, parameter, owner, rule and rule[1], exempt)
            group = groups.setdefault((lr, decay), dict(params=[], param_names=[], lr=lr))
            if decay is not None:
                group['weight_decay'] = decay
            group['params'].append(parameter)
            group['param_names'].append(name)
        params.extend(groups.values())
        self._log(groups, used)

    def _lr_scale(self, name, backbone, prefix):
        rate = self.paramwise_cfg['layer_decay_rate']
        if rate == 1.0:
            return 1.0
        _require(backbone, 'get_layer_depth', f'layer_decay_rate={rate}')
        layer, count = backbone.get_layer_depth(name, prefix)
        return rate ** (count - 1 - layer)

    def _decay(self, name, parameter, owner, rule, exempt):
        """Weight decay of a parameter, or None if the optimizer has no weight decay."""
        if self.base_wd is None:
            return None
        if rule is not None:
            return self.base_wd * rule.get('decay_mult', 1.0)
        if name in exempt:
            return 0.0
        kinds = dict(
            norm_decay_mult=isinstance(owner, NORMS),
            bias_decay_mult=name.rsplit('.', 1)[-1] == 'bias',
            flat_decay_mult=parameter.ndim == 1,
        )
        factors = (self.paramwise_cfg.get(key) for key, applies in kinds.items() if applies)
        return self.base_wd * next((factor for factor in factors if factor is not None), 1.0)

    def _log(self, groups, used):
        lines = [
            f'  lr {lr:.3g}, weight decay {decay}: {len(group["params"])} tensors'
            for (lr, decay), group in sorted(groups.items(), reverse=True)
        ]
        print_log('\n'.join([f'{len(groups)} parameter groups', *lines]), logger='current')
        for key, _ in self._custom_keys:
            if not used[key]:
                print_log(f'custom_keys: no parameter has {key!r} in its name', logger='current')


def _require(backbone, method, option):
    if not hasattr(backbone, method):
        name = type(backbone).__name__
        raise UserError(
            f'paramwise_cfg.{option} needs a backbone with {method}, and {name} has none'
        )


def _trainable(model):
    """Full name, parameter and owning module of every trainable parameter, shared ones once."""
    seen = set()
    for path, owner in model.named_modules():
        for name, parameter in owner.named_parameters(recurse=False):
            if parameter.requires_grad and parameter not in seen:
                seen.add(parameter)
                yield f'{path}.{name}'.lstrip('.'), parameter, owner
