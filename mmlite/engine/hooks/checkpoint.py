"""Checkpoints of data only, from which training resumes exactly, and which no kill destroys."""

import copy
from contextlib import contextmanager
from pathlib import Path

from mmengine.dist import all_gather_object, get_rank, is_main_process
from mmengine.hooks import CheckpointHook as BaseCheckpointHook

from mmlite.registry import HOOKS

from ..checkpointing import ATOMIC, POINTER, AtomicLocalBackend, restore_types, to_plain
from ..loops import capture_rng, restore_rng
from .fit import unwrap_model

RANDOM_STATES = 'random_states'  # key in a checkpoint: of every process, by rank
MIDWAY = 'midway_checkpoint'  # key of the message hub: a checkpoint of CheckpointHook.save_now


@HOOKS.register_module()
class CheckpointHook(BaseCheckpointHook):
    """mmengine's ``CheckpointHook`` with these differences; the tools use it in its place.

    * A checkpoint holds tensors and plain types only: ``torch.load(file, weights_only=True)``.
    * It holds the state of all random generators of every process, which are restored before the
      first step, unless the number of processes has changed.
    * ``meta['backbone']`` holds ``model.backbone.describe()``, where the backbone has it.
    * ``last_checkpoint`` names a file, and outdated ones are removed, only when it is complete:
      while a checkpoint is saved, the disk holds one more than ``max_keep_ckpts``.

    Raises:
        CheckpointError: While saving, no space is left, the directory is not writable or the
            checkpoint holds an object that is not plain.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        remote = '://' in str(self.out_dir or '')
        if self.backend_args is None and self.file_client_args is None and not remote:
            self.backend_args = dict(backend=ATOMIC)
        self._gathered = self._loaded = None
        self.saved_iter = None  #: int | None: Steps before the newest checkpoint of this process.

    def before_train(self, runner):
        """See mmengine; also remove what killed processes left behind."""
        super().before_train(runner)
        self.best_ckpt_path = self._own(getattr(self, 'best_ckpt_path', None))
        best = getattr(self, 'best_ckpt_path_dict', {})
        self.best_ckpt_path_dict = {key: self._own(path) for key, path in best.items()}
        if is_main_process():
            for file in Path(self.out_dir).glob('.*.pth.*.partial'):
                file.unlink()

    def before_save_checkpoint(self, runner, checkpoint):
        """Add random states and the description of the backbone, make everything plain."""
        backbone = getattr(unwrap_model(runner.model), 'backbone', None)
        if hasattr(backbone, 'describe'):
            checkpoint['meta']['backbone'] = backbone.describe()
        if self._gathered:
            checkpoint[RANDOM_STATES] = self._gathered
        checkpoint.update(to_plain(checkpoint))

    def after_load_checkpoint(self, runner, checkpoint):
        """Restore the types that mmengine resumes from, in place."""
        restore_types(checkpoint)
        self._loaded = checkpoint.get(RANDOM_STATES)
        # mmengine would run this text as a config, and a checkpoint is no program
        checkpoint.get('meta', {}).pop('config', None)

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        """Restore the random generators before the first step of a resumed run."""
        states, self._loaded = self._loaded, None
        if not states or not runner.iter:  # only the weights were loaded
            return
        if len(states) == runner.world_size:
            restore_rng(states[get_rank()])
        else:
            runner.logger.warning(
                f'The checkpoint was saved by {len(states)} processes and is resumed by '
                f'{runner.world_size}: random numbers are not those of an undisturbed run.'
            )

    def save_now(self, runner):
        """Path of a checkpoint of the current step, saved in ``after_train_iter``.

        It is named ``epoch_3_iter_42.pth``, by finished epochs and all steps, or ``iter_42.pth``
        where the others are named so, and is removed when the next one is saved.
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
            if self.max_keep_ckpts > 0 and step not in self.keep_ckpt_ids:
                if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
                    old = self.filename_tmpl.format(self.keep_ckpt_ids[0])
                    self.file_backend.remove(self.file_backend.join_path(self.out_dir, old))
                self.keep_ckpt_ids.append(step)
                runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
            midway = self._own(runner.message_hub.runtime_info.pop(MIDWAY, None))
            if midway:
                self.file_backend.remove(midway)
            self._save(runner, self.filename_tmpl.format(step), meta)

    def _own(self, path):
        """The file of that name in ``out_dir``, which may be moved or copied; None without it."""
        own = path and self.file_backend.join_path(self.out_dir, Path(path).name)
        return own if own and self.file_backend.exists(own) else None

    def _save(self, runner, name, meta):
        """Write a checkpoint, then the pointer to it; every process takes part."""
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        self._gathered = all_gather_object(capture_rng())
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
        """Delay the removals of the enclosed code until it has saved without an error."""
        backend, outdated = self.file_backend, []
        self.file_backend = copy.copy(backend)
        self.file_backend.remove = outdated.append
        try:
            yield
        finally:
            self.file_backend = backend
        best = getattr(self, 'best_ckpt_path_dict', {}).values()
        current = {self.last_ckpt, getattr(self, 'best_ckpt_path', None), *best}
        for path in set(outdated) - current:  # a new file may have taken an old one's name
            if is_main_process() and self.file_backend.isfile(path):
                self.file_backend.remove(path)
