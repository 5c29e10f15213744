"""Small videos whose frames say their number."""

import cv2
import numpy as np


def frame_of(number, size=(120, 160)):
    """A grey frame; its brightness is its number, and a white square moves over it.

    Args:
        number (int): Number of the frame. Brightness starts again after 60.
        size (tuple[int, int]): Height and width of the frame.
    """
    image = np.full((*size, 3), 4 * number % 240, np.uint8)
    left = 32 * (number // 10 % (size[1] // 32))
    image[32:64, left : left + 32] = 255
    return image


def write_video(path, number=50, rate=5.0, code='MJPG', size=(120, 160)):
    """Write a video of frames by :func:`frame_of`.

    Args:
        path (Path): File; its ending names the format.
        number (int): Number of frames.
        rate (float): Frames per second.
        code (str): Four letters of the codec.
        size (tuple[int, int]): Height and width.
    """
    # OpenCV guesses the format from the ending, and some systems know no umlauts.
    plain = path.with_name(f'plain{path.suffix}')
    writer = cv2.VideoWriter(
        str(plain), cv2.VideoWriter_fourcc(*code), rate, size[::-1]
    )
    assert writer.isOpened()
    for i in range(number):
        writer.write(frame_of(i, size))
    writer.release()
    return plain.rename(path)


def cut_off(path, share):
    """Keep only the first part of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    return path
