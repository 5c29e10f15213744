"""What of a run's log is shown on the console; the log file has all of it."""

import importlib.util
import io
import logging
import os.path as osp
import re
import sys
import sysconfig
import warnings
from contextlib import contextmanager, redirect_stdout, suppress
from functools import lru_cache
from types import FrameType
from typing import Any, Dict, Iterator, List, Optional, Set, TextIO, Tuple

import mmengine.logging

from mmfer_command.closed_output import discard_output

from .progress import LINE

FILE_ONLY: Dict[str, bool] = dict(file_only=True)
"""Argument ``extra`` of a message that is of interest in the log file only."""

# Folder of mmfer.
PACKAGE = osp.join(osp.dirname(osp.dirname(osp.abspath(__file__))), '')
# Code through which messages pass: this file, logging, and print_log with its wrapper.
PASSING = (
    osp.dirname(logging.__file__),
    osp.dirname(mmengine.logging.__file__),
    osp.join(PACKAGE, 'compat.py'),
    __file__,
)
# Their messages are about their own workings.
LIBRARIES = ('mmengine', 'mmpretrain', 'mmcv', 'torch', 'torchvision', 'timm')
# Those of a user's checkpoint, and why a run has stopped.
SHOWN = re.compile(
    r'checkpoint|state.dict|resum|monitored metric|early stop|auto.?scale',
    re.IGNORECASE,
)
# Checkpoints are reported by the hook that writes them.
HIDDEN = re.compile(
    r'Checkpoints will be saved|Saving checkpoint at|Loads checkpoint by|deprecat'
)


@lru_cache(maxsize=None)
def library_folders() -> Tuple[str, ...]:
    """Return the folders of the libraries whose messages go to the file."""
    specs = [importlib.util.find_spec(name) for name in LIBRARIES]
    return tuple(
        osp.dirname(osp.abspath(spec.origin)) + osp.sep
        for spec in specs
        if spec is not None and spec.origin
    )


def from_library(path: str) -> bool:
    """Return whether a source file belongs to a library, not to mmfer or the user."""
    return osp.abspath(path).startswith(library_folders())


def installed(path: str) -> bool:
    """Return whether a source file belongs to Python or to an installed package."""
    path = osp.abspath(path)
    if path.startswith(PACKAGE):
        return False
    folders = (sysconfig.get_path('stdlib'), sysconfig.get_path('purelib'))
    return from_library(path) or path.startswith(folders)


def caller() -> str:
    """Return the source file that has called a logger or ``print_log``."""
    frame: Optional[FrameType] = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(PASSING):
        frame = frame.f_back
    return '' if frame is None else frame.f_code.co_filename


@contextmanager
def prints_logged() -> Iterator[None]:
    """Write what libraries print inside the block to the log file instead."""
    text = io.StringIO()
    try:
        with redirect_stdout(text):
            yield
    finally:
        logger = mmengine.logging.MMLogger.get_current_instance()
        for line in text.getvalue().splitlines():
            logger.info(line, extra=FILE_ONLY)


class ConsoleFilter(logging.Filter):
    """Pass what a user wants to know: messages of mmfer and of the user's own code."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a message is shown."""
        if record.levelno >= logging.ERROR:
            return True
        if getattr(record, 'file_only', False):
            return False
        if not from_library(caller()):
            return True
        # A config that is logged has these words somewhere, too.
        text = record.getMessage().strip().partition('\n')[0]
        return bool(SHOWN.search(text)) and not HIDDEN.search(text)


class ConsoleFormatter(logging.Formatter):
    """Message without time and names; warnings and errors say what they are."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a message."""
        text = super().format(record).strip('\n')
        if record.levelno >= logging.WARNING:
            return f'{record.levelname}: {text}'
        return text


class ConsoleHandler(logging.StreamHandler):
    """Handler that writes above the line of progress.

    Args:
        stream (TextIO): Standard output.
    """

    def __init__(self, stream: TextIO):
        super().__init__(stream)
        self.setFormatter(ConsoleFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Remove the line of progress, and write a message."""
        LINE.clear()
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Go on without the console if nobody reads it, as after ``head`` has ended."""
        if not isinstance(sys.exc_info()[1], BrokenPipeError):
            super().handleError(record)
            return
        # Not sys.stdout, which may be another stream at the moment.
        discard_output(self.stream)
        with suppress(BrokenPipeError):
            print(
                'Nobody reads the output any more. The run goes on; its log file has '
                'the rest.',
                file=sys.stderr,
            )


def quieten(logger: Any) -> None:
    """Let a logger of mmengine show on the console what a user wants to know.

    Files of the log are left as they are. A logger whose level is ``DEBUG`` is, too.

    Args:
        logger (MMLogger): Logger of a runner.
    """
    for i, handler in enumerate(logger.handlers):
        if type(handler) is not logging.StreamHandler or handler.level < logging.INFO:
            continue
        quiet = ConsoleHandler(handler.stream)
        quiet.setLevel(handler.level)
        # ConsoleFilter comes first: a message that is not shown was not seen.
        quiet.addFilter(ConsoleFilter())
        for other in handler.filters:
            quiet.addFilter(other)
        logger.handlers[i] = quiet
    WARNINGS.attach(logger)


class WarningLog:
    """Python's warnings in the log of a run; those of packages in its file only.

    Each is logged once. What libraries say before there is a log waits for it.
    """

    def __init__(self) -> None:
        self.logger: Optional[logging.Logger] = None
        self._waiting: List[str] = []
        self._seen: Set[str] = set()

    def attach(self, logger: logging.Logger) -> None:
        """Log to this logger from now on."""
        self.logger = logger
        for text in self._waiting:
            logger.warning(text, extra=FILE_ONLY)
        self._waiting = []

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Take the warnings of the code inside."""
        self.logger, self._waiting, self._seen = None, [], set()
        with warnings.catch_warnings():
            warnings.showwarning = self._show
            yield

    def _show(
        self,
        message: Any,
        category: Any,
        filename: str,
        lineno: int,
        file: Any = None,
        line: Optional[str] = None,
    ) -> None:
        """Log a warning; see :func:`warnings.showwarning`."""
        text = str(message)
        if text in self._seen:
            return
        self._seen.add(text)
        own = not installed(filename)
        if not own:
            text = f'{filename}:{lineno}: {category.__name__}: {text}'
        if self.logger is not None:
            self.logger.warning(text, extra=None if own else FILE_ONLY)
        elif own:
            print(f'WARNING: {text}', file=sys.stderr)
        else:
            self._waiting.append(text)


WARNINGS = WarningLog()
"""Warnings of this process."""
