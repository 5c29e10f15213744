"""Tell what is wrong with the file of a checkpoint."""

import os
import os.path as osp
import pickle
import zipfile
from typing import Any, NamedTuple, Optional

import torch

from mmfer.utils.safe_pickle import ForeignObject, PickleError, check_torch_file
from mmfer.utils.safe_pickle.limits import NOT_TORCH, TOO_SHORT

KINDS = ('missing', 'empty', 'truncated', 'damaged', 'foreign', 'objects')
"""Kinds of problems, see :class:`Problem`."""

# First bytes of a zip archive, as torch.save writes it since 1.6.
_ZIP = b'PK\x03\x04'
# First bytes of a pickle of protocol 2 or later, as older versions wrote it.
_PICKLE = b'\x80'
# Text in torch's messages about files that ask for Python objects.
_OBJECTS = ('Unsupported global', 'Unsupported class', 'Unsupported operand')

# What torch's safe loader writes before its own words.
_UNPICKLER = 'WeightsUnpickler error:'


class DamagedCheckpointError(ValueError):
    """Error for a file that no run can use as a checkpoint."""


class Problem(NamedTuple):
    """Reason why a file cannot be loaded as a checkpoint.

    Attributes:
        kind (str): One of:

            - ``'missing'``: there is no such file;
            - ``'empty'``: it has no bytes;
            - ``'truncated'``: its end is missing;
            - ``'damaged'``: some of its bytes are wrong;
            - ``'foreign'``: it is a file of another type;
            - ``'objects'``: it has Python objects, so loading it can run code.
        reason (str): Clause for people, such as ``is empty``.
    """

    kind: str
    reason: str


class Inspected(NamedTuple):
    """Result of :func:`inspect_checkpoint`.

    Attributes:
        content: What the file holds; None if there is a problem.
        problem (Problem, optional): None if the file can be loaded.
    """

    content: Any
    problem: Optional[Problem]


def inspect_checkpoint(path: str, checksums: bool = True) -> Inspected:
    """Load a checkpoint if it is whole, or find out what is wrong with it.

    No code of the file is run. Tensors are mapped from the file and read on use, so
    that metadata is cheap. torch does not compare the checksums in a file, but a
    flipped bit is a wrong weight. So this function does.

    Args:
        path (str): A local file.
        checksums (bool): Compare the checksums, which reads the whole file. Defaults
            to True.

    Returns:
        Inspected: Content or problem.
    """
    problem = _look(path, checksums)
    if problem is not None:
        return Inspected(None, problem)
    with open(path, 'rb') as file:
        is_zip = file.read(len(_ZIP)) == _ZIP
    problem = _look_into_pickle(path)
    if problem is not None:
        return Inspected(None, problem)
    try:
        content = torch.load(path, map_location='cpu', weights_only=True, mmap=is_zip)
    except Exception as error:
        return Inspected(None, _explain(error, is_zip))
    return Inspected(content, None)


def require_whole(path: str, advice: str = '') -> None:
    """Raise if a local file is no whole checkpoint.

    Files with Python objects pass: whoever loads them decides whether to trust them.

    Args:
        path (str): A local file.
        advice (str): Sentence on what to do. Defaults to ''.

    Raises:
        DamagedCheckpointError: The file is missing, empty, truncated, damaged or
            of another type.
    """
    problem = inspect_checkpoint(path).problem
    if problem is not None and problem.kind != 'objects':
        raise DamagedCheckpointError(f'{path} {problem.reason}. {advice}'.rstrip())


def _look(path: str, checksums: bool) -> Optional[Problem]:
    """Return what is wrong with the bytes of a file; None if nothing is seen."""
    if osp.isdir(path):
        return Problem('foreign', 'is a folder, not a checkpoint (*.pth)')
    try:
        size = os.stat(path).st_size
    except FileNotFoundError:
        return Problem('missing', 'does not exist')
    if not size:
        return Problem('empty', 'is empty (0 bytes)')
    with open(path, 'rb') as file:
        head = file.read(64)
    if head.startswith(_ZIP):
        return _look_into_zip(path, size, checksums)
    if not head.strip(b'\0'):
        return Problem(
            'damaged', 'is damaged: it begins with zeros, as after a power failure'
        )
    if head.startswith(b'version https://git-lfs'):
        return Problem(
            'foreign',
            'is not a checkpoint but a pointer of Git LFS (run `git lfs pull`)',
        )
    if not head.startswith(_PICKLE):
        return Problem('foreign', 'is not a checkpoint: torch.save did not write it')
    return None


def _look_into_zip(path: str, size: int, checksums: bool) -> Optional[Problem]:
    """Return what is wrong with an archive of ``size`` bytes."""
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
            if not any(part.filename.endswith('/data.pkl') for part in parts):
                return Problem('foreign', 'is not a checkpoint but another zip archive')
            # torch.save does not compress. This also keeps a small file from
            # growing without end.
            if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
                return Problem('foreign', 'is not a checkpoint: it is compressed')
            if sum(part.file_size for part in parts) > size:
                return Problem('damaged', 'is damaged: its parts overlap')
            wrong = archive.testzip() if checksums and _has_checksums() else None
    except zipfile.BadZipFile as error:
        if 'not a zip file' in str(error):
            # The table of contents is at the end.
            return Problem(
                'truncated',
                f'is truncated: it ends after {size} bytes, before its table of '
                'contents',
            )
        return Problem('damaged', f'is damaged ({error})')
    except Exception as error:
        return Problem('damaged', f'is damaged ({type(error).__name__}: {error})')
    if wrong is not None:
        return Problem('damaged', f'is damaged: {wrong!r} has a wrong checksum')
    return None


def _look_into_pickle(path: str) -> Optional[Problem]:
    """Return what is wrong with the structure of a file of torch."""
    try:
        # The checksums were compared before.
        check_torch_file(path, checksums=False)
    except ForeignObject as error:
        return Problem(
            'objects', f'contains Python objects and cannot be loaded safely ({error})'
        )
    except PickleError as error:
        text = str(error)
        if text.startswith(NOT_TORCH):
            return Problem('foreign', 'is not a checkpoint but another pickle')
        kind = 'truncated' if TOO_SHORT in text else 'damaged'
        return Problem(kind, f'is {kind} ({text})')
    return None


def _has_checksums() -> bool:
    """Return whether torch writes checksums, which a user can switch off."""
    options = getattr(torch.serialization, 'get_crc32_options', None)
    return True if options is None else options()


def _explain(error: Exception, is_zip: bool) -> Problem:
    """Return what an error of ``torch.load`` says about a file."""
    text = str(error)
    lines = text.splitlines() or [type(error).__name__]
    asked = [line for line in lines if any(part in line for part in _OBJECTS)]
    # The checksums of an archive were right, so its pickle is as it was written.
    if isinstance(error, pickle.UnpicklingError) and (asked or is_zip):
        found = f' ({_shorten(asked[0])})' if asked else ''
        return Problem(
            'objects', f'contains Python objects and cannot be loaded safely{found}'
        )
    if 'Invalid magic number' in text:
        return Problem('foreign', 'is not a checkpoint but another pickle')
    reason = _shorten(next((line for line in lines if _UNPICKLER in line), lines[0]))
    if isinstance(error, EOFError) or 'truncated' in text or 'unexpected EOF' in text:
        return Problem('truncated', f'is truncated ({reason})')
    return Problem('damaged', f'is damaged ({type(error).__name__}: {reason})')


def _shorten(line: str) -> str:
    """Return the first sentence of a message of torch."""
    return line.split(_UNPICKLER)[-1].strip().split('. ')[0].split(' was not an')[0]
