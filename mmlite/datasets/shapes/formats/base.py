"""What every format has in common."""


class Format:
    """Writes one set in one official layout.

    Items are written one by one, in any order and by any process; ``finish`` then writes the files
    that speak of all of them. The class attributes describe the layout.

    Args:
        job (Job): the set.
    """

    task = ''
    folder = ''
    """Name of the set's folder in the output folder."""
    unit = 'pictures'
    entries = ()
    """Names of the files and folders that can make up the set."""

    def __init__(self, job):
        self.job = job

    def counts(self):
        """dict[str, int]: items of every split."""
        return {'train': self.job.train, 'val': self.job.val}

    def write(self, split, index):
        """Write item ``index`` (from 0) of ``split``; return its record, plain JSON data."""
        raise NotImplementedError

    def finish(self, records):
        """Write the common files from ``{split: [record, ...]}``, records in order of index."""
        raise NotImplementedError

    def preview(self):
        """Sheet: a few items read back from the finished files."""
        raise NotImplementedError
