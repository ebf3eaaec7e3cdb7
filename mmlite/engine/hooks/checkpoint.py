"""Checkpoints that hold data only, and that a full disk cannot destroy."""

from contextlib import contextmanager

from mmengine.hooks import CheckpointHook as BaseCheckpointHook

from mmlite.errors import CheckpointError
from mmlite.registry import HOOKS

from ..atomic_backend import ATOMIC
from ..plain import restore, to_plain
from .fit import bare_model


@HOOKS.register_module()
class CheckpointHook(BaseCheckpointHook):
    """mmengine's ``CheckpointHook`` with three differences.

    * A checkpoint is made of plain tensors and plain types (see :mod:`~mmlite.engine.plain`), so
      ``torch.load(file, weights_only=True)`` reads it without an allow-list. Resuming brings the
      log history back.
    * ``meta['backbone']`` holds ``model.backbone.describe()``, where the backbone has it.
    * A file is written beside its place and moved there when whole, and outdated checkpoints go
      only after that: while a checkpoint is saved, the disk holds one more than
      ``max_keep_ckpts``.

    The tools use it in place of mmengine's, whatever the config says. Arguments are the same.

    Raises:
        CheckpointError: While saving, no space is left, the folder is not writable or the
            checkpoint holds an object that is not plain.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        remote = '://' in str(self.out_dir or '')
        if self.backend_args is None and self.file_client_args is None and not remote:
            self.backend_args = dict(backend=ATOMIC)

    def before_save_checkpoint(self, runner, checkpoint):
        """Add the description of the backbone and make everything plain, in place."""
        backbone = getattr(bare_model(runner.model), 'backbone', None)
        if hasattr(backbone, 'describe'):
            checkpoint['meta']['backbone'] = backbone.describe()
        checkpoint.update(to_plain(checkpoint))

    def after_load_checkpoint(self, runner, checkpoint):
        """Bring back the types that mmengine resumes from, in place."""
        restore(checkpoint)
        # mmengine would run this text as a config, and a checkpoint is no program
        checkpoint.get('meta', {}).pop('config', None)

    def _save_checkpoint_with_step(self, runner, step, meta):
        with self._removal_after_saving():
            super()._save_checkpoint_with_step(runner, step, meta)

    def _save_best_checkpoint(self, runner, metrics):
        with self._removal_after_saving():
            super()._save_best_checkpoint(runner, metrics)

    @contextmanager
    def _removal_after_saving(self):
        """Put off the removals of the enclosed code until it has saved without an error."""
        backend, outdated = self.file_backend, []
        self.file_backend = _WithoutRemoval(backend, outdated)
        try:
            yield
        except OSError as error:  # of the small file ``last_checkpoint``
            raise CheckpointError(
                f'cannot write to {error.filename or self.out_dir}: {error.strerror}'
            ) from error
        finally:
            self.file_backend = backend
        best = getattr(self, 'best_ckpt_path_dict', {}).values()
        current = {self.last_ckpt, getattr(self, 'best_ckpt_path', None), *best}
        for path in set(outdated) - current:  # a new file may have taken an old one's name
            self.file_backend.remove(path)


class _WithoutRemoval:
    """A file backend whose ``remove`` only notes the path."""

    def __init__(self, backend, noted):
        self._backend = backend
        self.remove = noted.append

    def __getattr__(self, name):
        return getattr(self._backend, name)
