"""Checkpoints of data only, from which training goes on exactly, and which no kill destroys."""

from contextlib import contextmanager
from pathlib import Path

from mmengine.dist import all_gather_object, get_rank, is_main_process
from mmengine.hooks import CheckpointHook as BaseCheckpointHook

from mmlite.registry import HOOKS

from .. import random_state
from ..atomic_backend import ATOMIC, AtomicLocalBackend
from ..plain import restore, to_plain
from ..resume import POINTER
from .fit import unwrap_model

RANDOM_STATES = 'random_states'
"""Key in a checkpoint: the state of the random generators of every process, by rank."""

MIDWAY = 'midway_checkpoint'
"""Key of the message hub: a checkpoint that :meth:`CheckpointHook.save_now` saved."""


@HOOKS.register_module()
class CheckpointHook(BaseCheckpointHook):
    """mmengine's ``CheckpointHook`` with these differences.

    * A checkpoint is made of plain tensors and plain types (see :mod:`~mmlite.engine.plain`), so
      ``torch.load(file, weights_only=True)`` reads it without an allow-list. Resuming brings the
      log history back.
    * It holds the state of all random generators of every process. They are put back before the
      first step after resuming; with another number of processes they are not, and the log says so.
    * ``meta['backbone']`` holds ``model.backbone.describe()``, where the backbone has it.
    * A file is written beside its place and moved there when whole. ``last_checkpoint`` names it
      only then, and outdated checkpoints go only after that: while a checkpoint is saved, the disk
      holds one more than ``max_keep_ckpts``.

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
        self._gathered = self._loaded = None
        self.saved_iter = None  #: int | None: Steps behind the newest checkpoint of this process.

    def before_save_checkpoint(self, runner, checkpoint):
        """Add random states and the description of the backbone, make everything plain."""
        backbone = getattr(unwrap_model(runner.model), 'backbone', None)
        if hasattr(backbone, 'describe'):
            checkpoint['meta']['backbone'] = backbone.describe()
        if self._gathered:
            checkpoint[RANDOM_STATES] = self._gathered
        checkpoint.update(to_plain(checkpoint))

    def after_load_checkpoint(self, runner, checkpoint):
        """Bring back the types that mmengine resumes from, in place."""
        restore(checkpoint)
        self._loaded = checkpoint.get(RANDOM_STATES)
        # mmengine would run this text as a config, and a checkpoint is no program
        checkpoint.get('meta', {}).pop('config', None)

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        """Put the random generators back before the first step of a resumed run."""
        states, self._loaded = self._loaded, None
        if not states or not runner.iter:  # the weights were loaded to start anew
            return
        if len(states) == runner.world_size:
            random_state.restore(states[get_rank()])
        else:
            runner.logger.warning(
                f'The checkpoint was saved by {len(states)} processes and goes on with '
                f'{runner.world_size}: random numbers are not those of an undisturbed run.'
            )

    def save_now(self, runner):
        """Save a checkpoint after the current step, in ``after_train_iter``.

        It is called ``epoch_3_iter_42.pth``, by the epochs that are finished and all steps, or
        ``iter_42.pth`` where the others are called so, and goes when the next one is saved.

        Returns:
            str: Its path, or that of a checkpoint that has been saved after this step already.
        """
        done = runner.iter + 1
        if self.saved_iter != done:
            name = f'epoch_{runner.epoch}_iter_{done}.pth' if self.by_epoch else f'iter_{done}.pth'
            path = self.file_backend.join_path(self.out_dir, name)
            runner.message_hub.update_info(MIDWAY, path)
            self._save(runner, name, dict(epoch=runner.epoch, iter=done))
        return self.last_ckpt

    def _save_checkpoint_with_step(self, runner, step, meta):
        with self._removal_after_saving():
            self._give_up_outdated(runner, step)
            midway = runner.message_hub.runtime_info.pop(MIDWAY, None)
            if midway:
                self.file_backend.remove(midway)
            self._save(runner, self.filename_tmpl.format(step), meta)

    def _give_up_outdated(self, runner, step):
        """Remove the checkpoints beyond ``max_keep_ckpts``; call it where that is put off."""
        if self.max_keep_ckpts <= 0 or step in self.keep_ckpt_ids:
            return
        if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
            old = self.filename_tmpl.format(self.keep_ckpt_ids[0])
            self.file_backend.remove(self.file_backend.join_path(self.out_dir, old))
        self.keep_ckpt_ids.append(step)
        runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))

    def _save(self, runner, name, meta):
        """Write a checkpoint, then the pointer to it; every process takes part."""
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        self._gathered = all_gather_object(random_state.capture())
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        self._gathered, self.saved_iter = None, meta['iter']
        if is_main_process():
            pointer = Path(runner.work_dir) / POINTER
            AtomicLocalBackend().put_text(self.last_ckpt, pointer)

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
        finally:
            self.file_backend = backend
        best = getattr(self, 'best_ckpt_path_dict', {}).values()
        current = {self.last_ckpt, getattr(self, 'best_ckpt_path', None), *best}
        for path in set(outdated) - current:  # a new file may have taken an old one's name
            if is_main_process() and self.file_backend.isfile(path):
                self.file_backend.remove(path)


class _WithoutRemoval:
    """A file backend whose ``remove`` only notes the path."""

    def __init__(self, backend, noted):
        self._backend = backend
        self.remove = noted.append

    def __getattr__(self, name):
        return getattr(self._backend, name)
