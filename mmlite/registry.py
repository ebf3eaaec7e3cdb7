"""Registries of scope ``mmlite``: a child of every root registry of mmengine.

``type='mmlite.X'`` in a config of any default scope imports this module and then, at the first
look-up, the packages named here: no ``custom_imports`` is needed. A child exists for every root
registry, also where nothing is registered, because mmengine warns and falls back where one is
missing.
"""

from mmengine import registry as root
from mmengine.registry import Registry

SCOPE = 'mmlite'


def _child(name, *modules):
    parent = getattr(root, name)
    return Registry(
        parent.name, parent=parent, scope=SCOPE, locations=[f'mmlite.{m}' for m in modules]
    )


RUNNERS = _child('RUNNERS', 'engine')
RUNNER_CONSTRUCTORS = _child('RUNNER_CONSTRUCTORS', 'engine')
LOOPS = _child('LOOPS', 'engine')
HOOKS = _child('HOOKS', 'engine')
LOG_PROCESSORS = _child('LOG_PROCESSORS', 'engine')
STRATEGIES = _child('STRATEGIES', 'engine')
OPTIMIZERS = _child('OPTIMIZERS', 'engine')
OPTIM_WRAPPERS = _child('OPTIM_WRAPPERS', 'engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child('OPTIM_WRAPPER_CONSTRUCTORS', 'engine')
PARAM_SCHEDULERS = _child('PARAM_SCHEDULERS', 'engine')

DATASETS = _child('DATASETS', 'datasets')
DATA_SAMPLERS = _child('DATA_SAMPLERS', 'datasets')
TRANSFORMS = _child('TRANSFORMS', 'datasets')

MODELS = _child('MODELS', 'models')
MODEL_WRAPPERS = _child('MODEL_WRAPPERS', 'models')
WEIGHT_INITIALIZERS = _child('WEIGHT_INITIALIZERS', 'models')
TASK_UTILS = _child('TASK_UTILS', 'models')

METRICS = _child('METRICS', 'evaluation')
EVALUATOR = _child('EVALUATOR')

VISUALIZERS = _child('VISUALIZERS')
VISBACKENDS = _child('VISBACKENDS')

INFERENCERS = _child('INFERENCERS')
FUNCTIONS = _child('FUNCTIONS')
