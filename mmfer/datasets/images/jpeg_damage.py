"""Find JPEG files whose compressed data is damaged inside.

A JPEG that lost a part in the middle still has its first and last bytes.
Decoders fill the lost part with grey, shift the rest of the picture and
continue. libjpeg notices the damage, but only writes a warning to the standard
error of the process. Neither OpenCV nor Pillow nor torchvision passes the
warning on. Two of the warnings mean that data is lost. This module finds both
from what the decoder in Pillow does with the file:

- "premature end of data segment": the decoder uses bytes that are appended to
  the compressed data, which it never does for an intact file;
- "extraneous bytes before marker": the image is finished before the last
  bytes of the compressed data, which an intact file always needs.

A third sign is a run of zeros in the compressed data, if zeros cannot be the
code of an image. libjpeg may accept such a run without a warning.

Damage that keeps the number of coded blocks cannot be found in this way. An
example is a flipped bit that only changes a grey value. Damage in JPEG files
with arithmetic or lossless coding, which are rare, cannot be found either.
"""

import io
import random
import re
from bisect import bisect_right
from functools import lru_cache
from itertools import accumulate
from typing import Dict, List, Optional, Sequence

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from .jpeg_structure import (
    EOI,
    PROGRESSIVE,
    SEQUENTIAL,
    Frame,
    Scan,
    Structure,
    segments,
    with_quantisation,
    with_size,
)

TOO_SHORT = 'its compressed data ends before the image does'
_RESTART = re.compile(rb'\xff([\xd0-\xd7])')
# Bytes to append to compressed data. The decoder reads up to eight bytes ahead.
# No code consists of ones only, so these bytes stand for few blocks.
_PAD = b'\xff\x00' * 9
# This many bytes hold at least one block.
_ZEROS = bytes(64)
# Some cameras write up to this many bytes after the compressed data.
_STRAY = 32
# Each restart interval needs a decoder of its own. For the 2,900 intervals of a
# photo of 12 million pixels this took 0.9 s, while decoding the photo took 0.1 s.
_MAX_INTERVALS = 4000
# A progressive JPEG has about ten scans.
_MAX_SCANS = 64
# Largest width or height of a JPEG that libjpeg decodes.
_MAX_SIDE = 65500
# Larger images with several scans take too much memory and time.
_MAX_PIXELS = 16_000_000
# Number of pixels to decode in the search for scans that are too long. It is
# enough for all ten scans of a usual progressive JPEG of up to 400,000 pixels.
_PIXEL_BUDGET = 4_000_000


def find_damage(jpeg: Structure) -> Optional[str]:
    """Return what is damaged in the compressed data of a JPEG.

    Args:
        jpeg (Structure): The JPEG, from
            :func:`~mmfer.datasets.images.jpeg_structure.read_structure`.

    Returns:
        str, optional: A clause for a message, such as ``'its compressed
        data ends before the image does'``; None if nothing was found.
    """
    frame, interval, found, problem = jpeg
    if problem is not None or frame is None or not found:
        return problem
    if frame.kind not in (*SEQUENTIAL, PROGRESSIVE):
        return None
    # Every block of 8 x 8 pixels has at least one code, of at least one bit. A file of
    # a few bytes that claims a large image would take seconds to decode.
    blocks = -(-frame.width // 8) * -(-frame.height // 8)
    if 8 * sum(len(scan.data) for scan in found) < blocks:
        return TOO_SHORT
    scans = _without_padding(found)
    if scans is None:
        return 'a part of its compressed data is zeros'
    try:
        if frame.kind in SEQUENTIAL and len(scans) == 1 and _pillow_streams():
            if interval and _RESTART.search(scans[0].data):
                return _check_intervals(frame, interval, scans[0])
            return _check_scan(*scans[0])
        if frame.width * frame.height <= _MAX_PIXELS:
            return _compare_decodings(frame, scans)
    except OSError:
        return 'libjpeg cannot decode it'
    except (SyntaxError, ValueError):
        # Pillow supports fewer kinds than OpenCV, so OpenCV decides.
        pass
    return None


# -- zeros: a part of the file was never written ------------------------------
def _without_padding(scans: Sequence[Scan]) -> Optional[List[Scan]]:
    """Cut off zeros after the compressed data; return None if zeros are inside it.

    The first code of a Huffman table consists of zeros. If that code stands
    for a coefficient, a run of zeros would be blocks whose 63 coefficients
    are all the same, which no image has. If it stands for the end of a block,
    a run of zeros may be a plain area, and it is accepted.
    """
    first_codes: Dict[int, int] = {}
    kept = []
    for header, data in scans:
        for segment in segments(header):
            if segment[1] == 0xC4:
                first_codes.update(_first_codes(segment))
        if _zeros_are_coefficients(segment, first_codes):
            end = len(data.rstrip(b'\0'))
            if data.find(_ZEROS, 0, end) >= 0:
                return None
            data = data[: end + len(_ZEROS)]
        kept.append(Scan(header, data))
    return kept


def _zeros_are_coefficients(segment: bytes, first_codes: Dict[int, int]) -> bool:
    """Return whether zero bits stand for a coefficient in a scan with this header."""
    if len(segment) < 10 or len(segment) != 8 + 2 * segment[4]:
        return False
    first, last, approximation = segment[-3:]
    # Scans that have only mean values, and scans that refine earlier ones, use
    # other codes.
    return (
        last > 0
        and first <= last
        and approximation < 16
        and any(first_codes.get(0x10 | table & 15, 0) & 15 for table in segment[6:-3:2])
    )


def _first_codes(segment: bytes) -> Dict[int, int]:
    """Return the first symbol of each Huffman table of a segment, by table number."""
    found, position = {}, 4
    while position + 17 < len(segment):
        found[segment[position]] = segment[position + 17]
        position += 17 + sum(segment[position + 1 : position + 17])
    return found


# -- sequential JPEG: how far the decoder reads until the image is finished ---
class _Portions(io.BytesIO):
    """File that is read in given portions, and records how far it was read."""

    def __init__(self, portions: Sequence[bytes]):
        super().__init__(b''.join(portions))
        self.ends = list(accumulate(map(len, portions)))
        self.furthest = 0

    def read(self, size: Optional[int] = -1) -> bytes:
        """Read at most to the end of the current portion."""
        # Pillow calls this about 30 times for each image, while other threads wait.
        start = self.tell()
        portion = bisect_right(self.ends, start)
        left = self.ends[portion] - start if portion < len(self.ends) else 0
        content = super().read(left if size is None or not 0 <= size <= left else size)
        if start + len(content) > self.furthest:
            self.furthest = start + len(content)
        return content


def _count_needed(data: bytes) -> int:
    """Return how many bytes of compressed data an intact file certainly needs."""
    return max(0, len(data.rstrip(b'\0')) - _STRAY)


def _check_scan(header: bytes, data: bytes) -> Optional[str]:
    """Check a scan without restart markers by how far the decoder reads."""
    needed = _count_needed(data)
    file = _Portions([header + data[:needed], data[needed:] + _PAD, EOI])
    image = JpegImageFile(file)
    # Decoding to an eighth of the size reads all codes, but computes little.
    image.draft(None, (1, 1))
    image.load()
    if needed and file.furthest <= file.ends[0]:
        return 'its compressed data goes on behind the end of the image'
    if file.furthest > file.ends[1]:
        return TOO_SHORT
    return None


@lru_cache(maxsize=None)
def _pillow_streams() -> bool:
    """Return whether Pillow decodes while it reads, as all versions so far do."""
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    Image.fromarray(pixels).save(buffer, 'JPEG')
    data = buffer.getvalue()
    start = data.index(b'\xff\xda')
    start += 2 + int.from_bytes(data[start + 2 : start + 4], 'big')
    half = (start + len(data)) // 2
    return (
        _check_scan(data[:start], data[start:-2]) is None
        and _check_scan(data[:start], data[start:half]) is not None
    )


def _check_intervals(frame: Frame, interval: int, scan: Scan) -> Optional[str]:
    """Check every restart interval as an image of its own.

    The decoder starts again at each restart marker. The data between two
    markers can therefore be checked alone.
    """
    parts = _RESTART.split(scan.data)[::2]
    side = (
        (1, 1)
        if len(frame.sampling) == 1
        else (max(h for h, _ in frame.sampling), max(v for _, v in frame.sampling))
    )
    columns, rows = (
        -(-size // (8 * factor))
        for size, factor in zip((frame.width, frame.height), side)
    )
    count = -(-columns * rows // interval)
    if len(parts) == count + 1 and not parts[-1]:
        parts.pop()
    if len(parts) != count:
        return (
            f'its compressed data has {len(parts)} parts between restart '
            f'markers instead of {count}'
        )
    if count > _MAX_INTERVALS:
        return None
    for number, data in enumerate(parts):
        units = min(interval, columns * rows - number * interval)
        if units * 8 * side[0] <= _MAX_SIDE:
            size = units * 8 * side[0], 8 * side[1]
        elif units % columns == 0:
            size = columns * 8 * side[0], units // columns * 8 * side[1]
        else:
            continue
        found = _check_scan(with_size(scan.header, *size), data)
        if found:
            return found
    return None


# -- several scans (progressive JPEG): which bytes change the image -----------
def _compare_decodings(frame: Frame, scans: Sequence[Scan]) -> Optional[str]:
    """Check scans by whether other bytes at their ends change the image.

    The decoder reads all scans before it makes the image. So how far it reads
    tells nothing; only the image shows which bytes are needed.
    """
    original = _decode(scans)
    padded = [
        Scan(header, _RESTART.sub(_PAD + rb'\g<0>', data) + _PAD)
        for header, data in scans
    ]
    if not np.array_equal(_decode(padded), original):
        return TOO_SHORT
    # Damage is most likely in the scans with the most data.
    largest = sorted(range(len(scans)), key=lambda i: len(scans[i].data), reverse=True)
    count = _PIXEL_BUDGET // (frame.width * frame.height)
    for number in largest[: min(max(1, count), _MAX_SCANS)]:
        data = scans[number].data
        needed = _count_needed(data)
        if not needed or _RESTART.search(data):
            continue
        if data[needed - 1] == 0xFF:
            needed -= 1
        # A fine quantisation can hide a change, so try coarse ones, too.
        if all(_ignores(scans, number, needed, step) for step in (0, 8, 64)):
            return 'its compressed data goes on behind the end of the image'
    return None


def _ignores(scans: Sequence[Scan], number: int, needed: int, step: int) -> bool:
    """Return whether random bytes at the end of a scan change nothing.

    Args:
        scans (Sequence[Scan]): All scans.
        number (int): Number of the scan.
        needed (int): Number of its first bytes that stay as they are.
        step (int): Quantisation to use instead of the file's own; 0 keeps
            the file's.
    """
    if step:
        scans = [Scan(with_quantisation(header, step), data) for header, data in scans]
    original = _decode(scans)
    header, data = scans[number]
    return all(
        np.array_equal(
            original,
            _decode(
                [
                    *scans[:number],
                    Scan(header, data[:needed] + tail),
                    *scans[number + 1 :],
                ]
            ),
        )
        for tail in _random_tails()
    )


@lru_cache(maxsize=None)
def _random_tails() -> List[bytes]:
    """Return random bytes that almost certainly change an image that uses them."""
    return [
        random.Random(seed).randbytes(_STRAY).replace(b'\xff', b'\x55')
        for seed in range(3)
    ]


def _decode(scans: Sequence[Scan]) -> np.ndarray:
    """Return the pixels of a JPEG that consists of these scans."""
    content = b''.join(part for scan in scans for part in scan)
    return np.asarray(JpegImageFile(io.BytesIO(content + EOI)))
