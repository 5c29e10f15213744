"""Checks of arguments: one line per argument, the same wording everywhere.

A check returns the value if it is valid, so that it can be assigned, and raises
an error otherwise::

    self.fit = choices(self, 'fit', fit, ('peak', 'full'))
    self.fraction = in_range(self, 'fraction', fraction, 0, 1, open_low=True)
    self.patience = positive_int(self, 'patience', patience, optional=True)

All checks share four arguments:

- ``owner``: class or function that has the argument; the message starts with
  its name. Give a name, a class or an object of the class. With an empty string
  the message starts with the name of the argument.
- ``name``: name of the argument, as the user writes it.
- ``value``: value that the user gave.
- ``hint``: one or two sentences after the message: why, and what to do.

With ``optional=True`` a check accepts None as well. The value is returned
unchanged, not converted; only :func:`number_pair` makes a tuple of a list.
"""

import math
import numbers
from typing import Any, Iterable, Optional, Tuple, TypeVar, Union

T = TypeVar('T')


def choices(
    owner: object,
    name: str,
    value: T,
    allowed: Iterable[object],
    *,
    optional: bool = False,
    hint: str = '',
) -> T:
    """Return ``value`` if it is one of ``allowed``.

    True is not accepted for 1, although both are equal in Python.

    Raises:
        ValueError: ``value`` is not among them, e.g. ``GAAVE: fit must be 'peak'
            or 'full', got 'last'.``
    """
    if optional and value is None:
        return value
    allowed = list(allowed)
    if any(value == one and _is_bool(value) == _is_bool(one) for one in allowed):
        return value
    known = [repr(one) for one in allowed] + ['None'] * optional
    raise invalid(owner, name, value, join_words(known), hint)


def in_range(
    owner: object,
    name: str,
    value: T,
    low: Optional[float] = None,
    high: Optional[float] = None,
    *,
    open_low: bool = False,
    open_high: bool = False,
    optional: bool = False,
    hint: str = '',
) -> T:
    """Return ``value`` if it is a finite number in a range.

    Args:
        owner (object): Owner of the argument; see the top of this file.
        name (str): Name of the argument.
        value (float): Value that the user gave.
        low (float, optional): Lower bound; None if there is none.
        high (float, optional): Upper bound; None if there is none.
        open_low (bool): Exclude ``low`` itself. Defaults to False.
        open_high (bool): Exclude ``high`` itself. Defaults to False.
        optional (bool): Accept None as well. Defaults to False.
        hint (str): Sentences after the message. Defaults to ''.

    Raises:
        ValueError: ``value`` is not a finite number, or lies outside the range,
            e.g. ``ALUMHead: mine_ratio must lie in [0, 1], got 2.``
    """
    if optional and value is None:
        return value
    if is_number(value) and _inside(value, low, high, open_low, open_high):
        return value
    wanted = _describe_range(low, high, open_low, open_high)
    verb = 'lie' if wanted.startswith('in ') else 'be'
    raise invalid(owner, name, value, wanted + ' or be None' * optional, hint, verb)


def whole_number(
    owner: object,
    name: str,
    value: T,
    low: Optional[int] = None,
    high: Optional[int] = None,
    *,
    optional: bool = False,
    hint: str = '',
) -> T:
    """Return ``value`` if it is an integer from ``low`` to ``high``.

    Integers of numpy are accepted; True, False and 2.0 are not.

    Raises:
        ValueError: ``value`` is not such a number, e.g. ``PGD: steps must be a
            whole number of at least 1, got 0.``
    """
    if optional and value is None:
        return value
    if is_whole(value) and _inside(value, low, high, False, False):
        return value
    if low is not None and high is not None:
        wanted = f'a whole number from {low} to {high}'
    elif low is not None:
        wanted = f'a whole number of at least {low}'
    elif high is not None:
        wanted = f'a whole number of at most {high}'
    else:
        wanted = 'a whole number'
    raise invalid(owner, name, value, wanted + ' or None' * optional, hint)


def number_pair(
    owner: object,
    name: str,
    value: object,
    low: float,
    high: float = math.inf,
    *,
    open_low: bool = False,
    strict: bool = True,
) -> Tuple[float, float]:
    """Return ``value`` as a tuple if it is two ascending numbers in a range.

    Args:
        owner (object): Owner of the argument; see the top of this file.
        name (str): Name of the argument.
        value (object): Value that the user gave.
        low (float): Lower bound.
        high (float): Upper bound. Defaults to infinity.
        open_low (bool): Exclude ``low`` itself. Defaults to False.
        strict (bool): Refuse equal numbers. Defaults to True.

    Raises:
        ValueError: ``value`` is no such pair, e.g. ``EACClassifier: erase_area must be
            two numbers (low, high) with 0 < low <= high <= 1, got [0.3, 0.1].``
    """
    pair: Any = value if isinstance(value, (tuple, list)) else ()
    if len(pair) == 2 and all(map(is_number, pair)):
        ascending = pair[0] < pair[1] if strict else pair[0] <= pair[1]
        if ascending and _inside(pair[0], low, None, open_low, False):
            if pair[1] <= high:
                return tuple(pair)
    first, second = '<' if open_low else '<=', '<' if strict else '<='
    limit = f' <= {high}' if high < math.inf else ''
    wanted = f'two numbers (low, high) with {low} {first} low {second} high{limit}'
    raise invalid(owner, name, value, wanted)


def positive_int(
    owner: object, name: str, value: T, *, optional: bool = False, hint: str = ''
) -> T:
    """Return ``value`` if it is an integer of at least 1."""
    return whole_number(owner, name, value, 1, optional=optional, hint=hint)


def instance(
    owner: object,
    name: str,
    value: T,
    types: Union[type, Tuple[type, ...]],
    *,
    optional: bool = False,
    hint: str = '',
) -> T:
    """Return ``value`` if it is an instance of one of ``types``.

    Raises:
        TypeError: ``value`` is of another type, e.g. ``FERInferencer: model must
            be a str, Config or BaseModel, got list.``
    """
    if isinstance(value, types) or (optional and value is None):
        return value
    classes = types if isinstance(types, tuple) else (types,)
    known = [one.__name__ for one in classes] + ['None'] * optional
    raise TypeError(
        _sentence(
            f'{prefix_of(owner)}{name} must be a {join_words(known)}, got '
            f'{type(value).__name__}',
            hint,
        )
    )


def exclusive(owner: object, hint: str = '', **given: object) -> None:
    """Refuse arguments that cannot be set together.

    An argument counts as set if it is neither None nor False.

    Args:
        owner (object): Owner of the arguments; see the top of this file.
        hint (str): Sentences after the message. Defaults to ''.
        **given: Arguments by name.

    Raises:
        ValueError: Two or more are set, e.g. ``RAFDB: noisy_list and
            label_noise exclude each other. Choose one.``
    """
    names = [
        name
        for name, value in given.items()
        if value is not None and value is not False
    ]
    if len(names) > 1:
        raise ValueError(
            _sentence(
                f'{prefix_of(owner)}{join_words(names, "and")} exclude each other',
                hint or 'Choose one.',
            )
        )


def invalid(
    owner: object, name: str, value: object, wanted: str, hint: str = '', verb='be'
) -> ValueError:
    """Make the error for an invalid argument.

    Use it for checks that this module does not have.

    Args:
        owner (object): Owner of the argument; see the top of this file.
        name (str): Name of the argument.
        value (object): Value that the user gave.
        wanted (str): What it must be, such as ``'a share in (0, 1)'``.
        hint (str): Sentences after the message. Defaults to ''.
        verb (str): Verb between ``must`` and ``wanted``. Defaults to ``'be'``.
    """
    return ValueError(
        _sentence(f'{prefix_of(owner)}{name} must {verb} {wanted}, got {value!r}', hint)
    )


def is_number(value: object) -> bool:
    """Return whether ``value`` is a finite real number, and not a bool."""
    return (
        isinstance(value, numbers.Real)
        and not _is_bool(value)
        and math.isfinite(float(value))
    )


def is_whole(value: object) -> bool:
    """Return whether ``value`` is an integer, and not a bool."""
    return isinstance(value, numbers.Integral) and not _is_bool(value)


def join_words(words: Iterable[str], last: str = 'or') -> str:
    """Join words as in a sentence: ``a, b or c``."""
    listed = list(words)
    if len(listed) < 2:
        return ''.join(listed)
    return f'{", ".join(listed[:-1])} {last} {listed[-1]}'


def _inside(value, low, high, open_low: bool, open_high: bool) -> bool:
    if low is not None and (value <= low if open_low else value < low):
        return False
    return high is None or (value < high if open_high else value <= high)


def _describe_range(
    low: Optional[float], high: Optional[float], open_low: bool, open_high: bool
) -> str:
    """Return e.g. ``in (0, 1]``, ``a number above 0`` or ``a finite number``."""
    if low is not None and high is not None:
        left, right = '(' if open_low else '[', ')' if open_high else ']'
        return f'in {left}{low}, {high}{right}'
    if low is not None:
        return f'a number above {low}' if open_low else f'a number of at least {low}'
    if high is not None:
        return f'a number below {high}' if open_high else f'a number of at most {high}'
    return 'a finite number'


def _is_bool(value: object) -> bool:
    # The bool of numpy is not a subclass of Python's bool.
    return isinstance(value, bool) or type(value).__name__ in ('bool', 'bool_')


def prefix_of(owner: object) -> str:
    """Return the beginning of a message that names its owner: the class, or nothing."""
    if isinstance(owner, str):
        return f'{owner}: ' if owner else ''
    cls = owner if isinstance(owner, type) else type(owner)
    return f'{cls.__name__}: '


def _sentence(text: str, hint: str) -> str:
    return f'{text}. {hint}' if hint else f'{text}.'
