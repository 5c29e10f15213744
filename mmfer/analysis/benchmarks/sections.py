"""Exclusive time of parts of a program that contain each other."""

import time
from functools import wraps
from typing import Any, Callable, Dict, List


class Sections:
    """Exclusive time of sections that may contain each other.

    The time of an inner section does not count for the outer one. So the sections add
    up to the whole time.

    Args:
        clock (Callable): Clock in seconds.

    Attributes:
        seconds (dict[str, float]): Time of each section since :meth:`start`.
        running (bool): Whether time is measured.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter):
        self.clock = clock
        self.seconds: Dict[str, float] = {}
        self.running = False
        self._wait: Callable[[], None] = lambda: None
        self._open: List[str] = []
        self._last = 0.0

    def start(self, name: str, wait: Callable[[], None]) -> None:
        """Begin to measure, in an outermost section.

        Args:
            name (str): Section.
            wait (Callable): Function that is called before the clock is read.
        """
        self.seconds, self._open, self._wait = {}, [name], wait
        wait()
        self._last, self.running = self.clock(), True

    def stop(self) -> Dict[str, float]:
        """Stop to measure, and return the seconds of each section."""
        self._charge()
        self.running = False
        return self.seconds

    def rename(self, name: str) -> None:
        """Let what follows in the innermost section count for another section."""
        if self.running:
            self._charge()
            self._open[-1] = name

    def timed(self, call: Callable[..., Any], name: str) -> Callable[..., Any]:
        """Return a function whose calls are sections.

        Args:
            call (Callable): Function that is called.
            name (str): Section.
        """

        @wraps(call)
        def timed_call(*args: Any, **kwargs: Any) -> Any:
            if not self.running:
                return call(*args, **kwargs)
            self._charge()
            self._open.append(name)
            try:
                return call(*args, **kwargs)
            finally:
                self._charge()
                self._open.pop()

        return timed_call

    def _charge(self) -> None:
        """Give the time since the last reading to the innermost section."""
        self._wait()
        now = self.clock()
        name = self._open[-1]
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._last
        self._last = now


def wrap_methods(sections: Sections, owner: Any, methods: Dict[str, str]) -> None:
    """Make sections of those methods that an object has.

    Args:
        sections (Sections): Where the time is added up.
        owner (Any): Object; it is changed.
        methods (dict[str, str]): Section by the name of the method.
    """
    for method, name in methods.items():
        if hasattr(owner, method):
            setattr(owner, method, sections.timed(getattr(owner, method), name))
