"""Names of checkpoints in a work dir.

``last_checkpoint`` has the name of the latest file relative to the work dir, so that
a copied or renamed work dir resumes from its own files. mmengine writes the absolute
path. Of such a path only the file name is used.
"""

import os
import os.path as osp
import re
from typing import Optional

from .files import write_atomic

LAST = 'last_checkpoint'
"""File in the work dir that names the latest checkpoint."""

CHECKPOINT_NAME = re.compile(r'(epoch|iter)_(\d+)\.pth')
"""Pattern of the names that ``CheckpointHook`` gives to the checkpoints of a run."""


def note_last(work_dir: str, path: str) -> None:
    """Write the name of the latest checkpoint into the work dir.

    Args:
        work_dir (str): The work dir.
        path (str): The checkpoint. Outside of the work dir, its absolute path is
            written.
    """
    name = path
    if '://' not in path:
        name = osp.relpath(path, work_dir)
        if name.startswith(os.pardir + os.sep) or osp.isabs(name):
            name = osp.abspath(path)
    write_atomic(osp.join(work_dir, LAST), name.encode())


def read_last(work_dir: str, folder: Optional[str] = None) -> Optional[str]:
    """Return the path of the checkpoint that the work dir names as the latest.

    Args:
        work_dir (str): The work dir.
        folder (str, optional): Folder of the checkpoints, if it is another one.

    Returns:
        str, optional: Path of a file of this work dir, which may be missing; None
        if no checkpoint is named.
    """
    try:
        with open(osp.join(work_dir, LAST), encoding='utf-8') as file:
            text = file.read().strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    if not text or '\0' in text:
        return None
    # A path of Windows has other separators.
    name = re.split(r'[/\\]', text)[-1]
    places = [osp.join(place, name) for place in (folder, work_dir) if place]
    if not osp.isabs(text):
        # A work dir of mmfer 0.1 may have a path relative to the folder from which
        # the run was started.
        places.append(osp.join(work_dir, text))
    return next((place for place in places if osp.isfile(place)), places[-1])
