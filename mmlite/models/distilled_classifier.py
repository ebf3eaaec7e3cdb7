"""Classification with the predictions of a teacher as further labels."""

import torch
import torch.nn.functional as F
from mmpretrain.models import ImageClassifier

from mmlite.registry import MODELS
from mmlite.utils.names import check_known

from .frozen_teacher import FrozenTeacher


@MODELS.register_module()
class DistilledClassifier(FrozenTeacher, ImageClassifier):
    """mmpretrain's classifier, distilled from the logits of a frozen one (DeiT, arXiv 2012.12877).

    The loss is ``(1 - alpha) * loss_of_labels + alpha * loss_of_teacher`` of the same logits
    (section 4, eqs. 2 and 3). There is no distillation token: MAE-Lite fine-tunes the mean of the
    patch tokens.

    Args:
        teacher (dict): Any classifier of the same classes and normalization, e.g. mmpretrain's
            ``TimmClassifier``. With ``pretrained=True`` its weights are read when a training
            initializes the model: a test needs none.
        distill_type (str): ``'hard'``, cross-entropy with the teacher's class; or ``'soft'``, the
            KL divergence of the teacher's distribution times ``temperature ** 2``, mean over images
            and classes as in DeiT's code. Defaults to ``'hard'``.
        alpha (float): Share of the teacher. Defaults to 0.5.
        temperature (float): Of both distributions, for ``'soft'``. Defaults to 1.0.
        *args, **kwargs: As in mmpretrain's ``ImageClassifier``.
    """

    def __init__(
        self, *args, teacher, distill_type='hard', alpha=0.5, temperature=1.0, **kwargs
    ):  # fmt: skip
        super().__init__(*args, **kwargs)
        check_known('distill_type', distill_type, ('hard', 'soft'))
        self.distill_type, self.alpha, self.temperature = distill_type, alpha, temperature
        self.teacher_cfg = dict(teacher)
        self.teacher = MODELS.build({k: v for k, v in teacher.items() if k != 'pretrained'})
        self.freeze_teacher()

    def init_weights(self):
        """Initialize the student and load the teacher's weights."""
        super().init_weights()
        if self.teacher_cfg.get('pretrained'):
            self.teacher.load_state_dict(MODELS.build(dict(self.teacher_cfg)).state_dict())

    def loss(self, inputs, data_samples):
        """``loss_label`` and ``loss_teacher`` of normalized images (B, 3, H, W), weighted."""
        logits = self.head(self.extract_feat(inputs))
        label = self.head._get_loss(logits, data_samples)['loss']
        with torch.no_grad():
            target = self.teacher(inputs).float()
        teacher = self._teacher_loss(logits.float(), target)
        return dict(loss_label=(1 - self.alpha) * label, loss_teacher=self.alpha * teacher)

    def _teacher_loss(self, logits, target):
        if self.distill_type == 'hard':
            return F.cross_entropy(logits, target.argmax(dim=1))
        given, wanted = (F.log_softmax(x / self.temperature, dim=1) for x in (logits, target))
        return self.temperature**2 * F.kl_div(given, wanted, reduction='mean', log_target=True)
