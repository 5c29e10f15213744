"""Progress of long work: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from datetime import timedelta
from typing import Optional

from mmengine.logging import print_log
from mmengine.utils import ProgressBar

# Seconds between two lines of the log.
LOG_SECONDS = 30.0


class Progress:
    """Callback ``progress(done, total)`` that shows progress and the time left.

    Args:
        name (str): What is done, such as ``'encoding faces'``.
        unit (str): What is counted. Defaults to ``'images'``.
    """

    def __init__(self, name: str, unit: str = 'images'):
        self.name = name
        self.unit = unit
        self._bar: Optional[ProgressBar] = None
        self._start: Optional[float] = None
        # What an earlier, interrupted call has done takes no time now.
        self._first = self._shown = 0
        self._logged = 0.0

    def __call__(self, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` are finished.

        The first call starts the clock, and its ``done`` was there before.
        """
        now = time.monotonic()
        if self._start is None:
            self._start = self._logged = now
            self._first = self._shown = done
            if sys.stdout.isatty() and done < total:
                self._bar = ProgressBar(total - done, file=sys.stdout)
        elif self._bar is not None:
            self._bar.update(done - self._shown)
            if done == total:
                self._bar.file.write('\n')
        elif now - self._logged >= LOG_SECONDS and done < total:
            self._logged = now
            left = (now - self._start) * (total - done) / max(1, done - self._first)
            print_log(
                f'{self.name}: {done} of {total} {self.unit}, '
                f'{timedelta(seconds=round(left))} left',
                'current',
            )
        self._shown = done
