"""Split a JPEG file into its frame, headers and scans."""

import re
from typing import Iterator, List, NamedTuple, Optional, Tuple

# Marker of the end of the image.
EOI = b'\xff\xd9'
TRUNCATED = 'it is truncated'
# A marker. FF 00 is a byte of the compressed data; further FF before it are fill
# bytes. They are not part of the pattern: from every byte of a long run of FF, as an
# erased part of a memory card has, the search would go to its end.
_MARKER = re.compile(rb'\xff([\x01-\xfe])', re.DOTALL)
_FILL = re.compile(rb'\xff{2,}')
# Kinds of frames: sequential (baseline and extended) and progressive JPEG, both
# with Huffman codes, and all kinds that exist.
SEQUENTIAL, PROGRESSIVE = (0xC0, 0xC1), 0xC2
FRAMES = (
    *range(0xC0, 0xC4),
    *range(0xC5, 0xC8),
    *range(0xC9, 0xCC),
    *range(0xCD, 0xD0),
)
# Markers that may follow a scan: tables, another scan, comments.
_AFTER_SCAN = (0xC4, 0xCC, 0xDA, 0xDB, 0xDC, 0xDD, *range(0xE0, 0xF0), 0xFE)


class Scan(NamedTuple):
    """One scan of a JPEG.

    Attributes:
        header (bytes): Segments before its compressed data.
        data (bytes): Its compressed data, without fill bytes.
    """

    header: bytes
    data: bytes


class Frame(NamedTuple):
    """Kind and size of the image, as the header of a JPEG gives them.

    Attributes:
        kind (int): Second byte of the marker, such as 0xC0 for baseline.
        height (int): Height in pixels.
        width (int): Width in pixels.
        sampling (tuple[tuple[int, int]]): Horizontal and vertical sampling
            of each component.
    """

    kind: int
    height: int
    width: int
    sampling: Tuple[Tuple[int, int], ...]


class Structure(NamedTuple):
    """Parts of a JPEG.

    Attributes:
        frame (Frame, optional): None if there is no frame, or one that cannot
            be checked.
        interval (int): Blocks between restart markers; 0 without them.
        scans (list[Scan]): Scans of the image.
        problem (str, optional): Why reading stopped before the end of the
            image, as a clause such as ``'it is truncated'``.
    """

    frame: Optional[Frame]
    interval: int
    scans: List[Scan]
    problem: Optional[str]


def read_structure(data: bytes) -> Structure:
    """Split a JPEG into its parts, without decoding it.

    Args:
        data (bytes): Contents of the file, from its start. Bytes after the
            end of the image are ignored.
    """
    position, header = 2, [data[:2]]
    frame: Optional[Frame] = None
    interval = 0
    scans: List[Scan] = []
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
        if kind in FRAMES:
            frame = _read_frame(kind, segment)
        elif kind == 0xDD:
            interval = int.from_bytes(segment[4:6], 'big')
        # Comments, colour profiles and thumbnails do not matter here.
        if not (0xE0 <= kind < 0xF0 or kind == 0xFE):
            header.append(segment)
        if kind == 0xDA:
            end, problem = _end_of_scan(data, position, interval)
            if problem is not None:
                return Structure(frame, interval, scans, problem)
            # libjpeg ignores fill bytes, too.
            content = _FILL.sub(b'\xff', data[position:end])
            scans.append(Scan(b''.join(header), content))
            header, position = [], end


def _read_frame(kind: int, segment: bytes) -> Optional[Frame]:
    """Read the segment of a frame; return None if it cannot be checked."""
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
        or any(0 in factors for factors in sampling)
    ):
        return None
    return frame


def _end_of_scan(data: bytes, start: int, interval: int) -> Tuple[int, Optional[str]]:
    """Return the position of the marker that ends a scan, and a problem or None."""
    end = data.find(EOI, start)
    if end >= 0 and data.count(b'\xff', start, end) == data.count(
        b'\xff\x00', start, end
    ):
        return end, None
    restarts = 0
    for marker in _MARKER.finditer(data, start):
        kind = marker.group(1)[0]
        if kind == 0xD9 or kind in _AFTER_SCAN:
            return start + len(data[start : marker.start()].rstrip(b'\xff')), None
        if not interval or not 0xD0 <= kind <= 0xD7:
            return 0, f'a marker FF {kind:02X} lies in its compressed data'
        if kind != 0xD0 + restarts % 8:
            return 0, 'a restart marker is missing in its compressed data'
        restarts += 1
    return 0, TRUNCATED


# -- headers of a scan -------------------------------------------------------
def segments(header: bytes) -> Iterator[bytes]:
    """Yield the start marker and the segments of a header, one by one."""
    position = 0
    while position < len(header):
        end = position + 2
        if header[position + 1] != 0xD8:
            end += int.from_bytes(header[end : end + 2], 'big')
        yield header[position:end]
        position = end


def with_size(header: bytes, width: int, height: int) -> bytes:
    """Change the image size in a header, and remove its restart interval."""
    parts = []
    for segment in segments(header):
        if segment[1] in FRAMES:
            segment = (
                segment[:5]
                + height.to_bytes(2, 'big')
                + width.to_bytes(2, 'big')
                + segment[9:]
            )
        if segment[1] != 0xDD:
            parts.append(segment)
    return b''.join(parts)


def with_quantisation(header: bytes, step: int) -> bytes:
    """Set all values of the quantisation tables in a header to ``step``."""
    parts = []
    for segment in segments(header):
        if segment[1] == 0xDB:
            tables, position = [], 4
            while position < len(segment):
                tables.append(bytes([segment[position] & 15]) + bytes([step]) * 64)
                position += 129 if segment[position] >> 4 else 65
            content = b''.join(tables)
            segment = b'\xff\xdb' + (len(content) + 2).to_bytes(2, 'big') + content
        parts.append(segment)
    return b''.join(parts)
