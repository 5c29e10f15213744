"""Loaders of checkpoints that take the place of mmengine's, see ``mmfer.compat``."""

import os
import os.path as osp
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Optional
from urllib.parse import urlparse

import torch
from torch.hub import HASH_REGEX

from .checkpoints import load_checkpoint_file

TRUSTED: ContextVar[bool] = ContextVar('trusted', default=False)
"""Whether the loaders may run code; ``mmfer.compat.unsafe_loading`` sets it."""


def load_checked(
    file: Any, map_location: Any = None, weights_only: Optional[bool] = None
) -> Any:
    """Load a checkpoint safely, unless inside :func:`mmfer.compat.unsafe_loading`.

    Args:
        file (str | IO): Local file, or the content of a remote one.
        map_location (object): See ``torch.load``.
        weights_only (bool, optional): Not used; onedl's loader passes it.

    Raises:
        pickle.UnpicklingError: The file has Python objects.
        ValueError: The file is damaged.
    """
    if TRUSTED.get():
        return torch.load(file, map_location=map_location, weights_only=False)
    if isinstance(file, (str, Path)):
        return load_checkpoint_file(str(file), map_location)
    return torch.load(file, map_location=map_location, weights_only=True)


def load_local(filename: str, map_location: Any = None) -> Any:
    """Load a local checkpoint, in the place of mmengine's ``load_from_local``.

    Raises:
        FileNotFoundError: The file does not exist.
        pickle.UnpicklingError: The file has Python objects.
        ValueError: The file is damaged.
    """
    filename = osp.expanduser(filename)
    if not osp.isfile(filename):
        raise FileNotFoundError(f'{filename} can not be found.')
    return load_checked(filename, map_location)


# mmengine's log prints what follows the tenth letter of this name.
load_local.__name__ = 'load_from_local'


def load_url(
    url: str,
    model_dir: Optional[str] = None,
    map_location: Any = None,
    progress: bool = True,
    check_hash: bool = False,
    file_name: Optional[str] = None,
) -> Any:
    """Download a checkpoint into torch's cache unless it is there, and load it.

    Args:
        url (str): Address that begins with http.
        model_dir (str, optional): Folder of the cache. Defaults to torch's.
        map_location (object): See ``torch.load``.
        progress (bool): Show the progress.
        check_hash (bool): Compare the content with the hash in the file name.
        file_name (str, optional): Name in the cache. Defaults to that of the address.

    Raises:
        OSError: The download fails.
        pickle.UnpicklingError: The file has Python objects.
        ValueError: The file is damaged.
    """
    folder = model_dir or osp.join(torch.hub.get_dir(), 'checkpoints')
    name = file_name or osp.basename(urlparse(url).path)
    path = osp.join(folder, name)
    if not osp.isfile(path):
        os.makedirs(folder, exist_ok=True)
        found = HASH_REGEX.search(name) if check_hash else None
        prefix = found.group(1) if found else None
        torch.hub.download_url_to_file(url, path, prefix, progress=progress)
    return load_checked(path, map_location)
