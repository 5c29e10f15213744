"""Python's garbage collector: keep it away from what lives as long as the process."""

import gc
from contextlib import contextmanager
from typing import Iterator


@contextmanager
def collector_paused() -> Iterator[None]:
    """Switch the garbage collector off inside the block.

    Importing OpenMMLab makes a million objects, and none of them is garbage. The
    collector looks through them again and again, which takes a fifth of the time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            if not gc.get_freeze_count():
                # Both together count everything as old. Otherwise the next three
                # collections would look through all of it, as if it were new.
                gc.freeze()
                gc.unfreeze()
            gc.enable()


def exempt_imports() -> None:
    """Exempt all objects that exist now from garbage collection, once per process.

    mmengine collects garbage for each data set that it loads. Without the objects
    of imported packages, that takes a hundredth of the time. Objects are still
    freed when nothing refers to them. Only cycles of objects stay, so this is for
    programs that have done nothing but import.
    """
    if not gc.get_freeze_count():
        gc.freeze()
