"""End quietly if nobody reads the standard output any more."""

import os
import sys
from contextlib import contextmanager
from typing import Iterator


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
        # Python would write the rest when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None
