"""Progress with the time left, on a terminal or in a log."""

import sys
import time
from datetime import timedelta
from typing import Any, Iterable, Iterator, Optional, Sized, TextIO

from mmengine.logging import print_log

# Seconds between two states of a line; terminals over a network are slow.
INTERVAL = 0.2
# Seconds between two lines of a log.
LOG_SECONDS = 30.0
# Moves to the beginning of the line, and removes what is there.
CLEAR = '\r\x1b[K'


class ProgressLine:
    """Last line of a terminal, which is rewritten.

    Where the output is redirected, nothing is written.

    Args:
        stream (TextIO, optional): Stream to write to. Defaults to the standard error of
            the moment.
    """

    def __init__(self, stream: Optional[TextIO] = None):
        self.stream = stream
        self.shown = False
        self._last = -INTERVAL

    def show(self, text: str) -> None:
        """Replace the line, but not more often than can be read."""
        stream, now = self.stream or sys.stderr, time.monotonic()
        if now - self._last < INTERVAL or not is_terminal(stream):
            return
        self._last, self.shown = now, True
        stream.write(CLEAR + text)
        stream.flush()

    def clear(self) -> None:
        """Remove the line, so that another text can be written."""
        if self.shown:
            stream = self.stream or sys.stderr
            stream.write(CLEAR)
            stream.flush()
            self.shown = False


LINE = ProgressLine()
"""The line that all parts of a process share."""


def is_terminal(stream: Any) -> bool:
    """Return whether a stream is a terminal, in front of which somebody may sit."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False


def time_left(start: float, done: float, total: float) -> str:
    """Return the time that the rest takes, as ``0:01:30``.

    Args:
        start (float): Value of ``time.monotonic()`` at the beginning.
        done (float): Finished part since then.
        total (float): All of it.
    """
    if done <= 0:
        return '?'
    seconds = (time.monotonic() - start) / done * max(0.0, total - done)
    return str(timedelta(seconds=round(seconds)))


class Progress:
    """Callback ``progress(done, total)`` that shows progress and the time left.

    Args:
        name (str): What is done, such as ``'encoding faces'``.
        unit (str): What is counted. Defaults to ``'images'``.
    """

    def __init__(self, name: str, unit: str = 'images'):
        self.name = name
        self.unit = unit
        self._start: Optional[float] = None
        # What an earlier, interrupted call has done takes no time now.
        self._first = 0
        self._logged = 0.0

    def __call__(self, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` are finished.

        The first call starts the clock, and its ``done`` was there before.
        """
        now = time.monotonic()
        if self._start is None:
            self._start, self._logged, self._first = now, now, done
        left = time_left(self._start, done - self._first, total - self._first)
        if is_terminal(sys.stderr):
            LINE.show(f'{self.name}  {done}/{total} {self.unit}  ETA {left}')
            if done >= total:
                LINE.clear()
        elif now - self._logged >= LOG_SECONDS and done < total:
            self._logged = now
            print_log(
                f'{self.name}: {done} of {total} {self.unit}, ETA {left}', 'current'
            )


def tracked(items: Iterable, name: str, unit: str = 'images') -> Iterator:
    """Yield items of a known number, and show how many are done.

    Args:
        items (Iterable): Items of any type, with a length.
        name (str): What is done; see :class:`Progress`.
        unit (str): What is counted. Defaults to ``'images'``.
    """
    assert isinstance(items, Sized), 'progress needs a total'
    progress, total = Progress(name, unit), len(items)
    try:
        for number, item in enumerate(items):
            progress(number, total)
            yield item
    finally:
        LINE.clear()
