"""Archives and safetensors files that say what is not so, or hold more than they should."""

import io
import json
import tarfile
import zipfile
from struct import pack

from hostile_files import call, pickled, write_legacy, write_zip


def overlapping(path, data, copies=50):
    """An archive whose directory names the same 4 KiB many times."""
    write_zip(
        path, data, [(f'a/data/{i:02d}', bytes(4096) if not i else b'') for i in range(copies)]
    )
    content = bytearray(path.read_bytes())
    first = content.index(b'PK\x01\x02')
    entries = [i for i in range(first, len(content)) if content[i : i + 4] == b'PK\x01\x02'][2:]
    like = content[entries[0] + 10 : entries[0] + 28], content[entries[0] + 42 : entries[0] + 46]
    for entry in entries:
        content[entry + 10 : entry + 28], content[entry + 42 : entry + 46] = like
    path.write_bytes(content)
    return path


def lying(path, data):
    """An archive whose directory says that a record of four bytes has nearly 4 GiB."""
    write_zip(path, data, [('a/data/0', bytes(4))])
    content = bytearray(path.read_bytes())
    size = content.rindex(b'PK\x01\x02') + 24
    content[size - 4 : size + 4] = pack('<II', 2**32 - 2, 2**32 - 2)
    path.write_bytes(content)
    return path


def archives(flag):
    """Name -> function of a path that writes it there; each holds a program beside plain data."""
    good, bad = pickled({'w': 1}), pickled({'x': call('os.system', f'touch {flag}')})
    inner = write_zip(io.BytesIO(), bad).getvalue()
    return {
        'second data.pkl in a folder': lambda p: write_zip(p, good, [('a/b/data.pkl', bad)]),
        'second archive': lambda p: write_zip(p, good, [('b/data.pkl', bad)]),
        'data.pkl twice': lambda p: write_zip(p, good, [('a/data.pkl', bad)]),
        'data.pkl twice, bad first': lambda p: write_zip(p, bad, [('a/data.pkl', good)]),
        'data.PKL': lambda p: write_zip(p, good, [('a/data.PKL', bad), ('A/data.pkl', bad)]),
        'zip as data.pkl': lambda p: write_zip(p, inner),
        'zip as a record': lambda p: write_zip(p, good, [('a/data/0', inner)]),
        'zip behind a zip': lambda p: p.write_bytes(write_zip(p, good).read_bytes() + inner),
        'zip behind a pickle': lambda p: p.write_bytes(bad + inner),
        'bare pickle': lambda p: p.write_bytes(bad),
        'program as magic number': lambda p: p.write_bytes(bad + bad),
        'program behind the data': lambda p: write_legacy(p, good, behind=bad),
        'program as storage keys': lambda p: write_legacy(p, good, keys=bad),
        'entry above': lambda p: write_zip(p, good, [('../flag', b'x'), ('a/../../flag', b'x')]),
        'absolute entry': lambda p: write_zip(p, good, [(str(flag), b'x')]),
        'entry of Windows': lambda p: write_zip(p, good, [('C:\\flag', b''), ('..\\flag', b'')]),
        'program compressed': lambda p: write_zip(p, bad, (), zipfile.ZIP_DEFLATED),
        'TorchScript': lambda p: write_zip(p, good, [('a/constants.pkl', bad), ('a/code/x', bad)]),
        'tar': lambda p: _tar(p, 'w', bad),
        'tar.gz': lambda p: _tar(p, 'w:gz', bad),
        'tar.bz2': lambda p: _tar(p, 'w:bz2', bad),
    }  # fmt: skip


def _tar(path, mode, data):
    with tarfile.open(path, mode) as archive:
        for name in ('storages', 'tensors', 'pickle', '../flag'):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


GROWING = {
    'zeros in a record': lambda p, data: write_zip(
        p, data, [('a/data/0', bytes(2**24))], zipfile.ZIP_DEFLATED
    ),
    'a pickle of zeros': lambda p, data: write_zip(
        p, pickled({'x': '0' * 2**24}), (), zipfile.ZIP_DEFLATED
    ),
    'bzip2': lambda p, data: write_zip(p, data, [('a/data/0', bytes(2**24))], zipfile.ZIP_BZIP2),
    'records on top of each other': overlapping,
    'a size that is a lie': lying,
}
"""Archives that unpack to more than their size."""


def _header(**entries):
    text = json.dumps(entries).encode()
    return pack('<Q', len(text)) + text + bytes(8)


def _entry(**changes):
    return dict(dict(dtype='F32', shape=[2], data_offsets=[0, 8]), **changes)


SAFETENSORS = {
    'no header': b'\x01',
    'header of 2 ** 63 bytes': pack('<Q', 2**63) + b'{}',
    'header longer than the file': pack('<Q', 10**6) + b'{}',
    'header of nothing': pack('<Q', 0),
    'deep header': pack('<Q', 10**6) + b'[' * 10**6,
    'header of no text': pack('<Q', 4) + b'\xff\xfe\xfd\xfc',
    'header that is a list': pack('<Q', 2) + b'[]',
    'beyond the file': _header(a=_entry(shape=[2000], data_offsets=[0, 8000])),
    'before the file': _header(a=_entry(data_offsets=[-8, 0])),
    'backwards': _header(a=_entry(data_offsets=[8, 0])),
    'overflow': _header(a=_entry(shape=[2**62, 2**62])),
    'another shape': _header(a=_entry(shape=[3])),
    'negative shape': _header(a=_entry(shape=[-2])),
    'twice the same bytes': _header(a=_entry(), b=_entry()),
    'hole': _header(a=_entry(data_offsets=[4, 8], shape=[1])),
    'unknown type': _header(a=_entry(dtype='OBJECT')),
    'metadata of numbers': _header(__metadata__={'a': 1}, a=_entry()),
    'a pickle': pickled({'x': call('os.system', 'true')}),
}
"""Contents of .safetensors files. None of them may be read."""
