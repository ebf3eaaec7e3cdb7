"""Which checkpoint a run goes on from."""

import re
import zipfile
from pathlib import Path

from mmengine.logging import print_log

from mmlite import stack
from mmlite.errors import CheckpointError

POINTER = 'last_checkpoint'
"""File of a work directory that names its newest checkpoint."""


def find_checkpoint(work_dir):
    """The newest whole checkpoint of a work directory.

    It is the one that ``last_checkpoint`` names, or else the one with the greatest number of
    iterations or epochs in its name. One that is torn, by a disk or a copy that broke off, is
    named in one line of the log and the one before it is taken.

    Args:
        work_dir (str | Path): A folder.

    Returns:
        Path | None: None where there is no checkpoint.

    Raises:
        CheckpointError: There are checkpoints, but none is whole.
    """
    candidates = _candidates(Path(work_dir))
    for number, path in enumerate(candidates):
        reason = damage(path)
        if reason is None:
            return path
        rest = candidates[number + 1 :]
        following = f'trying {rest[0].name}' if rest else 'there is none before it'
        print_log(f'{path} is not whole ({reason}): {following}', logger='current')
    if candidates:
        raise CheckpointError(
            f'none of the {len(candidates)} checkpoints in {work_dir} is whole: remove them to '
            'start anew'
        )
    return None


def damage(path):
    """Why a checkpoint file is not whole, None if it is.

    torch's archives carry a check sum for every tensor, all of which are compared.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
            return f'check sum of {broken} does not match' if broken else None
    except FileNotFoundError:
        return 'the file is missing'
    except zipfile.BadZipFile:
        return 'the archive is truncated'
    except OSError as error:
        return error.strerror


def saved_seed(path):
    """Seed of the run that saved a checkpoint, None where it is not recorded."""
    meta = stack.load(path).get('meta')
    return meta.get('seed') if isinstance(meta, dict) else None


def _candidates(folder):
    """Checkpoints of a folder, the one to try first first."""
    found = [path for path in folder.glob('*.pth') if _progress(path)]
    found.sort(key=lambda path: (_progress(path), path.stat().st_mtime_ns), reverse=True)
    pointer = folder / POINTER
    named = Path(pointer.read_text().strip()) if pointer.is_file() else None
    if named is not None:
        # the folder may have been moved
        named = named if named.parent != folder and named.is_file() else folder / named.name
        found = [named, *(path for path in found if path.name != named.name)]
    return found


def _progress(path):
    """Numbers in the name of a checkpoint, e.g. (3, 42) for ``epoch_3_iter_42.pth``."""
    if not re.match(r'(epoch|iter)_\d+', path.stem):
        return ()
    return tuple(map(int, re.findall(r'\d+', path.stem)))
