"""Load checkpoints safely, and say what is wrong with one."""

import os.path as osp
import pickle
import warnings
from contextlib import contextmanager
from typing import Iterator, Optional

from ..compat import unsafe_loading
from ..utils.checkpoint_content import DamagedCheckpointError, require_whole
from ..utils.checkpoint_names import read_last
from .config_errors import raised_by_mmfer


@contextmanager
def checkpoint_loading(path: Optional[str], trust: bool) -> Iterator[None]:
    """Load checkpoints safely inside the block, unless they are trusted.

    Args:
        path (str, optional): Path of the checkpoint, for the message.
        trust (bool): Load the checkpoint even if torch refuses to load it
            safely.

    Raises:
        SystemExit: The checkpoint cannot be loaded safely.
    """
    if trust:
        warnings.warn(
            'loading without safety checks (--trust-checkpoint): the '
            'checkpoint can run code',
            stacklevel=2,
        )
        with unsafe_loading():
            yield
        return
    try:
        yield
    except Exception as error:
        refuse_damaged(path, error)
        if not isinstance(error, pickle.UnpicklingError):
            raise
        raise SystemExit(
            f'{path or "the checkpoint"} contains Python objects and cannot be '
            'loaded safely. If you trust its author, pass '
            f'--trust-checkpoint.\n{error}'
        ) from None


def refuse_damaged(path: Optional[str], error: Exception) -> None:
    """Exit if a local checkpoint is damaged, which explains an error of loading it.

    Args:
        path (str, optional): Path of the checkpoint.
        error (Exception): The error.

    Raises:
        SystemExit: The file is missing, empty, truncated or damaged.
    """
    if isinstance(error, DamagedCheckpointError):
        raise SystemExit(str(error)) from None
    if path is None or not osp.isfile(path) or raised_by_mmfer(error):
        return
    try:
        require_whole(path, 'Copy it again, or name another checkpoint.')
    except DamagedCheckpointError as damage:
        raise SystemExit(str(damage)) from None


def check_checkpoint_file(path: str) -> None:
    """Check that a checkpoint exists, if its path is local.

    Args:
        path (str): Path, or an address such as ``https://...``.

    Raises:
        SystemExit: The file does not exist, or is a folder.
    """
    if '://' in path or osp.isfile(path):
        return
    if osp.isdir(path):
        last = read_last(path)
        raise SystemExit(
            f'{path}: this is a folder, not a checkpoint. '
            + (f'Its latest checkpoint is {last}.' if last else 'It names none.')
        )
    raise SystemExit(
        f'{path}: this checkpoint does not exist. Runs write checkpoints into '
        'their work dirs.'
    )
