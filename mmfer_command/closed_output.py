"""What happens if nobody reads the standard output any more."""

import os
import sys
from contextlib import contextmanager
from typing import Iterator


def discard_output() -> None:
    """Let all that is still written to the standard output disappear."""
    # Python would write what is in its buffer when it ends, too.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def quiet_without_reader() -> Iterator[None]:
    """End without a message if whoever reads the output, such as ``head``, has ended.

    Raises:
        SystemExit: Nobody reads the output; with 141, the code of a shell for this.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
        raise SystemExit(141) from None
