"""Progress with the time left, in a line of the terminal that is rewritten."""

import sys
import time
from datetime import timedelta
from typing import Any, Iterable, Iterator, Optional, Sized, TextIO

# Seconds between two states of a line; terminals over a network are slow.
INTERVAL = 0.2
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


def tracked(items: Iterable, what: str, total: Optional[int] = None) -> Iterator:
    """Yield items, and show how many are done.

    Args:
        items (Iterable): Items of any type.
        what (str): What is done with them, as ``'scoring the training set'``.
        total (int, optional): Number of items. Defaults to ``len(items)``.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    start = time.monotonic()
    try:
        for number, item in enumerate(items):
            left = time_left(start, number, total) if total else '?'
            LINE.show(f'{what}  {number}/{total or "?"}  ETA {left}')
            yield item
    finally:
        LINE.clear()
