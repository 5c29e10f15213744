"""Fields of tables and lists: numbers, flags and names."""

import csv
import difflib
import re
from typing import List, Optional, Sequence

# No real number is longer, and int() refuses thousands of digits.
_WHOLE = re.compile(r'([+-]?[0-9]{1,40})(?:\.0*)?')
_WHOLE_COMMA = re.compile(r'([+-]?[0-9]{1,40})(?:[.,]0*)?')
_NUMBER = re.compile(
    # In `[0-9]+\.?[0-9]*`, the digits could be shared out in many ways, and a field
    # of 100,000 of them would take minutes.
    r'[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]+)?|[+-]?nan|'
    r'[+-]?inf(?:inity)?',
    re.IGNORECASE,
)
_DECIMAL_COMMA = re.compile(r'[+-]?[0-9]+,[0-9]+(?:e[+-]?[0-9]+)?', re.IGNORECASE)
_ONLY_DIGITS = re.compile(r'[0-9+-]*')
_ONLY_NUMERALS = re.compile(r'[0-9+.eE-]*')
_TRUE = ('true', '1', '1.0', 'yes')
_FALSE = ('false', '0', '0.0', 'no')


def unquoted(text: str) -> str:
    """Remove the quotes around a text if it is one quoted field."""
    if len(text) > 1 and text[0] == text[-1] == '"':
        try:
            fields = next(csv.reader([text], strict=True))
        except csv.Error:
            return text
        if len(fields) == 1:
            return fields[0].strip()
    return text


def parse_whole_number(text: str, decimal_comma: bool = False) -> Optional[int]:
    """Parse a field as a whole number; return None if it is none.

    ``3``, ``+3``, ``3.0`` and ``3.`` are 3. ``1e3``, ``1_000``, ``nan`` and
    digits of other scripts are no whole numbers.

    Args:
        text (str): The field.
        decimal_comma (bool): Whether ``3,0`` is 3 too.
    """
    pattern = _WHOLE_COMMA if decimal_comma else _WHOLE
    match = pattern.fullmatch(text.strip())
    return None if match is None else int(match[1])


def parse_number(text: str, decimal_comma: bool = False) -> Optional[float]:
    """Parse a field as a number; return None if it is none.

    Args:
        text (str): The field; ``nan`` and ``inf`` are numbers.
        decimal_comma (bool): Whether ``0,5`` is 0.5, as spreadsheets write
            it in many countries.
    """
    text = text.strip()
    if decimal_comma and _DECIMAL_COMMA.fullmatch(text):
        return float(text.replace(',', '.'))
    return float(text) if _NUMBER.fullmatch(text) else None


def parse_whole_numbers(
    texts: Sequence[str], decimal_comma: bool = False
) -> List[Optional[int]]:
    """Parse a column of whole numbers; None where a field is none.

    Args:
        texts (Sequence[str]): (N,) fields.
        decimal_comma (bool): See :func:`parse_whole_number`.
    """
    if _ONLY_DIGITS.fullmatch(''.join(texts)) and max(map(len, texts), default=0) <= 40:
        try:
            return list(map(int, texts))
        except ValueError:
            pass
    return [parse_whole_number(text, decimal_comma) for text in texts]


def parse_numbers(
    texts: Sequence[str], decimal_comma: bool = False
) -> List[Optional[float]]:
    """Parse a column of numbers; None where a field is none.

    Args:
        texts (Sequence[str]): (N,) fields.
        decimal_comma (bool): See :func:`parse_number`.
    """
    # float() also reads '1_0', ' 1' and digits of other scripts. None of these
    # consists of the characters below only.
    if _ONLY_NUMERALS.fullmatch(''.join(texts)):
        try:
            return list(map(float, texts))
        except ValueError:
            pass
    return [parse_number(text, decimal_comma) for text in texts]


def is_number_like(text: str) -> bool:
    """Return whether a field looks like a number.

    It accepts more than :func:`parse_number`.

    Args:
        text (str): The field. ``1_000``, ``1e3`` and digits of other scripts
            look like numbers, too.
    """
    if _DECIMAL_COMMA.fullmatch(text):
        return True
    try:
        float(text)
    except ValueError:
        return False
    return True


def parse_flag(text: str) -> Optional[bool]:
    """Parse a yes-or-no field; return None if it has another content.

    Args:
        text (str): true, false, 1, 0, 1.0, 0.0, yes or no, in upper or lower
            case.
    """
    text = text.strip().lower()
    return True if text in _TRUE else False if text in _FALSE else None


def suggest_name(text: str, known: Sequence[str]) -> str:
    """Return a sentence that suggests the most similar known name.

    Args:
        text (str): The name that was found.
        known (Sequence[str]): The known names, at least one.
    """
    lower = {name.lower(): name for name in known}
    found = difflib.get_close_matches(text.strip().lower(), lower, n=1)
    listed = ', '.join(list(known)[:10]) + (', ...' if len(known) > 10 else '')
    guess = f'Did you mean {lower[found[0]]!r}? ' if found else ''
    return f'{guess}Known are {listed}.'
