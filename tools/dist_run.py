"""Start the processes of a distributed run by torchrun and return their exit code.

torchrun itself prints a traceback, which buries the sentence of the process that failed. Used by
``dist_train.sh`` and ``dist_test.sh``.
"""

import subprocess
import sys


class Process(subprocess.Popen):
    """A process that torchrun starts, kept under its local rank."""

    latest = {}

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        rank = (options.get('env') or {}).get('LOCAL_RANK')
        if rank is not None:
            self.latest[rank] = self


def main():
    subprocess.Popen = Process  # before torchrun imports it
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun

    try:
        torchrun()
    except ChildFailedError as error:
        return exit_code([failure.exitcode for failure in error.failures.values()], default=1)
    except SignalException as error:  # torchrun has passed it on and waited
        codes = [process.poll() for process in Process.latest.values()]
        return exit_code(codes, default=128 + error.sigval) if any(codes) else 0
    return 0


def exit_code(codes, default):
    """Code of a process that ended by itself; the others may have been killed."""
    return next((code for code in codes if code is not None and code > 0), default)


if __name__ == '__main__':
    sys.exit(main())
