"""Read image files, and find them in folders."""

import io
import os
import os.path as osp
import stat
from typing import Any, Iterable, List, Sequence, Tuple

from .formats import IMAGE_EXTENSIONS, UNMARKED_EXTENSIONS, Format, format_of
from .limits import MAX_BYTES, UnreadableImageError, check_bytes

# Number of last bytes in which to look for the end marker. Some cameras write
# padding after it.
_TAIL = 1024
# Files that operating systems put into folders by themselves.
_SYSTEM_FILES = ('thumbs.db', 'ehthumbs.db', 'desktop.ini', 'icon\r')


# -- reading -----------------------------------------------------------------
def is_file_object(source: Any) -> bool:
    """Return whether ``source`` is an open file, such as ``BytesIO``."""
    return callable(getattr(source, 'read', None))


def read_object(file: Any) -> Tuple[bytes, str]:
    """Read an open file from its beginning, if it can be rewound.

    Returns:
        tuple[bytes, str]: Its contents and its name, for messages.

    Raises:
        TypeError: The file is open as text.
        UnreadableImageError: It is larger than any image.
    """
    if isinstance(file, io.TextIOBase):
        # Such a file would try to decode the bytes of an image as text.
        raise TypeError("an image file was opened as text; open it with 'rb'")
    # The default ``bool`` returns False for objects without ``seekable``.
    if getattr(file, 'seekable', bool)():
        # PIL does the same, so a user can pass a buffer that was just written.
        file.seek(0)
    parts, size = [], 0
    # Streams may return less than they are asked for.
    while size <= MAX_BYTES and (part := file.read(1 << 24)):
        if isinstance(part, str):
            raise TypeError("an image file was opened as text; open it with 'rb'")
        parts.append(part)
        size += len(part)
    data = b''.join(parts)
    name = getattr(file, 'name', None)
    if not isinstance(name, str):
        name = f'{len(data)} bytes'
    check_bytes(len(data), name)
    return data, name


def read_file(path: str) -> bytes:
    """Return the contents of an image file.

    Args:
        path (str): The file; ``~`` is the home folder.

    Raises:
        FileNotFoundError: It does not exist.
        UnreadableImageError: It is not a file, or larger than any image.
        OSError: There is no permission to read it.
    """
    path = osp.expanduser(path)
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableImageError(
            f'{path!r} is not a file. To use a folder, give it alone, not in a list.'
        )
    check_bytes(status.st_size, path)
    with open(path, 'rb') as file:
        return file.read()


# -- a quick look ------------------------------------------------------------
def looks_complete(path: str) -> bool:
    """Return whether a file looks like a whole image, without decoding it.

    Only the first and last bytes are read, so that 10^5 files take seconds.

    Args:
        path (str): The file.

    Returns:
        bool: False if it is missing, empty, truncated or not an image.
    """
    try:
        with open(osp.expanduser(path), 'rb') as file:
            head = file.read(16)
            kind = format_of(head)
            if kind is None:
                return bool(head) and path.lower().endswith(UNMARKED_EXTENSIONS)
            if not kind.end:
                return True
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            if kind.end in file.read():
                return True
            # A video may follow the picture.
            file.seek(0)
            return _has_end(file.read(), kind)
    except OSError:
        return False


def _has_end(data: bytes, kind: Format) -> bool:
    """Return whether a JPEG or PNG has its end marker."""
    if kind.name == 'PNG':
        return kind.end in data
    # A thumbnail before the image is a JPEG with an end marker of its own. So
    # skip segment by segment to the first scan of the image. From there on, the
    # first FF D9 is the end marker of the image.
    position = 2
    while data[position : position + 1] == b'\xff':
        marker = data[position + 1 : position + 2]
        if marker == b'\xda':
            return data.find(kind.end, position) > 0
        if marker == b'\xff':  # Fill byte.
            position += 1
        else:
            position += 2 + int.from_bytes(data[position + 2 : position + 4], 'big')
    return kind.end in data[-_TAIL:]


# -- folders -----------------------------------------------------------------
def _refuse_closed(error: OSError) -> None:
    """Raise an error for a folder that may not be read."""
    if isinstance(error, PermissionError):
        raise PermissionError(
            f'{error.filename}: this folder cannot be read ({error.strerror}). Change '
            'its permissions, or copy the images.'
        ) from None


def find_images(
    folder: str, extensions: Iterable[str] = IMAGE_EXTENSIONS
) -> Tuple[List[str], List[str]]:
    """Find all images below a folder, and the other files.

    Args:
        folder (str): Folder to search at any depth; links are followed. Names
            that start with a dot are ignored, and so are files that
            operating systems put into folders, such as ``Thumbs.db``.
        extensions (Iterable[str]): Endings of images, lower case, with the
            dot.

    Returns:
        tuple[list[str], list[str]]: Sorted paths that start with ``folder``:
        those of the images, and those of files with other endings.

    Raises:
        PermissionError: A folder cannot be read; its images would be missed.
    """
    endings = tuple(extensions)
    images: List[str] = []
    others: List[str] = []
    for parent, folders, names in os.walk(folder, True, _refuse_closed, True):
        folders[:] = [
            name for name in folders if not name.startswith('.') and name != '__MACOSX'
        ]
        for name in names:
            if name.startswith('.') or name.lower() in _SYSTEM_FILES:
                continue
            found = images if name.lower().endswith(endings) else others
            found.append(osp.join(parent, name))
    return sorted(images), sorted(others)


def describe_ignored(
    others: Sequence[str], owner: str, extensions: Iterable[str] = IMAGE_EXTENSIONS
) -> str:
    """Return a message that says how many files are ignored, and names one.

    Args:
        others (Sequence[str]): Their paths, from :func:`find_images`.
        owner (str): What ignores them, such as a data set.
        extensions (Iterable[str]): Endings of images.
    """
    return (
        f'{owner}: {len(others)} file(s) ignored, because their names do not '
        f'end like the name of an image, such as {others[0]!r}. Images of other kinds '
        f'have to be converted; names of images end with {" ".join(extensions)}.'
    )
