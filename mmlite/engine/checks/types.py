"""Check of every ``type=`` of a config against the registries, and of its keys."""

import importlib
from contextlib import suppress

import mmcv.ops
from mmengine import registry as root
from mmengine.registry import Registry

from mmlite.errors import UserError
from mmlite.utils.names import misspelled, near_names, with_near

from .signatures import accepted_keys
from .values import check_argument

CHILD_ROOTS = {
    'pipeline': root.TRANSFORMS,
    'switch_pipeline': root.TRANSFORMS,
    'transforms': root.TRANSFORMS,
    'dataset': root.DATASETS,
    'datasets': root.DATASETS,
    'optimizer': root.OPTIMIZERS,
    'init_cfg': root.WEIGHT_INITIALIZERS,
    'data_preprocessor': root.MODELS,
    'vis_backends': root.VISBACKENDS,
}  # keys whose content belongs to one registry everywhere
CALLER_KEYS = {
    root.HOOKS: {'priority'},
    root.PARAM_SCHEDULERS: {'convert_to_iter_based'},
    root.OPTIM_WRAPPERS: {'constructor', 'paramwise_cfg', 'optimizer'},
    root.WEIGHT_INITIALIZERS: {'layer', 'override', 'reserve_blocks'},
    root.TRANSFORMS: {'magnitude_key', 'magnitude_range', 'magnitude_level'},
    root.MODELS: {'requires_grad', 'scale_factor'},  # of norm and upsampling layers
    'dcn': {'fallback_on_stride', 'deformable_groups'},
    'loss_cls': {'bg_cls_weight'},
    'vision_encoder': {'pretrained'},
}  # keys that callers remove before they build the object, by root registry or by key
OPAQUE = ('Albu', 'Albumentations')  # their ``transforms`` are another library's
FREE_FORM = ('metainfo', 'meta_info')  # data about classes, where ``type`` is no class name


class TypeChecker:
    """Refuse a config of a default scope, e.g. ``'mmdet'``, at the first unknown type or key."""

    def __init__(self, scope):
        self.scope = scope
        _import_scope(scope, 'default_scope')

    def walk(self, value, path, registry, strict=True, scope=None):
        """Check a config dict or list, which the root ``registry`` builds, and everything below it.

        Below a model, ``strict`` is False: parents build their parts from several registries, or
        use ``type`` as an option of their own. ``scope`` is that of names without a prefix.
        """
        scope = scope or self.scope
        if isinstance(value, (list, tuple)):
            for index, item in enumerate(value):
                self.walk(item, f'{path}.{index}', registry, strict, scope)
        elif isinstance(value, dict):
            if '_scope_' in value:
                scope = value['_scope_']
                _import_scope(scope, f'{path}._scope_')
            target = value.get('type')
            if isinstance(target, str):
                target = self.resolve(target, f'{path}.type', registry, strict, scope)
            label = getattr(target, '__name__', str(target))
            if callable(target):
                key = path.rsplit('.', 1)[-1]
                taken_out = CALLER_KEYS.get(registry, set()) | CALLER_KEYS.get(key, set())
                check_keys(accepted_keys(target), label, value, path, taken_out)
            if label in OPAQUE:
                return
            for key, child in value.items():
                if key not in FREE_FORM:
                    own_root = CHILD_ROOTS.get(key)
                    self.walk(child, f'{path}.{key}', own_root or registry, bool(own_root), scope)

    def resolve(self, name, key, registry, strict=True, scope=None):
        """Look up a class or function by name; arguments as in :meth:`walk`.

        Returns None for a name that, below a model, is the parent's own option:
        ``nms=dict(type='nms')``, or a RoI layer of ``mmcv.ops``.
        """
        scope = scope or self.scope
        target = find(name, registry, scope)
        if target is None and not strict:
            found = (_get(each, name) for each in _registries(scope))
            target = next((item for item in found if item is not None), None)
            leaf = name.rpartition('.')[2]
            if target is None and (leaf[:1].islower() or hasattr(mmcv.ops, leaf)):
                return None
        if target is None:
            raise UserError(_unknown(name, key, registry, strict, scope))
        return target


def find(name, registry, scope):
    """Class of ``name`` in a root registry under ``scope``, or None."""
    has_child = '.' not in name and scope in registry.children
    return _get(registry, f'{scope}.{name}' if has_child else name)


def registered_name(target, scope):
    """Name by which a config of ``scope`` finds a registered class or function, or None."""
    package, name = target.__module__.partition('.')[0], target.__name__
    with suppress(UserError):  # from a package without registries
        _import_scope(package, 'type')
        for registry in _registries(package):
            if registry.module_dict.get(name) is target:
                bare = find(name, registry.root, scope) is target
                return name if bare else f'{package}.{name}'
    return None


def _get(registry, name):
    try:
        return registry.get(name)
    except RuntimeError as error:
        if name in str(error):  # "Failed to get NAME": no module of that name either
            return None
        raise


def check_keys(accepted, label, node, path, caller_keys=()):
    """Check keys (less ``caller_keys``) and values of a config dict against its class ``label``."""
    names, closed, hints = accepted
    for key, value in node.items():
        if key in caller_keys or key in ('type', '_scope_'):
            continue
        if key in names:
            check_argument(label, path, key, value, hints.get(key))
            continue
        meant = misspelled(key, names)
        if not closed and meant is None:
            continue
        near = [meant] if meant else near_names(key, names)
        takes = f'it takes {", ".join(sorted(names))}' if names else 'it takes no arguments'
        hint = f'did you mean {" or ".join(map(repr, near))}?' if near else takes
        raise UserError(f'{path} has a wrong key: {label} takes no {key!r}; {hint}')


def _registries(scope):
    """Every registry of the package ``scope``."""
    module = importlib.import_module(f'{scope}.registry')
    return [value for value in vars(module).values() if isinstance(value, Registry)]


def _import_scope(scope, key):
    """The module ``<scope>.registry``, whose import adds the registries of that scope."""
    try:
        return importlib.import_module(f'{scope}.registry')
    except ModuleNotFoundError as error:
        if error.name not in (scope, f'{scope}.registry'):
            raise
        near = near_names(scope, ('mmdet', 'mmengine', 'mmlite', 'mmpretrain', 'mmseg'))
        message = f'{key}={scope!r} is not an installed OpenMMLab package'
        raise UserError(with_near(message, near)) from error


def _unknown(name, key, registry, strict, scope):
    """Sentence for a name that no registry knows, with near names of every scope."""
    known = {} if strict else {entry: entry for r in _registries(scope) for entry in r.module_dict}
    for child in (*registry.children.values(), registry):
        child.import_from_location()
        bare = child is registry or child.scope == scope
        for entry in child.module_dict:
            if bare or entry not in known:
                known[entry] = entry if bare else f'{child.scope}.{entry}'
    near = [known[entry] for entry in near_names(name.rsplit('.', 1)[-1], known)]
    message = f'{key}={name!r} is not a registered {registry.name} in scope {scope!r}'
    return with_near(message, near)
