"""Checkpoints that run programs, or try to: written opcode by opcode, as an attacker would."""

import marshal
import pickle
import zipfile
from dataclasses import dataclass
from struct import pack
from typing import Any

MODULE = 'mmengine.logging.history_buffer'
HISTORY = f'{MODULE}.HistoryBuffer'
NUMPY = 'numpy._core.multiarray'
ORDERED = 'collections.OrderedDict'
REBUILD = 'torch._utils._rebuild'
MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001  # of torch's legacy format
NO_KEYS = pickle.dumps([], 2)


@dataclass(frozen=True)
class Name:
    """The object of that name; ``module:a.b`` where its path in the module has dots."""

    path: str
    stacked: bool = False  # by STACK_GLOBAL


@dataclass(frozen=True)
class Call:
    """What ``function`` returns; ``new`` calls its ``__new__`` only."""

    function: Any
    args: Any
    new: bool = False


@dataclass(frozen=True)
class Build:
    """``target`` after ``__setstate__(state)``, or what takes its place."""

    target: Any
    state: Any


@dataclass(frozen=True)
class Raw:
    """Opcodes as they are."""

    code: bytes


@dataclass(frozen=True)
class Persistent:
    """What the reader makes of this persistent id."""

    key: Any


def call(path, *args):
    """Call a function by its name."""
    return Call(Name(path), args)


def getattr_(owner, *names):
    """``owner.a.b`` by the builtin."""
    for name in names:
        owner = call('builtins.getattr', owner, name)
    return owner


def module(name):
    """A module, imported."""
    return call('importlib.import_module', name)


def opcodes(value):
    """bytes: Opcodes that leave ``value`` on the stack."""
    if isinstance(value, Raw):
        return value.code
    if isinstance(value, Name):
        owner, _, last = value.path.rpartition(':' if ':' in value.path else '.')
        if value.stacked:
            return opcodes(owner) + opcodes(last) + pickle.STACK_GLOBAL
        return pickle.GLOBAL + f'{owner}\n{last}\n'.encode()
    if isinstance(value, Call):
        end = pickle.NEWOBJ if value.new else pickle.REDUCE
        return opcodes(value.function) + opcodes(value.args) + end
    if isinstance(value, Build):
        return opcodes(value.target) + opcodes(value.state) + pickle.BUILD
    if isinstance(value, Persistent):
        return opcodes(value.key) + pickle.BINPERSID
    return _plain(value)


def _plain(value):
    if isinstance(value, (tuple, list, dict)):
        items = value.items() if isinstance(value, dict) else [(item,) for item in value]
        body = b''.join(opcodes(part) for item in items for part in item)
        if isinstance(value, tuple):
            return pickle.MARK + body + pickle.TUPLE
        start = pickle.EMPTY_LIST if isinstance(value, list) else pickle.EMPTY_DICT
        end = pickle.APPENDS if isinstance(value, list) else pickle.SETITEMS
        return start + pickle.MARK + body + end
    if isinstance(value, str):
        text = value.encode()
        return pickle.BINUNICODE + pack('<I', len(text)) + text
    if isinstance(value, bytes):
        return opcodes(call('_codecs.encode', value.decode('latin1'), 'latin1'))
    code = pickle.dumps(value, protocol=2)  # numbers and None
    return code[2:-1]


def pickled(value, protocol=2):
    """bytes: A whole pickle."""
    return pickle.PROTO + bytes([protocol]) + opcodes(value) + pickle.STOP


def write_zip(path, data, entries=(), compression=zipfile.ZIP_STORED):
    """Write pickled ``data`` as torch's archive does, with more entries (name, content)."""
    with zipfile.ZipFile(path, 'w', compression) as archive:
        for name, content in [('a/data.pkl', data), ('a/version', b'3\n'), *entries]:
            archive.writestr(name, content)
    return path


def write_legacy(path, data, keys=NO_KEYS, behind=b''):
    """Write pickled ``data`` as torch did before 1.6."""
    before = b''.join(pickle.dumps(value, 2) for value in (MAGIC, VERSION, {}))
    path.write_bytes(before + data + keys + behind)
    return path


WRITERS = {'zip': write_zip, 'legacy': write_legacy}

# ---- programs: each makes the file ``flag`` -----------------------------------------------------


def _script(flag):
    file = flag.with_name('script.py')
    file.write_text(f'open({str(flag)!r}, "w")')
    return str(file)


def _inner_checkpoint(flag):
    file = flag.with_name('inner.pth')
    write_zip(file, pickled({'x': _system(flag)}))
    return str(file)


def _system(flag):
    return call('os.system', f'touch {flag}')


def _python(flag):
    return f'open({str(flag)!r}, "w").close()'


def _code_object(flag):
    return call('marshal.loads', marshal.dumps(compile(_python(flag), 'x', 'exec')))


def _function(flag):
    kind = call('builtins.type', Name('runpy.run_path'))  # FunctionType has no name
    return Call(Call(kind, (_code_object(flag), {'__builtins__': module('builtins')})), ())


def _extension(flag):
    """``copyreg`` gives os.system a number, EXT1 calls it by that."""
    registered = opcodes(call('copyreg.add_extension', 'os', 'system', 113)) + pickle.POP
    return Call(Raw(registered + pickle.EXT1 + bytes([113])), (f'touch {flag}',))


def _through_globals(flag):
    """``HistoryBuffer.mean.__globals__['__builtins__']['exec']``, from an allowed start."""
    names = getattr_(Name(HISTORY), 'mean', '__globals__')
    return _exec(Call(getattr_(names, 'get'), ('__builtins__',)), flag)


def _exec(builtins, flag):
    return Call(Call(getattr_(builtins, 'get'), ('exec',)), (_python(flag),))


def _through_subclasses(flag):
    """``HistoryBuffer.__base__.__subclasses__()``, from which all else can be reached."""
    start = getattr_(Name(HISTORY), '__init__', '__globals__', 'keys', '__class__', '__base__')
    return [Call(getattr_(start, '__subclasses__'), ()), _system(flag)]


def _object_array(flag):
    """An array of dtype object whose items are programs."""
    empty = call(f'{NUMPY}._reconstruct', Name('numpy.ndarray'), (0,), b'b')
    kind = Build(dtype('O8', False, True), (3, '|', None, None, None, -1, -1, 63))
    return Build(empty, (1, (1,), kind, False, [_system(flag)]))


PROGRAMS = {
    'os.system': _system,
    'posix.system': lambda flag: call('posix.system', f'touch {flag}'),
    'os.popen': lambda flag: Call(getattr_(call('os.popen', f'touch {flag}'), 'read'), ()),
    'os.mkdir': lambda flag: call('os.mkdir', str(flag)),
    'open': lambda flag: call('builtins.open', str(flag), 'w'),
    'io.open': lambda flag: call('io.open', str(flag), 'w'),
    'pathlib': lambda flag: call('pathlib:Path.touch', call('pathlib.PosixPath', str(flag))),
    'subprocess.run': lambda flag: call('subprocess.run', ['touch', str(flag)]),
    'subprocess.Popen': lambda flag: Call(
        getattr_(call('subprocess.Popen', ['touch', str(flag)]), 'wait'), ()
    ),
    'subprocess.getoutput': lambda flag: call('subprocess.getoutput', f'touch {flag}'),
    'pty.spawn': lambda flag: call('pty.spawn', ['touch', str(flag)]),
    'eval': lambda flag: call('builtins.eval', _python(flag)),
    'exec': lambda flag: call('builtins.exec', _python(flag)),
    'python 2 names': lambda flag: call('__builtin__.eval', _python(flag)),
    'compile': lambda flag: call(
        'builtins.eval', call('builtins.compile', _python(flag), '', 'eval')
    ),
    '__import__': lambda flag: Call(
        getattr_(call('builtins.__import__', 'os'), 'system'), (f'touch {flag}',)
    ),
    'import_module': lambda flag: Call(getattr_(module('os'), 'system'), (f'touch {flag}',)),
    'functools.partial': lambda flag: Call(
        call('functools.partial', Name('os.system'), f'touch {flag}'), ()
    ),
    'functools.reduce': lambda flag: call(
        'functools.reduce', Name('_operator.call'), [Name('os.system'), f'touch {flag}']
    ),
    'map': lambda flag: call(
        'builtins.list', call('builtins.map', Name('os.system'), [f'touch {flag}'])
    ),
    'operator.attrgetter': lambda flag: Call(
        Call(call('operator.attrgetter', 'system'), (module('os'),)), (f'touch {flag}',)
    ),
    'operator.methodcaller': lambda flag: Call(
        call('operator.methodcaller', 'system', f'touch {flag}'), (module('os'),)
    ),
    'operator.call': lambda flag: call('operator.call', Name('os.system'), f'touch {flag}'),
    'runpy': lambda flag: call('runpy.run_path', _script(flag)),
    'pickle.loads': lambda flag: call('pickle.loads', pickled(_system(flag))),
    '_pickle.loads': lambda flag: call('_pickle.loads', pickled(_system(flag))),
    'torch.load': lambda flag: call('torch.load', _inner_checkpoint(flag), 'cpu', module('pickle')),
    'torch.hub': lambda flag: call('torch.hub.load', '/nowhere', 'm', 'local'),
    'torch.classes': lambda flag: call('torch:ops.load_library', str(flag)),
    'mmengine.load': lambda flag: call('mmengine.config:Config.fromfile', _script(flag)),
    'mmengine registry': lambda flag: call('mmengine.registry:MODELS.build', {'type': 'X'}),
    'marshal and FunctionType': _function,
    'CodeType': lambda flag: call('builtins.exec', _code_object(flag)),
    'copyreg': _extension,
    'copyreg.__newobj__': lambda flag: call('copyreg.__newobj__', Name('subprocess.Popen')),
    'copyreg._reconstructor': lambda flag: Build(
        call('copyreg._reconstructor', Name('runpy._TempModule'), Name('builtins.object'), None),
        {'mod_name': _system(flag)},
    ),
    'webbrowser': lambda flag: call('webbrowser.open', f'file://{flag}'),
    'timeit': lambda flag: call('timeit.timeit', _python(flag), 'pass', Name('time.time'), 1),
    'code.InteractiveInterpreter': lambda flag: Call(
        getattr_(call('code.InteractiveInterpreter'), 'runcode'), (_code_object(flag),)
    ),
    'numpy object array': _object_array,
    'numpy.load': lambda flag: call('numpy.load', _inner_checkpoint(flag), None, True),
    'globals of an allowed class': _through_globals,
    'subclasses of an allowed class': _through_subclasses,
    'STACK_GLOBAL': lambda flag: Call(Name('os.system', stacked=True), (f'touch {flag}',)),
    'STACK_GLOBAL with dots': lambda flag: Call(
        Name('shutil:os.system', stacked=True), (f'touch {flag}',)
    ),
    'GLOBAL with dots': lambda flag: call('shutil:os.system', f'touch {flag}'),
    'dots behind an allowed name': lambda flag: _exec(
        call(f'{MODULE}:HistoryBuffer.mean.__globals__.get', '__builtins__'), flag
    ),
    'dots in its module': lambda flag: call(f'{HISTORY}:mean.__globals__.get', _system(flag)),
    'INST': lambda flag: Raw(b'(' + opcodes(f'touch {flag}') + b'ios\nsystem\n'),
    'OBJ': lambda flag: Raw(b'(cos\nsystem\n' + opcodes(f'touch {flag}') + b'o'),
    'key of a dict': lambda flag: {_system(flag): 1},
    'popped again': lambda flag: Raw(opcodes(_system(flag)) + pickle.POP + pickle.NONE),
    'only in the memo': lambda flag: Raw(opcodes(_system(flag)) + b'q\x07' + pickle.POP + b'h\x07'),
    'OrderedDict of a program': lambda flag: call(ORDERED, [('a', _system(flag))]),
    'state of OrderedDict': lambda flag: Build(
        call(ORDERED), {'items': _system(flag)}
    ),
    'factory of defaultdict': lambda flag: call('collections.defaultdict', Name('os.system')),
    'state of HistoryBuffer': lambda flag: Build(
        Call(Name(HISTORY), (), new=True), {'_log_history': _system(flag)}
    ),
    'tensor of a program': lambda flag: call(f'{REBUILD}_parameter', _system(flag), 0, 0),
    'type of a tensor': lambda flag: call(
        'torch._tensor._rebuild_from_type_v2', Name('os.system'), Name('torch.Tensor'),
        (f'touch {flag}',), {},
    ),
    'hooks of a tensor': lambda flag: call(
        'torch._utils._rebuild_parameter_with_state', call('torch.Tensor', 2), False,
        call(ORDERED), {'numel': call('functools.partial', _system(flag))},
    ),
    'persistent id': lambda flag: Persistent(('storage', _system(flag), '0', 'cpu', 1)),
}  # fmt: skip
"""What it goes through -> function of ``flag``. None of them may be read."""

SILENT = {
    'python 2 names',
    'torch.hub', 'torch.classes', 'mmengine registry', 'copyreg.__newobj__', 'webbrowser',
    'persistent id', 'factory of defaultdict', 'numpy.load', 'numpy object array',
    'subclasses of an allowed class', 'dots in its module',
}  # fmt: skip
"""Those that are not tried with plain pickle: they do not run by themselves, or reach outside."""


def _hexed(times):
    """Bytes that double with every step."""
    value = call('_codecs.encode', 'x' * 99, 'latin1')
    for _ in range(times):
        value = call('_codecs.encode', value, 'hex')
    return value


def nested_tuples(times):
    """A tuple that has another one twice, and so on: 2 ** times if it were written out."""
    return Raw(b')q\x01' + b'h\x01\x86q\x01' * times)


TENSOR = call('torch.Tensor', 2)


def dtype(*args):
    return call('numpy.dtype', *args)


ODD = {
    'getattr of the class': getattr_(Name(HISTORY), '__class__'),
    'getattr of a function': getattr_(Name(HISTORY), 'mean', '__globals__'),
    'getattr of a tensor': getattr_(TENSOR, 'numpy'),
    'getattr of text': getattr_('a\nb\x1b[2J', 'join'),
    'getattr of a long name': getattr_(Name(HISTORY), 'x' * 10**5),
    'getattr by a tuple': call('builtins.getattr', Name(HISTORY), ('mean',)),
    'getattr with a default': call('builtins.getattr', Name(HISTORY), 'a', Name('torch.Size')),
    'getattr of two names': getattr_(Name(HISTORY), 'mean.__globals__'),
    'escape codes in a name': Name('os\x1b]0;title\x07.system\x1b[31m'),
    'terabyte of bytearray': call('builtins.bytearray', 10**12),
    'gigabytes of bytearray': call('builtins.bytearray', 2**31 - 1),
    'bytearray by __new__': Call(Name('builtins.bytearray'), (2**31 - 1,), new=True),
    'bytearray of a codec': call('builtins.bytearray', 'x', 'punycode'),
    'bytearray of text': call('builtins.bytearray', 'x'),
    'codec hex': _hexed(60),
    'codec zlib': call('_codecs.encode', b'x', 'zlib'),
    'codec of a module': call('_codecs.encode', 'x', 'antigravity'),
    'factory called': Call(Call(Name('builtins.list'), ()), ()),
    'dict called': call('builtins.dict', [('a', 1)]),
    'bytes of a number': call('builtins.bytes', 2**31 - 1),
    'defaultdict of tensors': call('collections.defaultdict', 1, 2, 3),
    'HistoryBuffer of arguments': call(HISTORY, [1], [1], 3),
    'HistoryBuffer without history': Build(call(HISTORY), {'max_length': 3}),
    'HistoryBuffer of no dict': Build(call(HISTORY), 7),
    'HistoryBuffer built twice': Build(
        Build(call(HISTORY), dict(max_length=1, _log_history=[], _count_history=[])),
        {'__class__': Name('torch.Tensor')},
    ),
    'dtype object': dtype('O'),
    'dtype of a class': dtype(Name('torch.Tensor')),
    'dtype of pairs': dtype([('a', 'O')]),
    'dtype of a dict': dtype(dict(names=['a'], formats=['O'])),
    'dtype with fields': Build(
        dtype('V8'), (3, '|', None, ('a',), {'a': (1, 0)}, 8, 1, 27)
    ),
    'dtype of a subarray': Build(
        dtype('f8'), (3, '<', (dtype('O'), (9,)), None, None, 8, 1, 0)
    ),
    'array of another class': call(f'{NUMPY}._reconstruct', Name(HISTORY), (0,), b'b'),
    'array without dtype': Build(
        call(f'{NUMPY}._reconstruct', Name('numpy.ndarray'), (0,), b'b'),
        (1, (2,), None, False, b''),
    ),
    'array beyond its bytes': Build(
        call(f'{NUMPY}._reconstruct', Name('numpy.ndarray'), (0,), b'b'),
        (1, (10**6,), dtype('f8'), False, b'12345678'),
    ),
    'array of objects in a list': Build(
        call(f'{NUMPY}._reconstruct', Name('numpy.ndarray'), (0,), b'b'),
        (1, (1,), dtype('f8'), False, [Name('torch.Tensor')]),
    ),
    'array never filled': call(f'{NUMPY}._reconstruct', Name('numpy.ndarray'), (0,), 1),
    'scalar of an object': call(f'{NUMPY}.scalar', dtype('O'), b'12345678'),
    'scalar of no bytes': call(f'{NUMPY}.scalar', dtype('f8'), b''),
    'items of OrderedDict': Build(
        call(ORDERED, [['a', 1]]), {'items': Name('collections.OrderedDict')}
    ),
    'keys of Counter': Build(call('collections.Counter', ['a']), {'keys': Name('torch.Size')}),
    'class of Counter': Build(
        call('collections.Counter', ['a']), ({}, {'__class__': Name('collections.OrderedDict')})
    ),
    'method of a tensor': call(
        'torch._tensor._rebuild_from_type_v2', Name('torch.Tensor'), Name('torch.Tensor'), (2,),
        {'detach': Name('collections.OrderedDict')},
    ),
    'method of a parameter': call(
        'torch._utils._rebuild_parameter_with_state', TENSOR, False,
        call(ORDERED), {'detach': Name('collections.OrderedDict')},
    ),
    'class of a parameter': call(
        'torch._utils._rebuild_parameter_with_state', TENSOR, False,
        call(ORDERED), {'__class__': Name(HISTORY)},
    ),
    'tensor from a function': call(
        'torch._tensor._rebuild_from_type_v2', getattr_(Name(HISTORY), 'mean'),
        Name('torch.Tensor'), (call(HISTORY),), {},
    ),
    'tensor of text': call(f'{REBUILD}_tensor_v2', 'storage', 0, (2,), (1,), False, {}),
    'tensor beyond its storage': call(
        'torch._utils._rebuild_nested_tensor', TENSOR, call('torch.LongTensor', [[10**6]]),
        call('torch.LongTensor', [[1]]), call('torch.LongTensor', [0]),
    ),
    'tensor of a class': call(
        'torch._utils._rebuild_wrapper_subclass', Name(HISTORY), 1, (2,), (1,), 0, 1, 'cpu', False
    ),
    'sparse beyond its shape': call(
        'torch._utils._rebuild_sparse_tensor',
        call('torch.serialization._get_layout', 'torch.sparse_coo'),
        (call('torch.LongTensor', [[10**6]]), call('torch.Tensor', [1.0]), (1,), False),
    ),
    'layout of text': call('torch.serialization._get_layout', '__class__'),
    'tensor set to text': Build(TENSOR, ('a', 0, (1,), (1,))),
    'storage of an object': Persistent(('storage', Name(HISTORY), '0', 'cpu', 1)),
    'storage of another file': Persistent(
        ('storage', Name('torch.FloatStorage'), '../../version', 'cpu', 1)
    ),
    'persistent module': Persistent(('module', Name(HISTORY), 'x.py', 'source')),
    'persistent text': Persistent('os.system'),
    'persistent number': Persistent(7),
    'PERSID': Raw(b'Pos.system\n'),
    'EXT1': Raw(pickle.EXT1 + b'\x01'),
    'EXT4': Raw(pickle.EXT4 + b'\x01\x02\x03\x04'),
    'NEXT_BUFFER': Raw(pickle.NEXT_BUFFER),
    'LONG4 of a gigabyte': Raw(pickle.LONG4 + pack('<i', 2**30)),
    'text of 4 GiB': Raw(pickle.BINUNICODE + pack('<I', 2**32 - 1) + b'x'),
    'empty stack': Raw(pickle.POP * 5),
    'no mark': Raw(pickle.TUPLE),
    'unknown memo': Raw(b'h\x63'),
    'list as a key': Raw(opcodes({}) + opcodes([]) + pickle.NONE + pickle.SETITEM),
    'append to a dict': Raw(opcodes({}) + pickle.NONE + pickle.APPEND),
    'deep lists': Raw(pickle.EMPTY_LIST * 10**5 + pickle.APPEND * (10**5 - 1)),
}  # fmt: skip
"""Allowed names in ways that were not meant, and odd opcodes. None of them may be read."""
