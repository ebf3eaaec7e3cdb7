"""Names of NumPy 1 in metrics.

``np.in1d`` in the retrieval metrics of mmpretrain 1.2 is gone in NumPy 2.4, ``np.float`` in the
YouTube-VIS metric of mmdet 3.3 in NumPy 1.24.
"""

from types import ModuleType

import numpy as np

MODULES = ('mmpretrain.evaluation.metrics.retrieval', 'mmdet.evaluation.functional.ytviseval')


def mend(module):
    """Give the module a NumPy of its own that has the names."""
    module.np = ModuleType('numpy')
    vars(module.np).update(dict(in1d=np.isin, float=float) | vars(np))
