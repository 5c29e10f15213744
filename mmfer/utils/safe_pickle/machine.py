"""Interpreter of the pickle instructions that files of arrays consist of.

A pickle is a program for a small stack machine. Python's own machine imports any
function that the program names, and calls it. This one imports and calls nothing:
the names of classes and functions stay names (:class:`Name`), and a ``rebuild``
function decides what a call of a name means. Instructions that only programs of other
objects need are refused.
"""

import codecs
import struct
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from .limits import LIMITS, TOO_SHORT, ForeignObject, Limits, PickleError

# An integer longer than this number of bytes or digits is no label, size or id.
LONGEST_INTEGER = 16
LONGEST_NUMBER = 40
# The hashes of larger integers can be chosen to collide, and a dict becomes slow.
LARGEST_KEY = 1 << 60


class Name(NamedTuple):
    """Name of a class or function that a pickle mentions; it is never imported."""

    text: str


class Mark:
    """Start of a group of values on the stack."""


MARK = Mark()
# Python 2 and newer versions of numpy have other names for the same things.
MODULES = {'__builtin__': 'builtins', 'copy_reg': 'copyreg'}


def plain_name(module: str, name: str) -> Name:
    """Return the name of a global as the latest Python and numpy 1 spell it."""
    module = MODULES.get(module, module).replace('numpy._core', 'numpy.core')
    return Name(f'{module}.{name}')


def refuse_persistent(key: Any) -> Any:
    """Refuse a reference to data outside the pickle."""
    raise PickleError('it refers to data outside the file')


class Machine:
    """Machine that runs one pickle.

    Args:
        data (bytes | mmap): Content of the file.
        rebuild (Callable): Called with a :class:`Name` and a tuple of arguments,
            where the pickle calls the name. Returns the value.
        set_state (Callable): Called with a value and a state, where the pickle
            gives an object its state. It changes the value.
        is_known (Callable): Tells for a :class:`Name` whether ``rebuild`` knows it.
        persistent (Callable): Called with the key of data outside the pickle.
        limits (Limits): Limits of the reader.
        start (int): Position of the first instruction. Defaults to 0.

    Attributes:
        position (int): Position of the next instruction; after :meth:`run`, of the
            first byte behind the pickle.
    """

    def __init__(
        self,
        data: Any,
        rebuild: Callable[[Name, Tuple], Any],
        set_state: Callable[[Any, Any], None],
        is_known: Callable[[Name], bool],
        persistent: Callable[[Any], Any] = refuse_persistent,
        limits: Limits = LIMITS,
        start: int = 0,
    ):
        self.bytes, self.data = data, memoryview(data)
        self.rebuild, self.set_state, self.is_known = rebuild, set_state, is_known
        self.persistent, self.limits = persistent, limits
        self.position, self.containers = start, 0
        self.stack: List[Any] = []
        self.memo: Dict[int, Any] = {}

    def run(self) -> Any:
        """Run the pickle and return its value.

        Raises:
            PickleError: The pickle is damaged, asks for something that is not
                rebuilt here, or reaches a limit. The message has the position.
        """
        for _ in range(self.limits.steps):
            at = self.position
            try:
                code = self.take(1)[0]
                if code == STOP:
                    value = self.pop()
                    if self.stack:
                        raise PickleError('values are left over')
                    return value
                step = STEPS.get(code)
                if step is None:
                    raise PickleError(
                        f'the instruction {bytes([code])!r} does not belong into '
                        'a file of arrays'
                    )
                step(self)
            except PickleError as error:
                # The kind of the error is kept; the text gets the position.
                raise type(error)(f'{error} (byte {at})') from None
            except (UnicodeError, ValueError, struct.error) as error:
                raise PickleError(f'damaged data at byte {at}: {error}') from None
        raise PickleError(
            f'it has more than {self.limits.steps} instructions, more than any file '
            'of labels or weights needs'
        )

    def take(self, count: int) -> memoryview:
        """Return the next bytes."""
        end = self.position + count
        if end > len(self.data):
            raise PickleError(TOO_SHORT)
        part = self.data[self.position : end]
        self.position = end
        return part

    def unpack(self, form: str) -> int:
        """Return the next number, of a format of :mod:`struct`."""
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def line(self, longest: Optional[int] = None) -> bytes:
        """Return the text up to the end of the line.

        Args:
            longest (int, optional): Largest length. Defaults to None: no limit.
        """
        start = self.position
        limit = len(self.data) if longest is None else start + longest + 1
        end = self.bytes.find(b'\n', start, limit)
        if end < 0:
            raise PickleError('a line is too long, or the file ends too early')
        self.position = end + 1
        return self.bytes[start:end].rstrip(b'\r')

    def push(self, value: Any) -> None:
        """Put a value on the stack."""
        self.stack.append(value)

    def add(self, container: Any) -> None:
        """Put a new list, dict or tuple on the stack."""
        self.containers += 1
        if self.containers > self.limits.containers:
            raise PickleError(
                f'it has more than {self.limits.containers} lists, dicts and tuples'
            )
        self.stack.append(container)

    def pop(self) -> Any:
        """Take the last value from the stack."""
        if not self.stack or self.stack[-1] is MARK:
            raise PickleError('a value is missing')
        return self.stack.pop()

    def top(self, kind: type) -> Any:
        """Return the last value of the stack, which must be of a type."""
        if not self.stack or type(self.stack[-1]) is not kind:
            raise PickleError(f'a {kind.__name__} is missing')
        return self.stack[-1]

    def group(self) -> List[Any]:
        """Take the values after the latest mark from the stack."""
        values: List[Any] = []
        while True:
            if not self.stack:
                raise PickleError('the start of a group is missing')
            value = self.stack.pop()
            if value is MARK:
                return values[::-1]
            values.append(value)

    def fetch(self, index: int) -> None:
        """Put a remembered value on the stack."""
        if index not in self.memo:
            raise PickleError(f'it asks for value {index}, which does not exist')
        self.push(self.memo[index])

    def remember(self, index: int) -> None:
        """Remember the last value of the stack."""
        if index < 0:
            raise PickleError('a number of a value is negative')
        value = self.pop()
        self.memo[index] = value
        self.push(value)

    def set_items(self, pairs: List[Any]) -> None:
        """Put keys and values into the dict at the end of the stack."""
        target = self.top(dict)
        if len(pairs) % 2:
            raise PickleError('a key has no value')
        for key, value in zip(pairs[::2], pairs[1::2]):
            target[checked_key(key)] = value

    def add_name(self, module: Any, name: Any) -> None:
        """Put the name of a class or function on the stack."""
        if type(module) is not str or type(name) is not str:
            raise PickleError('the name of a class is no text')
        found = plain_name(module, name)
        if not self.is_known(found):
            raise ForeignObject(
                f'it asks for {found.text[:80]}, but only arrays, tensors, numbers, '
                'texts, lists and dicts are read'
            )
        self.push(found)


def checked_key(key: Any) -> Any:
    """Return a key of a dict if its hash is computed fast, otherwise raise."""
    if type(key) in (str, bytes):
        return key
    if type(key) is int and -LARGEST_KEY < key < LARGEST_KEY:
        return key
    raise PickleError(
        f'a dict has a key of type {type(key).__name__}, or a very large number'
    )


def checked_text(text: str) -> str:
    """Return a text that can be encoded, otherwise raise."""
    # Half a surrogate pair could not be printed or written later.
    text.encode('utf-8')
    return text


def integer_line(machine: Machine) -> Any:
    """Read an integer or a boolean of protocol 0."""
    text = machine.line(LONGEST_NUMBER)
    if text in (b'00', b'01'):
        return text == b'01'
    return int(text.rstrip(b'L'))


def quoted_line(machine: Machine) -> str:
    """Read a quoted byte string of protocol 0."""
    text = machine.line()
    if len(text) < 2 or text[:1] != text[-1:] or text[:1] not in b'"\'':
        raise PickleError('a text has no quotes')
    return codecs.escape_decode(text[1:-1])[0].decode('latin1')  # type: ignore


def long_integer(machine: Machine, form: str) -> int:
    """Read an integer of protocol 2, whose length comes first."""
    count = machine.unpack(form)
    if not 0 <= count <= LONGEST_INTEGER:
        raise PickleError(f'an integer of {count} bytes')
    return int.from_bytes(machine.take(count), 'little', signed=True)


def sized(form: str, decode: Callable[[bytes], Any]) -> Callable[[Machine], None]:
    """Return the step that reads data whose length comes first."""

    def step(machine: Machine) -> None:
        count = machine.unpack(form)
        if count < 0:
            raise PickleError(f'a text of {count} bytes')
        machine.push(decode(bytes(machine.take(count))))

    return step


def constant(value: Any) -> Callable[[Machine], None]:
    """Return the step that puts a constant on the stack."""
    return lambda machine: machine.push(value)


def number(form: str) -> Callable[[Machine], None]:
    """Return the step that reads a number of a format of :mod:`struct`."""
    return lambda machine: machine.push(machine.unpack(form))


def last(count: int) -> Callable[[Machine], None]:
    """Return the step that makes a tuple of the last values."""

    def step(machine: Machine) -> None:
        values = [machine.pop() for _ in range(count)]
        machine.add(tuple(values[::-1]))

    return step


def latin1(data: bytes) -> str:
    """Decode a byte string of Python 2."""
    return data.decode('latin1')


def utf8(data: bytes) -> str:
    """Decode a text; half a surrogate pair is refused."""
    return data.decode('utf-8')


def start_protocol(machine: Machine) -> None:
    """Check the number of the protocol."""
    if machine.unpack('<B') > 5:
        raise PickleError('the protocol is newer than 5')


def start_frame(machine: Machine) -> None:
    """Check the length of a frame, which has no other effect."""
    if machine.unpack('<Q') > len(machine.data) - machine.position:
        raise PickleError(TOO_SHORT)


def append(machine: Machine) -> None:
    """Append one value to a list."""
    value = machine.pop()
    machine.top(list).append(value)


def extend(machine: Machine) -> None:
    """Append a group of values to a list."""
    values = machine.group()
    machine.top(list).extend(values)


def make_dict(machine: Machine) -> None:
    """Make a dict of a group of keys and values."""
    pairs = machine.group()
    machine.add({})
    machine.set_items(pairs)


def set_item(machine: Machine) -> None:
    """Put one key and its value into a dict."""
    value, key = machine.pop(), machine.pop()
    machine.set_items([key, value])


def name_on_lines(machine: Machine) -> None:
    """Read the name of a class or function from two lines."""
    module, name = machine.line(), machine.line()
    machine.add_name(utf8(module), utf8(name))


def name_on_stack(machine: Machine) -> None:
    """Take the name of a class or function from the stack."""
    name, module = machine.pop(), machine.pop()
    machine.add_name(module, name)


def call(machine: Machine) -> None:
    """Rebuild a value from a name and arguments."""
    arguments, name = machine.pop(), machine.pop()
    if type(name) is not Name or type(arguments) is not tuple:
        raise PickleError('it calls something that is no function')
    machine.push(machine.rebuild(name, arguments))


def give_state(machine: Machine) -> None:
    """Give the last value its state."""
    state = machine.pop()
    value = machine.pop()
    machine.set_state(value, state)
    machine.push(value)


# Left out on purpose: INST, OBJ, NEWOBJ and NEWOBJ_EX (make objects), EXT1 to EXT4
# (a table of classes), PERSID (text), DUP, POP and POP_MARK (for objects that
# contain themselves), buffers outside the file, and sets.
STOP = ord('.')
STEPS: Dict[int, Callable[[Machine], None]] = {
    ord(code): step
    for code, step in {
        '\x80': start_protocol,
        '\x95': start_frame,
        '(': constant(MARK),
        'N': constant(None),
        '\x88': constant(True),
        '\x89': constant(False),
        ']': lambda machine: machine.add([]),
        '}': lambda machine: machine.add({}),
        ')': constant(()),
        'l': lambda machine: machine.add(machine.group()),
        't': lambda machine: machine.add(tuple(machine.group())),
        'd': make_dict,
        '\x85': last(1),
        '\x86': last(2),
        '\x87': last(3),
        'a': append,
        'e': extend,
        's': set_item,
        'u': lambda machine: machine.set_items(machine.group()),
        'I': lambda machine: machine.push(integer_line(machine)),
        'L': lambda machine: machine.push(integer_line(machine)),
        'J': number('<i'),
        'K': number('<B'),
        'M': number('<H'),
        '\x8a': lambda machine: machine.push(long_integer(machine, '<B')),
        '\x8b': lambda machine: machine.push(long_integer(machine, '<i')),
        'F': lambda machine: machine.push(float(machine.line(LONGEST_NUMBER))),
        'G': number('>d'),
        'S': lambda machine: machine.push(quoted_line(machine)),
        'T': sized('<i', latin1),
        'U': sized('<B', latin1),
        'V': lambda machine: machine.push(
            checked_text(machine.line().decode('raw-unicode-escape'))
        ),
        'X': sized('<I', utf8),
        '\x8c': sized('<B', utf8),
        '\x8d': sized('<Q', utf8),
        'B': sized('<I', bytes),
        'C': sized('<B', bytes),
        '\x8e': sized('<Q', bytes),
        '\x96': sized('<Q', bytes),
        'c': name_on_lines,
        '\x93': name_on_stack,
        'R': call,
        'b': give_state,
        'Q': lambda machine: machine.push(machine.persistent(machine.pop())),
        'g': lambda machine: machine.fetch(int(machine.line(LONGEST_NUMBER))),
        'h': lambda machine: machine.fetch(machine.unpack('<B')),
        'j': lambda machine: machine.fetch(machine.unpack('<I')),
        'p': lambda machine: machine.remember(int(machine.line(LONGEST_NUMBER))),
        'q': lambda machine: machine.remember(machine.unpack('<B')),
        'r': lambda machine: machine.remember(machine.unpack('<I')),
        '\x94': lambda machine: machine.remember(len(machine.memo)),
    }.items()
}
