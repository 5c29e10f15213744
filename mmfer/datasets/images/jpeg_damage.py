"""Find JPEG files whose compressed data is damaged inside.

A JPEG that lost a part in the middle still has both ends. Decoders fill the
lost part with grey, shift what follows and continue. libjpeg notices it, but
only writes a warning to the standard error of the process. Neither OpenCV nor
Pillow nor torchvision passes the warning on. Two of its warnings mean that
data is lost. What the decoder does with the file in Pillow shows both:

- "premature end of data segment": the decoder uses bytes that are appended to
  the compressed data, which it never does for an intact file;
- "extraneous bytes before marker": the image is finished before the last
  bytes of the compressed data, which an intact file always needs.

A third sign is a run of zeros in the compressed data where no image is coded
as zeros; libjpeg may accept it without a warning.

Damage that keeps the number of coded blocks cannot be found in this way. An
example is a flipped bit that only changes a grey value. Damage in JPEG files
with arithmetic or lossless coding, which are rare, cannot be found either.
"""

import io
import random
import re
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

_RESTART = re.compile(rb'\xff+([\xd0-\xd7])')
# The decoder looks ahead by up to eight bytes. No code is all ones, so these
# bytes stand for few blocks.
_PAD = b'\xff\x00' * 9
# This many bytes hold at least one block.
_ZEROS = bytes(64)
# Some cameras leave a few bytes behind the compressed data.
_STRAY = 32
# Each interval needs a decoder of its own: 2,900 of a photo of 12 million
# pixels took 0.9 s, while decoding the photo took 0.1 s.
_MAX_INTERVALS = 4000
# A progressive JPEG has about ten scans.
_MAX_SCANS = 64
# Largest width of a JPEG that libjpeg decodes.
_MAX_SIDE = 65500
# Larger images with several scans take too much memory and time.
_MAX_PIXELS = 16_000_000
# Number of pixels to decode in the search for scans that are too long. Up to
# 400,000 pixels, this is enough for all ten scans of a usual progressive JPEG.
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
    scans = _without_padding(found)
    if scans is None:
        return 'a part of its compressed data is zeros'
    try:
        if frame.kind in SEQUENTIAL and len(scans) == 1 and _pillow_streams():
            if interval and _RESTART.search(scans[0].data):
                return _check_intervals(frame, interval, scans[0])
            return _stream(*scans[0])
        if frame.width * frame.height <= _MAX_PIXELS:
            return _compare_decodings(frame, scans)
    except OSError:
        return 'libjpeg cannot decode it'
    except (SyntaxError, ValueError):
        # Pillow supports fewer kinds than OpenCV, so OpenCV decides.
        pass
    return None


# -- zeros, as of a part of a file that was never written --------------------
def _without_padding(scans: Sequence[Scan]) -> Optional[List[Scan]]:
    """Cut off zeros behind compressed data; None if there are some inside.

    Zeros alone are the first code of a Huffman table. If that code stands
    for a coefficient, a run of zeros would be blocks whose 63 coefficients
    are all the same, which no image has. If it stands for the end of a
    block, zeros may be a plain area, and they are left as they are.
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
    """Return whether the header of a scan codes a coefficient as zeros."""
    if len(segment) < 10 or len(segment) != 8 + 2 * segment[4]:
        return False
    first, last, approximation = segment[-3:]
    # Scans of mean values alone, and scans that refine, use other codes.
    return (
        last > 0
        and first <= last
        and approximation < 16
        and any(first_codes.get(0x10 | table & 15, 0) & 15 for table in segment[6:-3:2])
    )


def _first_codes(segment: bytes) -> Dict[int, int]:
    """First symbol of each Huffman table of a segment, by its number."""
    found, position = {}, 4
    while position + 17 < len(segment):
        found[segment[position]] = segment[position + 17]
        position += 17 + sum(segment[position + 1 : position + 17])
    return found


# -- sequential JPEG: what the decoder has read when the image is finished ---
class _Portions(io.BytesIO):
    """File that is read in given portions, and records how far."""

    def __init__(self, portions: Sequence[bytes]):
        super().__init__(b''.join(portions))
        self.ends = list(accumulate(map(len, portions)))
        self.furthest = 0

    def read(self, size: Optional[int] = -1) -> bytes:
        """Read no further than to the end of a portion."""
        start = self.tell()
        end = next((end for end in self.ends if end > start), start)
        if size is None or size < 0 or size > end - start:
            size = end - start
        content = super().read(size)
        self.furthest = max(self.furthest, self.tell())
        return content


def _without_stray(data: bytes) -> int:
    """Count the bytes of compressed data that an intact file surely needs."""
    return max(0, len(data.rstrip(b'\0')) - _STRAY)


def _stream(header: bytes, data: bytes) -> Optional[str]:
    """Check a scan without restart markers by what the decoder reads."""
    needed = _without_stray(data)
    file = _Portions([header + data[:needed], data[needed:] + _PAD, EOI])
    image = JpegImageFile(file)
    # An eighth of the size needs all codes, but hardly any arithmetic.
    image.draft(None, (1, 1))
    image.load()
    if needed and file.furthest <= file.ends[0]:
        return 'its compressed data goes on behind the end of the image'
    if file.furthest > file.ends[1]:
        return 'its compressed data ends before the image does'
    return None


@lru_cache(maxsize=None)
def _pillow_streams() -> bool:
    """Return whether Pillow decodes while it reads, as all versions so far."""
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    Image.fromarray(pixels).save(buffer, 'JPEG')
    data = buffer.getvalue()
    start = data.index(b'\xff\xda')
    start += 2 + int.from_bytes(data[start + 2 : start + 4], 'big')
    half = (start + len(data)) // 2
    return (
        _stream(data[:start], data[start:-2]) is None
        and _stream(data[:start], data[start:half]) is not None
    )


def _check_intervals(frame: Frame, interval: int, scan: Scan) -> Optional[str]:
    """Check every restart interval as an image of its own.

    The decoder starts anew at each restart marker, so only the data between
    two of them can be too short or too long.
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
        found = _stream(with_size(scan.header, *size), data)
        if found:
            return found
    return None


# -- several scans, as of progressive JPEG: what changes the image -----------
def _compare_decodings(frame: Frame, scans: Sequence[Scan]) -> Optional[str]:
    """Check scans by whether bytes at their ends change the image.

    The decoder reads all scans before it starts the image, so only the image
    shows which bytes it needs.
    """
    original = _decode(scans)
    padded = [
        Scan(header, _RESTART.sub(_PAD + rb'\g<0>', data) + _PAD)
        for header, data in scans
    ]
    if not np.array_equal(_decode(padded), original):
        return 'its compressed data ends before the image does'
    # Damage is most likely in the scans with the most data.
    largest = sorted(range(len(scans)), key=lambda i: len(scans[i].data), reverse=True)
    count = _PIXEL_BUDGET // (frame.width * frame.height)
    for number in largest[: min(max(1, count), _MAX_SCANS)]:
        data = scans[number].data
        needed = _without_stray(data)
        if not needed or _RESTART.search(data):
            continue
        if data[needed - 1] == 0xFF:
            needed -= 1
        # A fine quantisation can hide a change, so coarse ones are tried, too.
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
    """Compressed data that almost certainly changes an image that uses it."""
    return [
        random.Random(seed).randbytes(_STRAY).replace(b'\xff', b'\x55')
        for seed in range(3)
    ]


def _decode(scans: Sequence[Scan]) -> np.ndarray:
    """Pixels of a JPEG of these scans."""
    content = b''.join(part for scan in scans for part in scan)
    return np.asarray(JpegImageFile(io.BytesIO(content + EOI)))
