"""What happens if nobody reads the standard output any more."""

import os
import select
import sys
from contextlib import contextmanager
from typing import Any, Iterator


def discard_output(stream: Any) -> None:
    """Let all that is still written to a stream disappear.

    Args:
        stream (TextIO): Stream of a file descriptor.
    """
    # Python would write what is in its buffer when it ends, too.
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def has_no_reader(stream: Any) -> bool:
    """Return whether a stream is a pipe whose reader has ended.

    Args:
        stream (TextIO): Any stream.
    """
    try:
        poll = select.poll()
        # Errors are reported without being asked for.
        poll.register(stream.fileno(), 0)
        return bool(poll.poll(0))
    except (OSError, ValueError, AttributeError):
        return False


@contextmanager
def quiet_without_reader() -> Iterator[None]:
    """End without a message if whoever reads the output, such as ``head``, has ended.

    Other pipes may break too, such as that of a worker: this stays an error.

    Raises:
        SystemExit: Nobody reads the output; with 141, the code of a shell for this.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        if not has_no_reader(sys.stdout):
            raise
        discard_output(sys.stdout)
        raise SystemExit(141) from None
