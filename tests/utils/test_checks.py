import math

import numpy as np
import pytest

from mmfer.utils import checks
from mmfer.utils.checks import (
    choices,
    exclusive,
    in_range,
    instance,
    number_pair,
    positive_int,
    whole_number,
)

PAIR = 'must be two numbers (low, high) with 0 <= low < high'


class Owner:
    pass


@pytest.mark.parametrize(
    'check, arguments, value',
    [
        (choices, (('a', 'b'),), 'b'),
        (choices, ((7, 8),), 7),
        (choices, ({'a': 1},), 'a'),
        (in_range, (0, 1), 0),
        (in_range, (0, 1), 1.0),
        (in_range, (0, 1), np.float32(0.3)),
        (in_range, (0,), 10**9),
        (in_range, (None, 2), -1e9),
        (in_range, (), -3.5),
        (number_pair, (0, 1), (0, 1)),
        (number_pair, (0,), (np.float32(0.5), 2**40)),
        (whole_number, (0, 3), 3),
        (whole_number, (), -3),
        (positive_int, (), np.int64(1)),
        (instance, (int,), 3),
        (instance, ((str, list),), []),
    ],
)
def test_what_is_accepted_comes_back_as_it_is(check, arguments, value):
    assert check(Owner(), 'x', value, *arguments) is value


@pytest.mark.parametrize(
    'check, arguments, value, message',
    [
        (choices, (('a', 'b', 'c'),), 'd', "must be 'a', 'b' or 'c', got 'd'."),
        (choices, (('a', 'b'),), None, "must be 'a' or 'b', got None."),
        (choices, ((0, 1),), True, 'must be 0 or 1, got True.'),
        (choices, ((False, True),), 1, 'must be False or True, got 1.'),
        (in_range, (0, 1), -1e-9, 'must lie in [0, 1], got -1e-09.'),
        (in_range, (0, 1), 1.5, 'must lie in [0, 1], got 1.5.'),
        (in_range, (0, 1), math.nan, 'must lie in [0, 1], got nan.'),
        (in_range, (0, 1), '0.5', "must lie in [0, 1], got '0.5'."),
        (in_range, (0, 1), True, 'must lie in [0, 1], got True.'),
        (in_range, (0,), math.inf, 'must be a number of at least 0, got inf.'),
        (in_range, (None, 2), 3, 'must be a number of at most 2, got 3.'),
        (in_range, (), math.nan, 'must be a finite number, got nan.'),
        (number_pair, (0, 1), (1, 0), f'{PAIR} <= 1, got (1, 0).'),
        (number_pair, (0, 1), (0.5, 0.5), f'{PAIR} <= 1, got (0.5, 0.5).'),
        (number_pair, (0, 1), (0, 1, 2), f'{PAIR} <= 1, got (0, 1, 2).'),
        (number_pair, (0, 1), 'ab', f"{PAIR} <= 1, got 'ab'."),
        (number_pair, (0,), 3, f'{PAIR}, got 3.'),
        (number_pair, (0,), (0, math.inf), f'{PAIR}, got (0, inf).'),
        (whole_number, (0, 3), 4, 'must be a whole number from 0 to 3, got 4.'),
        (whole_number, (0,), -1, 'must be a whole number of at least 0, got -1.'),
        (whole_number, (None, 3), 4, 'must be a whole number of at most 3, got 4.'),
        (whole_number, (), 1.0, 'must be a whole number, got 1.0.'),
        (positive_int, (), 0, 'must be a whole number of at least 1, got 0.'),
        (positive_int, (), True, 'must be a whole number of at least 1, got True.'),
        (positive_int, (), None, 'must be a whole number of at least 1, got None.'),
    ],
)
def test_what_is_refused(check, arguments, value, message):
    with pytest.raises(ValueError) as error:
        check(Owner(), 'x', value, *arguments)
    assert str(error.value) == f'Owner: x {message}'


def test_open_ends():
    for pair, options in (((0, 1), dict(open_low=True)), ((1, 1), {})):
        with pytest.raises(ValueError, match='two numbers'):
            number_pair('', 'x', pair, 0, 2, **options)
    assert number_pair('', 'x', [1, 1], 0, strict=False) == (1, 1)
    with pytest.raises(ValueError, match=r'x must lie in \(0, 1\], got 0\.'):
        in_range('', 'x', 0, 0, 1, open_low=True)
    with pytest.raises(ValueError, match=r'x must lie in \[0, 1\), got 1\.'):
        in_range('', 'x', 1, 0, 1, open_high=True)
    with pytest.raises(ValueError, match='x must be a number above 0, got 0'):
        in_range('', 'x', 0, 0, open_low=True)
    with pytest.raises(ValueError, match='x must be a number below 1, got 1'):
        in_range('', 'x', 1, high=1, open_high=True)
    assert in_range('', 'x', 0.5, 0, 1, open_low=True, open_high=True) == 0.5


@pytest.mark.parametrize(
    'check, arguments, wrong, message',
    [
        (choices, (('a',),), 'b', "'a' or None"),
        (in_range, (0, 1), 2, r'in \[0, 1\] or be None'),
        (in_range, (0,), -1, 'at least 0 or be None'),
        (positive_int, (), 0, 'at least 1 or None'),
    ],
)
def test_none_where_it_is_optional(check, arguments, wrong, message):
    assert check('', 'x', None, *arguments, optional=True) is None
    with pytest.raises(ValueError, match=message):
        check('', 'x', wrong, *arguments, optional=True)


@pytest.mark.parametrize('owner', ['Owner', Owner, Owner()])
def test_owner_and_hint(owner):
    with pytest.raises(ValueError) as error:
        positive_int(owner, 'x', 0, hint='Leave it out.')
    assert str(error.value) == (
        'Owner: x must be a whole number of at least 1, got 0. Leave it out.'
    )


def test_instance():
    with pytest.raises(TypeError) as error:
        instance('', 'x', 3, (str, list))
    assert str(error.value) == 'x must be a str or list, got int.'
    assert instance('', 'x', None, str, optional=True) is None


def test_exclusive():
    exclusive(Owner(), a=None, b=False, c=0)
    exclusive(Owner(), a=None, b=None)
    with pytest.raises(ValueError) as error:
        exclusive(Owner(), a=0, b=[], c=None)
    assert str(error.value) == 'Owner: a and b exclude each other. Choose one.'
    with pytest.raises(ValueError, match='other. Drop b.'):
        exclusive(Owner(), 'Drop b.', a=1, b=2)


@pytest.mark.parametrize('value', [np.bool_(True), True])
def test_truth_values_are_no_numbers(value):
    assert not checks.is_number(value) and not checks.is_whole(value)


def test_join_words():
    assert checks.join_words([]) == ''
    assert checks.join_words(['a']) == 'a'
    assert checks.join_words('abc', 'and') == 'a, b and c'
