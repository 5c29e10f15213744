"""Find JPEG files whose compressed data is damaged inside.

A JPEG of which a part was lost still has both ends. Decoders fill the lost
part with grey, shift what follows and carry on. libjpeg notices, but only
writes a warning to the standard error of the process, and neither OpenCV nor
Pillow nor torchvision passes it on. Its two warnings that tell of lost data
can be had from Pillow by what the decoder does with the file:

- "premature end of data segment": bytes that are put behind the compressed
  data are used, which those of an intact file never are;
- "extraneous bytes before marker": the image is finished before the last
  bytes of the compressed data, which an intact file always needs.

Besides, a run of zeros in the compressed data is found where no image is coded
as zeros; libjpeg may pass it in silence.

Damage that leaves the number of coded blocks as it was, such as a flipped
bit that only changes a grey value, cannot be found like this. Neither can
damage of arithmetic coded and lossless JPEG files, which are hardly met.
"""

import io
import random
import re
from functools import lru_cache
from itertools import accumulate
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from PIL.JpegImagePlugin import JpegImageFile

EOI = b'\xff\xd9'
TRUNCATED = 'it is truncated'
# A marker; FF 00 is a byte of the compressed data, further FF are filling.
_MARKER = re.compile(rb'\xff+([\x01-\xfe])', re.DOTALL)
_RESTART = re.compile(rb'\xff+([\xd0-\xd7])')
# Baseline, extended and progressive JPEG with Huffman codes.
_SEQUENTIAL, _PROGRESSIVE = (0xC0, 0xC1), 0xC2
_FRAMES = (
    *range(0xC0, 0xC4),
    *range(0xC5, 0xC8),
    *range(0xC9, 0xCC),
    *range(0xCD, 0xD0),
)
# Markers that may follow a scan: tables, another scan, comments.
_AFTER_SCAN = (0xC4, 0xCC, 0xDA, 0xDB, 0xDC, 0xDD, *range(0xE0, 0xF0), 0xFE)
# The decoder looks ahead by up to eight bytes. All ones are no code, so that
# they stand for few blocks.
_PAD = b'\xff\x00' * 9
# As many bytes hold at least one block.
_ZEROS = bytes(64)
# Some cameras leave a few bytes behind the compressed data.
_STRAY = 32
# Each needs a decoder of its own: 2,900 of a photo of 12 million pixels took
# 0.9 s, where decoding the photo took 0.1 s.
_MAX_INTERVALS = 4000
# A progressive JPEG has some ten.
_MAX_SCANS = 64
_MAX_SIDE = 65500
# Of several scans; larger ones take too much memory and time.
_MAX_PIXELS = 16_000_000
# Pixels that are decoded to look for scans that are too long. Up to 400,000
# pixels this is enough for all ten scans of the usual progressive JPEG.
_PIXEL_BUDGET = 4_000_000


class Scan(NamedTuple):
    """One scan: what stands before its compressed data, and the data."""

    header: bytes
    data: bytes


class Frame(NamedTuple):
    """Facts that a JPEG states before its first scan."""

    kind: int
    height: int
    width: int
    # Horizontal and vertical sampling of each component.
    sampling: Tuple[Tuple[int, int], ...]


class Structure(NamedTuple):
    """Parts of a JPEG.

    Attributes:
        frame (Frame, optional): None if it has none that can be judged.
        interval (int): Blocks between restart markers; 0 without them.
        scans (list[Scan]): Its scans.
        problem (str, optional): Why reading ended before the end of the
            image, as in :func:`find_damage`.
    """

    frame: Optional[Frame]
    interval: int
    scans: List[Scan]
    problem: Optional[str]


def read_structure(data: bytes) -> Structure:
    """Take a JPEG apart, without decoding it.

    Args:
        data (bytes): Contents of the file, from SOI. What follows the end of
            the image is not looked at.
    """
    position, header = 2, [data[:2]]
    frame, interval, scans = None, 0, []
    while True:
        marker = _MARKER.search(data, position)
        if marker is None:
            return Structure(frame, interval, scans, TRUNCATED)
        kind, position = marker.group(1)[0], marker.end()
        if kind == 0xD9:
            return Structure(frame, interval, scans, None)
        if kind == 0x01 or 0xD0 <= kind <= 0xD8:
            continue
        end = position + int.from_bytes(data[position : position + 2], 'big')
        if end > len(data) or end < position + 2:
            return Structure(frame, interval, scans, TRUNCATED)
        segment = b'\xff' + data[position - 1 : end]
        position = end
        if kind in _FRAMES:
            frame = _read_frame(kind, segment)
        elif kind == 0xDD:
            interval = int.from_bytes(segment[4:6], 'big')
        # Comments, colour profiles and thumbnails decide nothing here.
        if not (0xE0 <= kind < 0xF0 or kind == 0xFE):
            header.append(segment)
        if kind == 0xDA:
            end, problem = _end_of_scan(data, position, interval)
            if problem is not None:
                return Structure(frame, interval, scans, problem)
            scans.append(Scan(b''.join(header), data[position:end]))
            header, position = [], end


def _read_frame(kind: int, segment: bytes) -> Optional[Frame]:
    """Read a SOF segment; None if it is none that can be judged."""
    if len(segment) < 10 or len(segment) < 10 + 3 * segment[9]:
        return None
    sampling = tuple(
        (segment[i] >> 4, segment[i] & 15) for i in range(11, 10 + 3 * segment[9], 3)
    )
    frame = Frame(
        kind,
        int.from_bytes(segment[5:7], 'big'),
        int.from_bytes(segment[7:9], 'big'),
        sampling,
    )
    if (
        segment[4] != 8
        or not frame.height
        or not frame.width
        or not sampling
        or 0 in sum(sampling, ())
    ):
        return None
    return frame


def _end_of_scan(data: bytes, start: int, interval: int) -> Tuple[int, Optional[str]]:
    """Position of the marker that ends a scan; what is wrong, or None."""
    end = data.find(EOI, start)
    if end >= 0 and data.count(b'\xff', start, end) == data.count(
        b'\xff\x00', start, end
    ):
        return end, None
    restarts = 0
    for marker in _MARKER.finditer(data, start):
        kind = marker.group(1)[0]
        if kind == 0xD9 or kind in _AFTER_SCAN:
            return marker.start(), None
        if not interval or not 0xD0 <= kind <= 0xD7:
            return 0, f'a marker FF {kind:02X} lies in its compressed data'
        if kind != 0xD0 + restarts % 8:
            return 0, 'a restart marker is missing in its compressed data'
        restarts += 1
    return 0, TRUNCATED


def find_damage(jpeg: Structure) -> Optional[str]:
    """Return what is damaged in the compressed data of a JPEG.

    Args:
        jpeg (Structure): As :func:`read_structure` gives it.

    Returns:
        str, optional: A clause for a message, such as ``'its compressed
        data ends before the image does'``; None if nothing was found.
    """
    frame, interval, scans, problem = jpeg
    if problem is not None or frame is None or not scans:
        return problem
    if frame.kind not in (*_SEQUENTIAL, _PROGRESSIVE):
        return None
    scans = _without_padding(scans)
    if scans is None:
        return 'a part of its compressed data is zeros'
    try:
        if frame.kind in _SEQUENTIAL and len(scans) == 1 and _pillow_streams():
            if interval and _RESTART.search(scans[0].data):
                return _check_intervals(frame, interval, scans[0])
            return _stream(*scans[0])
        if frame.width * frame.height <= _MAX_PIXELS:
            return _compare_decodings(frame, scans)
    except OSError:
        return 'libjpeg cannot decode it'
    except (SyntaxError, ValueError):
        # Pillow knows fewer kinds than OpenCV, which shall decide.
        pass
    return None


# -- zeros, as of a part of a file that was never written --------------------
def _without_padding(scans: Sequence[Scan]) -> Optional[List[Scan]]:
    """Cut off zeros behind compressed data; None if there are some inside.

    The code of zeros alone is the first of a Huffman table. Where it stands
    for a coefficient, a run of zeros would be blocks all of whose 63
    coefficients are the same, which no image has. Where it stands for the
    end of a block, zeros may be a plain area and are left alone.
    """
    first_codes: Dict[int, int] = {}
    kept = []
    for header, data in scans:
        for segment in _segments(header):
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
    """Return whether a SOS segment codes a coefficient as zeros."""
    if len(segment) < 10 or len(segment) != 8 + 2 * segment[4]:
        return False
    first, last, approximation = segment[-3:]
    # Scans of mean values alone, and those that refine, are coded otherwise.
    return (
        last > 0
        and first <= last
        and approximation < 16
        and any(first_codes.get(0x10 | table & 15, 0) & 15 for table in segment[6:-3:2])
    )


def _first_codes(segment: bytes) -> Dict[int, int]:
    """First symbol of each Huffman table of a DHT segment, by its number."""
    found, position = {}, 4
    while position + 17 < len(segment):
        found[segment[position]] = segment[position + 17]
        position += 17 + sum(segment[position + 1 : position + 17])
    return found


# -- sequential JPEG: what the decoder has read when the image is finished ---
class _Portions(io.BytesIO):
    """File that is read in given portions, and counts them."""

    def __init__(self, portions: Sequence[bytes]):
        super().__init__(b''.join(portions))
        self.ends = list(accumulate(map(len, portions)))
        self.furthest = 0

    def read(self, size: int = -1) -> bytes:
        """Read no further than to the end of a portion."""
        start = self.tell()
        end = next((end for end in self.ends if end > start), start)
        if size < 0 or size > end - start:
            size = end - start
        content = super().read(size)
        self.furthest = max(self.furthest, self.tell())
        return content


def _without_stray(data: bytes) -> int:
    """Bytes of compressed data that an intact file needs for certain."""
    return max(0, len(data.rstrip(b'\0')) - _STRAY)


def _stream(header: bytes, data: bytes) -> Optional[str]:
    """Judge one scan without restart markers by what the decoder reads."""
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
    """Return whether this Pillow decodes while it reads, as all do so far."""
    from PIL import Image

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
    """Judge every restart interval as an image of its own.

    The decoder starts anew at each restart marker, so that only the data
    between two of them can be too short or too long.
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
        found = _stream(_with_size(scan.header, *size), data)
        if found:
            return found
    return None


def _with_size(header: bytes, width: int, height: int) -> bytes:
    """Header of an image of another size, without restart markers."""
    parts = []
    for segment in _segments(header):
        if segment[1] in _FRAMES:
            segment = (
                segment[:5]
                + height.to_bytes(2, 'big')
                + width.to_bytes(2, 'big')
                + segment[9:]
            )
        if segment[1] != 0xDD:
            parts.append(segment)
    return b''.join(parts)


def _segments(header: bytes) -> Iterator[bytes]:
    """SOI, and the segments of a header, one by one."""
    position = 0
    while position < len(header):
        end = position + 2
        if header[position + 1] != 0xD8:
            end += int.from_bytes(header[end : end + 2], 'big')
        yield header[position:end]
        position = end


# -- several scans, as of progressive JPEG: what changes the image -----------
def _compare_decodings(frame: Frame, scans: Sequence[Scan]) -> Optional[str]:
    """Judge scans by whether bytes at their ends matter.

    The decoder reads all scans before it begins the image, so that what it
    needs can only be seen in the image.
    """
    original = _decode(scans)
    padded = [
        Scan(header, _RESTART.sub(_PAD + rb'\g<0>', data) + _PAD)
        for header, data in scans
    ]
    if not np.array_equal(_decode(padded), original):
        return 'its compressed data ends before the image does'
    # Damage is most likely in those with the most data.
    largest = sorted(range(len(scans)), key=lambda i: len(scans[i].data), reverse=True)
    count = _PIXEL_BUDGET // (frame.width * frame.height)
    for number in largest[: min(max(1, count), _MAX_SCANS)]:
        data = scans[number].data
        needed = _without_stray(data)
        if not needed or _RESTART.search(data):
            continue
        if data[needed - 1] == 0xFF:
            needed -= 1
        # What a fine quantisation hides is looked for with coarse ones.
        if all(_ignores(scans, number, needed, step) for step in (0, 8, 64)):
            return 'its compressed data goes on behind the end of the image'
    return None


def _ignores(scans: Sequence[Scan], number: int, needed: int, step: int) -> bool:
    """Return whether random bytes at the end of a scan change nothing.

    Args:
        scans (Sequence[Scan]): All scans.
        number (int): That of the scan.
        needed (int): Bytes of its data that are left as they are.
        step (int): Quantisation that takes the place of the file's own; 0
            for the file's.
    """
    if step:
        scans = [Scan(_with_quantisation(header, step), data) for header, data in scans]
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


def _with_quantisation(header: bytes, step: int) -> bytes:
    """Header whose quantisation tables are ``step`` throughout."""
    parts = []
    for segment in _segments(header):
        if segment[1] == 0xDB:
            tables, position = [], 4
            while position < len(segment):
                tables.append(bytes([segment[position] & 15]) + bytes([step]) * 64)
                position += 129 if segment[position] >> 4 else 65
            content = b''.join(tables)
            segment = b'\xff\xdb' + (len(content) + 2).to_bytes(2, 'big') + content
        parts.append(segment)
    return b''.join(parts)


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
