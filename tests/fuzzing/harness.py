"""Read one made file, and judge what comes back.

A reader passes an input if it gives a result or an error of a named kind, in
time, and if every fact of its result stands in the file.
"""

import atexit
import os
import re
import shutil
import signal
import tempfile
import time
import traceback
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, Optional, Tuple

# Seconds of CPU time for one input, and those after which it is stopped.
LIMIT, STOP = 2.0, 6.0
# No message may fill the screen.
LONGEST_MESSAGE = 4000

# A name in a file, and texts of which one must stand beside it.
Fact = Tuple[str, Tuple[str, ...]]


class Fault(AssertionError):
    """Error for an input that a reader does not pass."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class Hang(BaseException):
    """Signal that a reader has used too much CPU time."""


@dataclass(frozen=True)
class Reader:
    """A reader of a user's file.

    Attributes:
        name (str): Name for the table.
        read (Callable): Reads the file at a path.
        content: Strategy of valid contents, bytes.
        suffix (str): Ending of the file's name.
        facts (Callable, optional): Facts that a result states. Each must stand
            in one line of the file.
        text (bool): Whether the file has lines of text.
        check (Callable, optional): Raises AssertionError for a wrong result.
        names_file (bool): Whether an error must name the file.
    """

    name: str
    read: Callable[[str], Any]
    content: Any
    suffix: str = '.txt'
    facts: Optional[Callable[[Any], Iterable[Fact]]] = None
    text: bool = True
    check: Optional[Callable[[Any], None]] = None
    names_file: bool = True


@dataclass
class Tally:
    """Counts of the inputs of one reader.

    Attributes:
        results (int): Inputs that gave a result.
        errors (Counter): Inputs that gave an error, by its type.
        slowest (float): Largest CPU time of one input, in seconds.
        faults (dict): The smallest input of each kind of fault.
    """

    results: int = 0
    errors: Counter = field(default_factory=Counter)
    slowest: float = 0.0
    faults: Dict[str, Tuple[bytes, str]] = field(default_factory=dict)

    @property
    def inputs(self) -> int:
        """Number of inputs."""
        return self.results + sum(self.errors.values())

    def note(self, fault: Fault, data: bytes) -> None:
        """Keep the smallest input of a kind of fault."""
        self.errors['fault'] += 1
        known = self.faults.get(fault.kind)
        if known is None or len(data) < len(known[0]):
            self.faults[fault.kind] = data, str(fault)

    def row(self, name: str) -> str:
        """Return the row of a reader in the table of all readers."""
        kinds = ', '.join(f'{k} {n}' for k, n in sorted(self.errors.items()))
        return (
            f'| {name} | {self.inputs} | {self.results} | '
            f'{sum(self.errors.values())} ({kinds}) | {self.slowest:.2f} |'
        )


def made_folder() -> Path:
    """Return a new folder in memory where the system has one."""
    place = '/dev/shm' if os.access('/dev/shm', os.W_OK) else None
    folder = tempfile.mkdtemp(prefix='mmfer-fuzzing-', dir=place)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@contextmanager
def stopped_in_time() -> Iterator[None]:
    """Raise :class:`Hang` in a block that uses too much CPU time."""

    def stop(*_: Any) -> None:
        raise Hang

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, STOP)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def judge(reader: Reader, data: bytes, folder: Path, tally: Tally) -> Any:
    """Read one input; raise :class:`Fault` if the reader does not pass it.

    Returns:
        The result; None after a named error.
    """
    path = folder / f'fuzzed{reader.suffix}'
    path.write_bytes(data)
    start = time.process_time()
    try:
        with stopped_in_time():
            result = reader.read(str(path))
    except Hang:
        raise Fault('hang', f'{reader.name}: no result after {STOP} s') from None
    except (ValueError, OSError) as error:
        _check_error(reader, error, path)
        kind, result = type(error).__name__, None
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        raise Fault(
            f'{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}',
            f'{reader.name}: {type(error).__name__}: {str(error)[:500]}',
        ) from error
    else:
        _check_result(reader, result, data)
        kind = ''
    finally:
        seconds = time.process_time() - start
        tally.slowest = max(tally.slowest, seconds)
    if seconds > LIMIT:
        raise Fault('slow', f'{reader.name}: took {seconds:.1f} s of CPU time')
    if kind:
        tally.errors[kind] += 1
    else:
        tally.results += 1
    return result


def _check_error(reader: Reader, error: Exception, path: Path) -> None:
    """Refuse errors that do not help: without the file, or endless."""
    text = str(error)
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f'{type(error).__name__} at {Path(where.filename).name}:{where.lineno}'
    if isinstance(error, UnicodeError):
        raise Fault(place, f'{reader.name}: {text[:500]}') from error
    if reader.names_file and path.name not in text:
        raise Fault(
            f'unnamed {place}', f'{reader.name}: the error lacks the file: {text[:500]}'
        ) from error
    if len(text) > LONGEST_MESSAGE:
        raise Fault(
            f'long {place}', f'{reader.name}: a message of {len(text)} characters'
        ) from error


def _check_result(reader: Reader, result: Any, data: bytes) -> None:
    """Refuse a result that does not stand in the file."""
    try:
        if reader.check is not None:
            reader.check(result)
    except AssertionError as error:
        raise Fault('wrong result', f'{reader.name}: {error}') from error
    if reader.facts is None:
        return
    lines = decoded_lines(data)
    for name, texts in reader.facts(result):
        # In a quoted field, every quote is doubled.
        forms = {name, name.replace('"', '""'), f'"{name}"'}
        beside = [
            line.replace(form, ' ', 1)
            for line in lines
            for form in forms
            if form in line
        ]
        if not any(stands_in(text, line) for line in beside for text in texts):
            raise Fault(
                'wrong label', f'{reader.name}: no line gives {name!r} any of {texts}'
            )


def decoded_lines(data: bytes) -> list:
    """Return the lines of a text, without the code of the readers."""
    encoding = 'utf-8-sig'
    if data.startswith((b'\xff\xfe\0\0', b'\0\0\xfe\xff')):
        encoding = 'utf-32'
    elif data.startswith((b'\xff\xfe', b'\xfe\xff')):
        encoding = 'utf-16'
    return re.split('\r\n|\r|\n', data.decode(encoding))


def stands_in(text: str, line: str) -> bool:
    """Return whether a line has a number or a word, not only a part of it."""
    if re.fullmatch(r'-?[0-9]+', text):
        sign = '-' if text[0] == '-' else '[+]?'
        zeros = rf'0*{text.lstrip("-")}(?:[.,]0*)?'
        if text == '0':
            sign = '[+-]?'
        return re.search(rf'(?<![0-9.]){sign}{zeros}(?![0-9])', line) is not None
    return text.casefold() in line.casefold()
