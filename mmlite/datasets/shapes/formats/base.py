"""Interface of the formats, and their writers of files."""

from mmlite.utils import encode_jpeg

_JPEG_QUALITY = 92


class Format:
    """Writer of the set of a ``Job`` in one official layout.

    Items are written one by one, in any order and by any process; ``finish`` then writes the files
    that list all of them.

    Attributes:
        task, folder (str): Key in ``FORMATS``; name of the set's directory.
        unit (str): ``'images'`` or ``'sequences'``.
        entries (tuple[str]): Names of the files and directories that can make up the set.
    """

    task = folder = ''
    unit = 'images'
    entries = ()

    def __init__(self, job):
        self.job = job

    def counts(self):
        """Number of items of every split, a dict."""
        return {'train': self.job.train, 'val': self.job.val}

    def write(self, split, index):
        """Write item ``index`` (from 0) of ``split``; return its record, plain JSON data."""
        raise NotImplementedError

    def finish(self, records):
        """Write the common files from ``{split: [record, ...]}``, records in order of index."""


def write_jpeg(path, image):
    """Write an RGB image and its directory; not atomic, since an item counts once its record is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_jpeg(image, _JPEG_QUALITY))


def write_frames(folder, sequence):
    """Write ``00000001.jpg``, ... of a sequence; return the TargetState of every frame."""
    states = []
    for number, (rendering, state) in enumerate(sequence.frames(), 1):
        write_jpeg(folder / f'{number:08d}.jpg', rendering.image)
        states.append(state)
    return states


def write_lines(path, lines):
    """Write a text file, making its directory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('\n'.join(map(str, lines)) + '\n')
