"""Files that attack their readers: pickles, torch files and archives.

Each has a name, for tables of what was tried. :func:`hostile_values` are pieces of
pickles that make one value; they are put where a data set or a checkpoint has its
arrays. :func:`hostile_files` are whole files.
"""

import io
import pickle
import struct
import zipfile

import numpy as np
import torch

MAGIC = 0x1950A86A20F9469CFC6C
DOUBLINGS = 60


def text(value: str) -> bytes:
    data = value.encode()
    return b'X' + struct.pack('<I', len(data)) + data


def raw(data: bytes) -> bytes:
    return b'B' + struct.pack('<I', len(data)) + data


def name(path: str) -> bytes:
    module, _, attribute = path.rpartition('.')
    return f'c{module}\n{attribute}\n'.encode()


def integer(value: int) -> bytes:
    data = value.to_bytes(max(1, (value.bit_length() + 8) // 8), 'little', signed=True)
    return b'\x8a' + bytes([len(data)]) + data


def group(*parts: bytes) -> bytes:
    """A tuple."""
    return b'(' + b''.join(parts) + b't'


def call(path: str, *arguments: bytes) -> bytes:
    return name(path) + group(*arguments) + b'R'


def put(index: int) -> bytes:
    return b'r' + struct.pack('<I', index)


def get(index: int) -> bytes:
    return b'j' + struct.pack('<I', index)


def dtype(code: str = 'u1', state: bytes = b'') -> bytes:
    order = '|' if code.endswith('1') else '<'
    state = state or group(
        b'K\x03', text(order), b'NNN', integer(-1), integer(-1), b'K\x00'
    )
    return call('numpy.dtype', text(code), b'\x89', b'\x88') + state + b'b'


def sizes(*values: int) -> bytes:
    return group(*map(integer, values))


def array(shape: bytes, kind: bytes, data: bytes, again: int = 1) -> bytes:
    """An array as numpy 1 pickles it, which gets its data ``again`` times."""
    start = call(
        'numpy.core.multiarray._reconstruct', name('numpy.ndarray'), sizes(0), raw(b'b')
    )
    state = group(b'K\x01', shape, kind, b'\x89', data) + b'b'
    return start + state * again


def doubled(open_: bytes, close: bytes, first: bytes = b'K\x01') -> bytes:
    """A container of itself twice, 60 times: 2**60 elements in some hundred bytes."""
    parts = [first + put(0)]
    for i in range(DOUBLINGS):
        parts.append(open_ + get(i) + get(i) + close + put(i + 1))
    # Everything but the last one is left on the stack, so wrap it.
    return b'(' + b''.join(parts) + b't'


def code_values(mark: str) -> dict:
    """Values that make the folder ``mark`` if anything is called."""
    run = text(mark)
    mkdir = name('os.mkdir')
    shell = text(f'mkdir {mark}')
    python = text(f'__import__("os").mkdir({mark!r})')
    return {
        'code_reduce': mkdir + group(run) + b'R',
        'code_stack_global': text('os') + text('mkdir') + b'\x93' + group(run) + b'R',
        'code_posix': call('posix.mkdir', run),
        'code_system': call('os.system', shell),
        'code_eval': call('builtins.eval', python),
        'code_exec_python2': call('__builtin__.eval', python),
        'code_inst': b'(' + run + b'ios\nmkdir\n',
        'code_obj': b'(' + mkdir + run + b'o',
        'code_newobj': mkdir + group(run) + b'\x81',
        'code_newobj_ex': mkdir + group(run) + b'}\x92',
        'code_build': b'}' + b'}' + text('__setstate__') + mkdir + b'sb' + run + b'b',
        'code_build_slots': b'}' + group(b'N', b'}' + text('x') + mkdir + b's') + b'b',
        'code_ext1': b'\x82\x01',
        'code_ext4': b'\x84\x01\x00\x00\x00',
        'code_persid': b'Pos.mkdir\n',
        'code_binpersid': mkdir + b'Q',
        'code_getattr': call('builtins.getattr', name('numpy.ndarray'), text('tofile')),
        'code_dotted': b'\x8c\x05numpy\x8c\x10ndarray.__init__\x93)R',
        'code_dotted_module': text('numpy') + text('os.mkdir') + b'\x93'
        + group(run) + b'R',
        'code_numpy_load': call('numpy.load', run, b'N', b'\x88'),
        'code_numpy_exec': call('numpy.testing._private.utils.runstring', python, b'}'),
        'code_torch_load': call('torch.load', run),
        'code_copyreg': call(
            'copyreg._reconstructor', mkdir, name('builtins.object'), run
        ),
        'code_partial': call('functools.partial', mkdir, run) + b')R',
        'code_memo_swap': name('numpy.ndarray') + put(1) + b'0' + mkdir + put(1)
        + group(run) + b'R',
        'code_ordered_dict': call(
            'collections.OrderedDict', b'](' + group(mkdir + group(run) + b'R') + b'e'
        ),
        'code_rebuild_hook': call(
            'torch._utils._rebuild_from_type_v2', mkdir, run, group(run), b'N'
        ),
        'code_called_text': run + group(run) + b'R',
        'code_called_array': array(sizes(1), dtype(), raw(b'1')) + b')R',
    }  # fmt: skip


def array_values() -> dict:
    """Arrays that crash numpy, or that need far more memory than the file has."""
    eight, one = raw(b'A' * 8), raw(b'A')
    plain = group(b'K\x03', text('|'), b'NNN', integer(-1), integer(-1), b'K\x3f')
    fields = group(
        b'K\x03', text('|'), b'N', group(text('a')),
        b'}' + text('a') + group(dtype(), b'K\x00') + b's',
        integer(8), b'K\x01', b'K\x1b',
    )  # fmt: skip
    sub = group(
        b'K\x03', text('<'), group(dtype(), sizes(8)), b'NN',
        integer(8), b'K\x01', b'K\x00',
    )  # fmt: skip
    return {
        'object_ndarray_call': call('numpy.ndarray', sizes(1), text('O'), eight),
        'object_ndarray_dtype': call('numpy.ndarray', sizes(1), dtype('O8'), eight),
        'object_frombuffer': call(
            'numpy.core.numeric._frombuffer', eight, dtype('O8'), sizes(1), text('C')
        ),
        'object_state_bytes': array(sizes(1), dtype('O8', plain), eight),
        'object_state_list': array(sizes(1), dtype('O8', plain), b'](K\x01e'),
        'object_scalar': call('numpy.core.multiarray.scalar', dtype('O8'), eight),
        'object_hidden_in_float': array(sizes(1), dtype('f8', plain), eight),
        'structured_dtype': array(sizes(1), dtype('V8', fields), eight),
        'structured_text': array(sizes(1), dtype('u1,u1'), raw(b'AA')),
        'subarray_dtype': array(sizes(1), dtype('u1', sub), eight),
        'void_dtype': array(sizes(1), dtype('V8'), eight),
        'bytes_dtype': array(sizes(1), dtype('S8'), eight),
        'unicode_dtype': array(sizes(1), dtype('U2'), eight),
        'time_dtype': array(sizes(1), dtype('M8'), eight),
        'complex_dtype': array(sizes(1), dtype('c8'), eight),
        'python_dtype': array(sizes(1), dtype('object'), eight),
        'dtype_is_a_class': array(
            sizes(1), call('numpy.dtype', name('numpy.ndarray')), eight
        ),
        'dtype_bad_order': array(
            sizes(8),
            dtype('u1', plain.replace(b'|', b'x').replace(b'\x3f', b'\x00')),
            eight,
        ),
        'dtype_missing': array(sizes(8), b'N', eight),
        'dtype_is_huge_list': array(
            sizes(8), name('numpy.dtype') + group(doubled(b']((', b'te')) + b'R', eight
        ),
        'shape_huge': array(sizes(1 << 40), dtype(), one),
        'shape_negative': array(sizes(-8), dtype(), eight),
        'shape_negative_twice': array(sizes(-2, -4), dtype(), eight),
        'shape_overflow': array(sizes(1 << 32, 1 << 32), dtype(), raw(b'')),
        'shape_overflow_to_8': array(sizes((1 << 61) + 1, 8), dtype(), eight),
        'shape_many_dimensions': array(sizes(*[1] * 100), dtype(), one),
        'shape_long_integer': array(sizes(1 << 120), dtype(), one),
        'shape_list': array(b'](K\x08e', dtype(), eight),
        'shape_float': array(group(b'G' + struct.pack('>d', 8)), dtype(), eight),
        'shape_nested': array(doubled(b'(', b't'), dtype(), eight),
        'data_short': array(sizes(9), dtype(), eight),
        'data_long': array(sizes(7), dtype(), eight),
        'data_missing': array(sizes(8), dtype(), b'N'),
        'data_twice': array(sizes(8), dtype(), eight, again=2),
        'data_never': call(
            'numpy.core.multiarray._reconstruct',
            name('numpy.ndarray'), sizes(1 << 40), raw(b'b'),
        ),
        'data_not_latin1': array(sizes(1), dtype(), text('\u20ac')),
        'subclass': call(
            'numpy.core.multiarray._reconstruct',
            name('numpy.matrix'), sizes(0), raw(b'b'),
        ),
        'reconstruct_object': call(
            'numpy.core.multiarray._reconstruct',
            name('numpy.ndarray'), sizes(4), text('O'),
        ),
        'scalar_short': call(
            'numpy.core.multiarray.scalar', dtype('f8'), raw(b'AAAA')
        ),
        'boolean_of_42': array(sizes(8), dtype('b1'), raw(b'*' * 8)),
        'order_unknown': call(
            'numpy.core.numeric._frombuffer', eight, dtype(), sizes(8), text('K')
        ),
        'array_shared_often': raw(b'A' * 10**6) + put(0) + b'0](' + b''.join(
            [array(sizes(10**6), dtype(), get(0))] * 2000
        ) + b'e',
    }  # fmt: skip


def structure_values() -> dict:
    """Values whose structure keeps their reader busy, or breaks its stack."""
    deep, many = 100_000, 5 << 20
    colliding = b''.join(
        b'\x8a\x10' + (i * (2**61 - 1)).to_bytes(16, 'little') + b'N'
        for i in range(1, 30_000)
    )
    lists, tuples = doubled(b'](', b'e'), doubled(b'(', b't')
    return {
        'deep_lists': b'](' * deep + b'e' * deep,
        'deep_tuples': b')' + b'\x85' * deep,
        'deep_dicts': (b'}' + text('x')) * deep + b'N' + b's' * deep,
        'deep_marks': b'(' * deep,
        'doubled_lists': lists,
        'doubled_tuples': tuples,
        'doubled_dicts': doubled(b'}(', b'u', text('x')).replace(
            b'}(j', b'}(' + text('a') + b'j'
        ),
        'doubled_key': b'}' + tuples + b'Ns',
        'doubled_codec': call('_codecs.encode', text('x'), lists),
        'doubled_pairs': call('collections.OrderedDict', lists),
        'doubled_frozenset': call('builtins.frozenset', tuples),
        'doubled_texts': doubled(b'](', b'e', text('x' * 1000)),
        'own_list': b']' + put(0) + get(0) + b'a',
        'own_dict': b'}' + put(0) + text('x') + get(0) + b's',
        'own_tuple': b'](' + put(0) + b't' + put(0) + b'a',
        'own_list_in_tuple': b']' + put(0) + get(0) + b'\x85a',
        'long_integer_binary': b'\x8b' + struct.pack('<i', many) + b'\x7f' * many,
        'long_integer_text': b'L' + b'9' * many + b'L\n',
        'long_integer_negative': b'\x8b' + struct.pack('<i', -5),
        'integer_text': b'I' + b'9' * many + b'\n',
        'float_text': b'F' + b'9' * many + b'\n',
        'colliding_keys': b'}(' + colliding + b'u',
        'key_list': b'}' + b']' + b'Ns',
        'key_array': b'}' + array(sizes(1), dtype(), raw(b'A')) + b'Ns',
        'key_float': b'}' + b'G' + struct.pack('>d', float('nan')) + b'Ns',
        'key_without_value': b'}(' + text('x') + b'u',
        'many_dicts': b'](' + b'}' * 900_000 + b'e',
        'many_instructions': b'](' + b'N' * 3_000_000 + b'e',
        'many_references': b']' + put(0) + b'(' + get(0) * 600_000 + b't' * 1,
        'set': b'\x8f(K\x01\x90',
        'frozenset': b'(K\x01\x91',
        'frame_huge': b'\x95' + struct.pack('<Q', 2**63),
        'bytes_huge': b'\x8e' + struct.pack('<Q', 2**62),
        'bytearray_huge': b'\x96' + struct.pack('<Q', 2**62),
        'text_huge': b'\x8d' + struct.pack('<Q', 2**62),
        'text_negative': b'T' + struct.pack('<i', -1),
        'text_surrogate': b'X\x03\x00\x00\x00\xed\xa0\x80',
        'text_surrogate_escaped': b'V\\ud800\n',
        'text_no_utf8': b'X\x02\x00\x00\x00\xff\xfe',
        'text_no_quotes': b'Sabc\n',
        'text_no_end': b"S'abc",
        'memo_index_huge': b'N' + b'r\xff\xff\xff\xff' + b'j\xfe\xff\xff\xff',
        'memo_missing': b'h\x07',
        'memo_negative': b'Np-1\n',
        'memo_of_nothing': b'q\x00',
        'buffer_outside': b'\x97',
        'buffer_read_only': b'N\x98',
        'stack_empty': b'0',
        'protocol_99': b'\x80\x63N',
        'codec_zip': call('_codecs.encode', text('x'), text('zip')),
        'codec_of_bytes': call('_codecs.encode', raw(b'x'), text('latin1')),
        'codec_repeated': text('x' * 10**6) + put(0) + b'0](' + (
            name('_codecs.encode') + b'(' + get(0) + text('latin1') + b'tR'
        ) * 2000 + b'e',
        'state_of_a_list': b']' + b'}b',
        'state_of_a_number': b'K\x01}b',
        'unknown_instruction': b'\xff',
    }  # fmt: skip


def hostile_values(mark: str) -> dict:
    """Pieces of pickles by name.

    Args:
        mark (str): Folder that appears if a reader runs code.
    """
    return {**code_values(mark), **array_values(), **structure_values()}


def pickled(value: bytes) -> bytes:
    """A pickle that has a value where a batch, label set or checkpoint has arrays."""
    names = 'data', 'state_dict', 'worse_label', 'meta'
    rest = b''.join(text(key) + get(90_000_000) for key in names[1:])
    return (
        b'\x80\x02}('
        + text('data') + value + put(90_000_000) + rest
        + text('labels') + b'](K\x00e' + b'u.'
    )  # fmt: skip


def zipped(content: bytes, **entries: bytes) -> bytes:
    """A torch archive of a pickle and of tensor data by name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w') as archive:
        archive.writestr('a/data.pkl', content)
        archive.writestr('a/byteorder', 'little')
        for key, data in entries.items():
            archive.writestr(f'a/data/{key[1:]}', data)
        archive.writestr('a/version', '3\n')
    return buffer.getvalue()


def legacy(content: bytes, keys=(), data: bytes = b'') -> bytes:
    """A file of torch before 1.6."""
    head = (MAGIC, 1001, dict(protocol_version=1001, little_endian=True))
    return (
        b''.join(pickle.dumps(value, 2) for value in head)
        + content + pickle.dumps(list(keys), 2) + data
    )  # fmt: skip


def reference(count: int, kind: str = 'Float', key: str = '0', view=()) -> bytes:
    return group(
        text('storage'), name(f'torch.{kind}Storage'), text(key), text('cpu'),
        integer(count), *view,
    ) + b'Q'  # fmt: skip


def tensor(storage: bytes, offset: int, shape: tuple, strides: tuple) -> bytes:
    return call(
        'torch._utils._rebuild_tensor_v2',
        storage, integer(offset), sizes(*shape), sizes(*strides), b'\x89',
        call('collections.OrderedDict'),
    )  # fmt: skip


def tensor_values() -> dict:
    """Tensors that do not lie in their 4 numbers."""
    good = reference(4)
    return {
        'tensor_offset': tensor(good, 4, (1,), (1,)),
        'tensor_offset_negative': tensor(good, -1, (1,), (1,)),
        'tensor_offset_overflow': tensor(good, 2**63, (4,), (1,)),
        'tensor_shape_huge': tensor(good, 0, (1 << 40,), (1,)),
        'tensor_shape_negative': tensor(good, 0, (-4,), (1,)),
        'tensor_expanded': tensor(good, 0, (1 << 40,), (0,)),
        'tensor_stride_huge': tensor(good, 0, (2, 2), (1 << 40, 1)),
        'tensor_stride_negative': tensor(good, 0, (4,), (-1,)),
        'tensor_stride_overflow': tensor(good, 0, (3,), (1 << 63,)),
        'tensor_dimensions': tensor(good, 0, (2, 2), (1,)),
        'tensor_empty_and_huge': tensor(good, 0, (0, 1 << 62), (1, 1)),
        'storage_count_huge': tensor(reference(1 << 40), 0, (1,), (1,)),
        'storage_count_negative': tensor(reference(-4), 0, (1,), (1,)),
        'storage_type_other': tensor(reference(4, 'Double'), 0, (4,), (1,)),
        'storage_type_unknown': tensor(reference(4, 'QInt8'), 0, (4,), (1,)),
        'storage_missing': tensor(reference(4, key='7'), 0, (4,), (1,)),
        'storage_outside': tensor(reference(4, key='../0'), 0, (4,), (1,)),
        'storage_view': tensor(
            reference(4, view=(group(text('1'), b'K\x00', b'K\x02'),)), 0, (2,), (1,)
        ),
        'storage_is_text': tensor(text('0'), 0, (4,), (1,)),
        'persistent_text': text('0') + b'Q',
        'persistent_module': group(
            text('module'), name('os.mkdir'), text('0'), text('x')
        ) + b'Q',
    }  # fmt: skip


def archives() -> dict:
    """Zip archives that are no torch files, or that unpack to more than they are."""
    good = pickled(tensor(reference(4), 0, (4,), (1,)))
    whole = zipped(good, _0=b'\0' * 16)
    found = {
        'zip_cut': whole[:-40],
        'zip_cut_in_data': whole[: len(whole) // 2],
        'zip_start_only': b'PK\x03\x04',
        'zip_order_big': whole.replace(b'little', b'big   '),
        'zip_wrong_checksum': whole.replace(b'\0' * 16, b'\1' * 16),
    }

    def pack(label: str, entries, method=zipfile.ZIP_STORED, edit=bytes) -> None:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, 'w', method) as archive:
            for key, data in entries:
                archive.writestr(key, data)
        found[label] = edit(buffer.getvalue())

    parts = [('a/data.pkl', good), ('a/data/0', b'\0' * 16)]
    pack(
        'zip_bomb_in_pickle', [('a/data.pkl', b'N' * (200 << 20))], zipfile.ZIP_DEFLATED
    )
    pack(
        'zip_bomb_in_data',
        [('a/data.pkl', good), ('a/data/0', b'\0' * (200 << 20))],
        zipfile.ZIP_DEFLATED,
    )
    pack('zip_lzma', parts, zipfile.ZIP_LZMA)
    pack('zip_no_pickle', [('a/other', b'')])
    pack('zip_two_pickles', [*parts, ('b/data.pkl', good)])
    pack('zip_absolute', [*parts, ('/tmp/x', b'')])
    pack('zip_parent', [*parts, ('a/../../x', b'')])
    pack('zip_windows', [*parts, ('a\\..\\x', b''), ('C:x', b'')])
    pack('zip_many_entries', [*parts, *((f'a/{i}', b'') for i in range(60_000))])
    # The same bytes twice in the table of contents, so that one entry costs nothing.
    start = whole.index(b'PK\x01\x02')
    entry = whole[start : whole.index(b'PK\x01\x02', start + 4)]
    other = entry.replace(b'a/data.pkl', b'a/data.pk2')
    end = bytearray(whole[-22:])
    count, size = (
        struct.unpack_from('<H', end, 10)[0],
        struct.unpack_from('<I', end, 12)[0],
    )
    struct.pack_into('<HHI', end, 8, count + 1, count + 1, size + len(other))
    found['zip_overlapping'] = whole[:start] + other + whole[start:-22] + bytes(end)
    end = bytearray(whole[-22:])
    struct.pack_into('<HHI', end, 8, count + 1, count + 1, size + len(entry))
    found['zip_same_name'] = whole[:start] + entry + whole[start:-22] + bytes(end)
    # Flags of an encrypted entry, and a size that the entry does not have.
    flagged = bytearray(whole)
    flagged[start + 8] |= 1
    found['zip_encrypted'] = bytes(flagged)
    larger = bytearray(whole)
    struct.pack_into('<II', larger, start + 20, 1 << 30, 1 << 30)
    found['zip_size_too_large'] = bytes(larger)
    return found


def older_files() -> dict:
    """Files of torch before 1.6 whose tensor data do not fit."""
    good = pickled(tensor(reference(4), 0, (4,), (1,)))
    numbers = struct.pack('<q', 4) + b'\0' * 16
    huge = pickled(tensor(reference(1 << 40), 0, (1,), (1,)))
    return {
        'old_start_only': legacy(b'')[:14],
        'old_without_pickle': legacy(b''),
        'old_cut': legacy(good, ['0'], numbers)[:-3],
        'old_count_huge': legacy(huge, ['0'], numbers),
        'old_count_differs': legacy(good, ['0'], struct.pack('<q', 9) + b'\0' * 36),
        'old_count_negative': legacy(good, ['0'], struct.pack('<q', -4) + b'\0' * 16),
        'old_key_missing': legacy(good, [], numbers),
        'old_key_twice': legacy(good, ['0', '0'], numbers * 2),
        'old_key_other': legacy(good, ['1'], numbers),
        'old_key_number': legacy(good, [0], numbers),
    }


def hostile_files(mark: str) -> dict:
    """Whole files by name: plain pickles, torch archives, older torch files.

    Args:
        mark (str): Folder that appears if a reader runs code.
    """
    found = {'empty': b'', 'web_page': b'<!DOCTYPE html>\n', 'zeros': b'\0' * 1000}
    for label, value in hostile_values(mark).items():
        found[f'pickle/{label}'] = pickled(value)
        found[f'zip/{label}'] = zipped(pickled(value))
        found[f'old/{label}'] = legacy(pickled(value))
    numbers = b'\0' * 16
    for label, value in tensor_values().items():
        found[f'zip/{label}'] = zipped(pickled(value), _0=numbers)
        found[f'old/{label}'] = legacy(
            pickled(value), ['0'], struct.pack('<q', 4) + numbers
        )
    return {**found, **archives(), **older_files(), **array_files(mark)}


def harmless_file(zip_format: bool) -> bytes:
    """A torch file as it should be."""
    buffer = io.BytesIO()
    content = dict(state_dict={'a': torch.arange(6.0).view(2, 3)}, labels=np.arange(3))
    torch.save(content, buffer, _use_new_zipfile_serialization=zip_format)
    return buffer.getvalue()


def npy(head: str, data: bytes = b'', version: bytes = b'\x01\x00') -> bytes:
    """An array of numpy's format with a head of any kind."""
    text_ = head.encode('latin1') + b'\n'
    return b'\x93NUMPY' + version + struct.pack('<H', len(text_)) + text_ + data


def npz(arrays: dict, method=zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w', method) as archive:
        for key, data in arrays.items():
            archive.writestr(f'{key}.npy', data)
    return buffer.getvalue()


def head(descr: str, shape: str) -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"


def array_files(mark: str) -> dict:
    """Files of arrays by name (``.npz``) that are no predictions.

    Args:
        mark (str): Folder that appears if a reader runs code.
    """
    code = pickled(code_values(mark)['code_reduce'])
    good = {
        'pred_score': npy(head("'<f4'", '(2, 3)'), b'\0' * 24),
        'gt_label': npy(head("'<i8'", '(2,)'), b'\0' * 16),
        'uncertainty': npy(head("'<f4'", '(2,)'), b'\0' * 8),
    }

    def changed(**arrays) -> bytes:
        return npz({**good, **arrays})

    nan = struct.pack('<6f', *[float('nan')] * 6)
    found = {
        'object': changed(pred_score=npy(head("'|O'", '(2, 3)'), code)),
        'object_without_head': changed(pred_score=code),
        'structure': changed(gt_label=npy(head("[('a', '<i8')]", '(2,)'), b'\0' * 16)),
        'structure_object': changed(gt_label=npy(head("[('a', '|O')]", '(2,)'), code)),
        'void': changed(gt_label=npy(head("'|V8'", '(2,)'), b'\0' * 16)),
        'bytes': changed(gt_label=npy(head("'|S8'", '(2,)'), b'\0' * 16)),
        'time': changed(gt_label=npy(head("'<M8[s]'", '(2,)'), b'\0' * 16)),
        'float_of_7': changed(uncertainty=npy(head("'<f7'", '(2,)'), b'\0' * 14)),
        'head_expression': changed(pred_score=npy('[' * 5000, b'')),
        'head_huge': changed(pred_score=npy(' ' * 60_000, b'')),
        'head_call': changed(
            pred_score=npy(head(f'__import__("os").mkdir({mark!r})', '()'), b'')
        ),
        'head_unordered': changed(
            gt_label=npy("{'shape': (2,), 'descr': '<i8', 'fortran_order': False}")
        ),
        'shape_huge': changed(pred_score=npy(head("'<f4'", '(1099511627776,)'), b'')),
        'shape_longer': changed(pred_score=npy(head("'<f4'", f'({"9" * 9000},)'), b'')),
        'shape_negative': changed(
            pred_score=npy(head("'<f4'", '(-2, -3)'), b'\0' * 24)
        ),
        'shape_overflow': changed(
            pred_score=npy(head("'<f4'", '(4294967296, 4294967296)'), b'')
        ),
        'shape_many': changed(
            pred_score=npy(head("'<f4'", f'({"1, " * 99})'), b'\0' * 4)
        ),
        'shape_empty_and_huge': changed(
            pred_score=npy(head("'<f4'", '(0, 999999999999, 999999999999)'), b'')
        ),
        'data_short': changed(pred_score=npy(head("'<f4'", '(2, 3)'), b'\0' * 23)),
        'data_long': changed(pred_score=npy(head("'<f4'", '(2, 3)'), b'\0' * 25)),
        'text_no_character': changed(
            img_path=npy(head("'<U1'", '(2,)'), b'\xff' * 8)
        ),
        'text_empty_type': changed(img_path=npy(head("'<U0'", '(2,)'), b'')),
        'label_too_large': changed(
            gt_label=npy(head("'<i8'", '(2,)'), struct.pack('<qq', 0, 3))
        ),
        'label_negative': changed(
            gt_label=npy(head("'<i8'", '(2,)'), struct.pack('<qq', 0, -1))
        ),
        'label_wraps': changed(gt_label=npy(head("'<u8'", '(2,)'), b'\xff' * 16)),
        'label_float': changed(gt_label=npy(head("'<f8'", '(2,)'), b'\0' * 16)),
        'label_count': changed(gt_label=npy(head("'<i8'", '(1,)'), b'\0' * 8)),
        'score_nan': changed(pred_score=npy(head("'<f4'", '(2, 3)'), nan)),
        'score_missing': npz({'gt_label': good['gt_label']}),
        'score_flat': changed(pred_score=npy(head("'<f4'", '(6,)'), b'\0' * 24)),
        'paths_are_numbers': changed(img_path=npy(head("'<f4'", '(2,)'), b'\0' * 8)),
        'version_9': changed(
            pred_score=npy(head("'<f4'", '(2, 3)'), b'\0' * 24, b'\x09\x00')
        ),
        'compressed': npz(good, zipfile.ZIP_DEFLATED),
        'bomb': npz(
            {**good, 'img_path': npy(head("'<U1'", '(2,)'), b'\0' * (200 << 20))},
            zipfile.ZIP_DEFLATED,
        ),
        'parent': changed(**{'../x': b''}),
        'absolute': changed(**{'/tmp/x': b''}),
        'cut': changed()[:-30],
        'pickle': code,
    }  # fmt: skip
    return {f'npz/{label}': content for label, content in found.items()}
