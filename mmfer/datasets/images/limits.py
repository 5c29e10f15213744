"""The error for unreadable images, and the largest images that are read."""

# No camera has more pixels, and decoding more of them would take gigabytes.
MAX_PIXELS = 200_000_000
MAX_BYTES = 500_000_000


class UnreadableImageError(OSError):
    """Error for an image file that is empty, damaged or not an image.

    Attributes:
        path (str): The file, if whoever read it noted it; else ''.
    """

    path: str = ''


def check_bytes(size: int, name: str) -> None:
    """Raise :class:`UnreadableImageError` for a file of too many bytes.

    Args:
        size (int): Number of bytes.
        name (str): Name of the file, for the message.
    """
    if size > MAX_BYTES:
        raise UnreadableImageError(
            f'{name!r} has {size / 1e6:.0f} MB, more than '
            f'{MAX_BYTES / 1e6:.0f}. Is it an image?'
        )


def check_pixels(width: int, height: int, name: str) -> None:
    """Raise :class:`UnreadableImageError` for an image of too many pixels.

    Args:
        width (int): Width in pixels.
        height (int): Height in pixels.
        name (str): Name of the file, for the message.
    """
    pixels = width * height
    if pixels > MAX_PIXELS:
        raise UnreadableImageError(
            f'{name!r} has {pixels / 1e6:.0f} million pixels, more than '
            f'{MAX_PIXELS / 1e6:.0f} million. Make it smaller.'
        )
