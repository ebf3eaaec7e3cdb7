"""Start the processes of a distributed run as ``torchrun`` does, and end as they ended.

``torchrun`` answers a failed process with a traceback of its own, which buries the one sentence
that the process wrote. Used by ``dist_train.sh`` and ``dist_test.sh``.
"""

import sys

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main

STOPPED = 75  # mmlite.errors.Stopped.exit_code, without importing all of it

if __name__ == '__main__':
    try:
        main()
    except ChildFailedError as error:
        exit_codes = [failure.exitcode for failure in error.failures.values()]
        sys.exit(next((code for code in exit_codes if code > 0), 1))
    except SignalException:
        # it was passed on to the processes, which have saved (mmlite.engine.hooks.stop.StopHook)
        sys.exit(STOPPED)
