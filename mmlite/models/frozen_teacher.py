"""A frozen teacher inside a model that is trained."""

import re

import torch


class FrozenTeacher:
    """Mixin of modules with a ``teacher``: no gradient, evaluation mode, not in checkpoints."""

    def freeze_teacher(self):
        """Freeze ``teacher``, from now on without a place in state dicts."""
        self.teacher.requires_grad_(False).eval()
        self._register_state_dict_hook(_drop_teacher)
        self.register_load_state_dict_post_hook(_forget_teacher)

    def train(self, mode=True):
        """Set the mode of all but the teacher."""
        super().train(mode)
        self.teacher.eval()
        return self

    @torch.no_grad()
    def teacher_checksum(self):
        """Sum and sum of squares of each of the teacher's tensors, float64 (tensors, 2)."""
        tensors = [tensor.double() for tensor in self.teacher.state_dict().values()]
        return torch.stack([torch.stack([t.sum(), t.square().sum()]) for t in tensors])


def _drop_teacher(module, state_dict, prefix, local_metadata):
    """State-dict hook: leave the teacher out of checkpoints."""
    for key in [key for key in state_dict if key.startswith(f'{prefix}teacher.')]:
        del state_dict[key]


def _forget_teacher(module, incompatible_keys):
    """Post-load hook: do not report the teacher as missing."""
    missing = incompatible_keys.missing_keys
    missing[:] = [key for key in missing if not re.search(r'(^|\.)teacher\.', key)]
