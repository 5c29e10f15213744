"""Write files completely or not at all, and lock them."""

import io
import os
import os.path as osp
from contextlib import contextmanager
from typing import Any, Iterator, Optional, Set

import numpy as np
from mmengine.logging import print_log

from .full_disk import full_disk_explained
from .leftovers import HAS_LOCKS, create_temporary, remove_leftovers

# Folders whose left-over temporary files this process has removed.
_SWEPT: Set[str] = set()


def write_atomic(path: str, data: bytes, mode: Optional[int] = None) -> None:
    """Write ``data`` to ``path`` so that no reader sees an unfinished file.

    Readers see the old file or the whole new one. The temporary file lies in
    the same folder, because a rename is atomic within one file system only.
    The first write into a folder also removes the temporary files that killed
    processes have left there.

    Args:
        path (str): The file; replaced if it exists.
        data (bytes): Its new content.
        mode (int, optional): Permissions of the file, such as ``0o600``, also if it
            replaces another one. Defaults to those of any new file.

    Raises:
        DiskFullError: The file does not fit on the disk. The old file is unchanged.
    """
    folder = osp.dirname(osp.abspath(path))
    with full_disk_explained(path, len(data)):
        os.makedirs(folder, exist_ok=True)
        if folder not in _SWEPT:
            _SWEPT.add(folder)
            remove_leftovers(folder)
        handle, temporary = create_temporary(path)
        try:
            with os.fdopen(handle, 'wb') as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                umask = os.umask(0)
                os.umask(umask)
                os.chmod(temporary, 0o666 & ~umask if mode is None else mode)
                # Closing ends the lock, and a clean-up could take the file. Windows
                # has no such locks, and renames no open file.
                if not HAS_LOCKS:
                    file.close()
                os.replace(temporary, path)
        except BaseException:
            if osp.exists(temporary):
                os.remove(temporary)
            raise


def write_figure(figure: Any, path: str, dpi: int = 130) -> None:
    """Write a matplotlib figure in one step; see :func:`write_atomic`.

    Args:
        figure: Figure of matplotlib.
        path (str): File. Its ending names the format; without one it is PNG.
        dpi (int): Pixels per inch. Defaults to 130.
    """
    ending = osp.splitext(path)[1].lstrip('.')
    buffer = io.BytesIO()
    figure.savefig(buffer, format=ending or 'png', dpi=dpi)
    write_atomic(path if ending else f'{path}.png', buffer.getvalue())


def write_image(path: str, image: np.ndarray) -> None:
    """Write an image, or leave no file.

    Args:
        path (str): File. Its ending names the format.
        image (np.ndarray): uint8 (H, W) or (H, W, 3) in BGR order.

    Raises:
        DiskFullError: The file does not fit on the disk.
        ValueError: OpenCV cannot write this format.
    """
    # Only programs that write images need it.
    import cv2

    done, data = cv2.imencode(osp.splitext(path)[1], image)
    if not done:
        raise ValueError(f'{path}: OpenCV cannot write an image of this format.')
    with full_disk_explained(path, data.nbytes):
        try:
            # Waiting for the disk, as write_atomic does, takes too long for each of
            # many images.
            with open(path, 'wb') as file:
                file.write(data.tobytes())
        except BaseException:
            if osp.exists(path):
                os.remove(path)
            raise


@contextmanager
def file_lock(path: str) -> Iterator[None]:
    """Let one process at a time run the block for the same file.

    The operating system releases the lock when the process ends, even if it
    is killed. On systems without file locks (Windows, some network disks)
    the block runs without a lock.

    Args:
        path (str): File to lock; it is created if it does not exist.
    """
    with open(path, 'a') as file:
        try:
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print_log(
                    f'Waiting for another run that works in {osp.dirname(path)} ...',
                    'current',
                )
                fcntl.flock(file, fcntl.LOCK_EX)
        except (ImportError, OSError):
            pass
        yield
