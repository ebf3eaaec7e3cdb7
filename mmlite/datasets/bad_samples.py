"""Policy for training samples that are unreadable or malformed."""

import csv
import logging
import traceback
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np
from filelock import FileLock
from mmengine.logging import print_log

from mmlite.errors import ArgumentError, DataError, UserError

from .wrapped import WrappedDataset

MAX_TRIES = 1000
HEADER = ('sample', 'reason')


class BadSamples:
    """Policy for bad training samples: a share ``max_share`` of ``size`` may be bad.

    ``file``, a CSV file of sample and reason, names each once; all processes share it.
    """

    def __init__(self, file, size, max_share=0.0):
        if type(max_share) not in (int, float) or not 0 <= max_share <= 1:
            raise ArgumentError(
                f'train_cfg.max_bad_share must be a number from 0 to 1 (got {max_share!r})'
            )
        self.file = Path(file)
        self.size = size
        self.max_share = max_share
        self._known = set()

    def note(self, sample, error):
        """Report a bad sample by name; raise ``error`` or another DataError if too many are bad."""
        if not self.max_share:
            raise error
        row = (str(sample), ' '.join(str(error).split()))
        if row not in self._known:
            with ExitStack() as stack:
                with suppress(OSError, NotImplementedError):  # then a row may be reported twice
                    lock = FileLock(self.file.with_name(f'.{self.file.name}.lock'), timeout=60)
                    stack.enter_context(lock)
                rows = self._rows()
                self._known = {*rows, row}
                if row not in rows:  # unless another process has reported it
                    self._append(row)
                    print_log(f'Left out: {row[1]}', logger='current', level=logging.WARNING)
        if self.count > self.max_share * self.size:
            raise DataError(
                f'{self.count} of {self.size} training samples are unreadable or malformed, more '
                f'than train_cfg.max_bad_share={self.max_share} allows: {self.file} lists them; '
                f'the last: {row[1]}'
            ) from error

    @property
    def count(self):
        """Bad samples that this process knows of."""
        return len({sample for sample, _ in self._known})

    def begin(self, resume):
        """Read the report of the run that is resumed, or remove that of an earlier one."""
        if not resume:
            self.file.unlink(missing_ok=True)
        self.read()

    def read(self):
        """Read what all processes have reported; returns :attr:`count`."""
        self._known = self._rows()
        return self.count

    def summary(self):
        return (
            f'{self.count} of {self.size} training samples are unreadable or malformed and were '
            f'replaced by others: {self.file} names them'
        )

    def _rows(self):
        """Sound rows of the report, without the header."""
        if not self.file.exists():
            return set()
        with open(self.file, newline='', encoding='utf-8') as file:
            return {tuple(row) for row in csv.reader(file) if len(row) == 2} - {HEADER}

    def _append(self, row):
        text = self.file.read_bytes() if self.file.exists() else b''
        with open(self.file, 'a', newline='', encoding='utf-8') as file:
            if text and not text.endswith(b'\n'):  # its writer was killed
                file.write('\n')
            csv.writer(file, lineterminator='\n').writerows([row] if text else [HEADER, row])


class SkippingDataset(WrappedDataset):
    """Replace a bad sample by a random other one, if the policy :class:`BadSamples` allows that."""

    def __init__(self, dataset, bad_samples):
        super().__init__(dataset, policy=bad_samples)

    def __getitem__(self, index):
        if isinstance(index, tuple):  # of TrackPairs, which asks the policy itself
            return self.dataset[index]
        for _ in range(MAX_TRIES):
            try:
                return self.dataset[index]
            except Exception as error:  # transforms and decoders raise whatever they like
                if isinstance(error, (MemoryError, UserError)) and not isinstance(error, DataError):
                    raise  # no fault of the sample
                known = hasattr(self.dataset, 'get_data_info')
                info = self.dataset.get_data_info(index) if known else {}
                name = str(info.get('img_path') or f'sample {index}')
                self.policy.note(name, as_data_error(name, error))
            index = np.random.randint(len(self))
        raise DataError(f'{MAX_TRIES} samples drawn at random are bad: {self.policy.file}')


def as_data_error(name, error):
    """A :class:`DataError` of any exception, which says where it was raised."""
    if isinstance(error, DataError):
        return error
    frame = traceback.extract_tb(error.__traceback__)[-1]
    position = f'{"/".join(Path(frame.filename).parts[-3:])}, line {frame.lineno}'
    reason = f'{type(error).__name__}: {error} ({position})'
    result = DataError(f'sample {name} cannot be prepared: {reason}')
    result.__cause__ = error
    return result
