"""Errors and limits of the safe reading of pickles."""

from pickle import UnpicklingError
from typing import NamedTuple

NOT_TORCH = 'it does not begin like a torch file'
TOO_SHORT = 'the file ends too early'
"""Messages by which readers of checkpoints tell kinds of damage."""


class PickleError(ValueError):
    """Error in a pickle, or a pickle that needs more than its limits."""


class ForeignObject(PickleError, UnpicklingError):
    """A pickle asks for a class or function that no reader here rebuilds.

    It is an ``UnpicklingError``, too, as torch's safe loader raises it.
    """


class Limits(NamedTuple):
    """Limits that keep the time and the memory of a reader bounded.

    Attributes:
        steps (int): Largest number of instructions in a pickle. One takes a few
            microseconds.
        containers (int): Largest number of lists, dicts and tuples in a pickle.
        depth (int): Largest depth of nested containers.
        copies (int): Largest size in memory, as a multiple of the size of the
            file. A part that is referenced twice counts twice.
        slack (int): Bytes that are allowed in addition to ``copies``.
        values (int): Largest number of values. A container that is referenced
            twice counts twice.
        file_size (int): Largest size of a file in bytes.
    """

    steps: int = 1_000_000
    containers: int = 100_000
    depth: int = 32
    copies: int = 4
    slack: int = 64 << 20
    values: int = 2_000_000
    file_size: int = 4 << 30

    def memory(self, size: int) -> int:
        """Return how many bytes the content of a file of ``size`` bytes may take."""
        return self.copies * size + self.slack


LIMITS = Limits()
"""Limits that published files do not reach by far."""
