"""The flag ``--noise``: its forms, and the names that it gives to configs."""

import re
from typing import Callable, NamedTuple, Optional, Sequence, Tuple

from mmfer.utils.text_files import clipped
from mmfer.utils.text_tables import parse_number


class NoiseType(NamedTuple):
    """One kind of noise that ``--noise`` knows.

    Attributes:
        generator (str): Registered name of the class that plants it.
        suffix (str): Its word in the name of a config, before the percentage.
        share (Callable, optional): Function that maps the rates and the number of
            classes to the noise rate that a method is told. None: the noise has no
            rate that could be chosen.
    """

    generator: str
    suffix: str
    share: Optional[Callable[[Sequence[float], int], float]]


def _rate(rates: Sequence[float], num_classes: int) -> float:
    """Return the rate itself: every drawn label is wrong."""
    return rates[0]


def _half(rates: Sequence[float], num_classes: int) -> float:
    """Return half of the rate, as JoCoR's code does: half of the classes change."""
    return rates[0] / 2


def _other_classes(rates: Sequence[float], num_classes: int) -> float:
    """Return the noise rate if a draw can also give the own class."""
    return rates[0] * (1 - 1 / num_classes)


def _mean(rates: Sequence[float], num_classes: int) -> float:
    """Return the noise rate if all classes are equally large."""
    return sum(rates) / len(rates)


NOISE_TYPES = {
    'symmetric': NoiseType('SymmetricNoise', 'noise', _rate),
    'uniform': NoiseType('UniformNoise', 'uniform', _other_classes),
    'pair': NoiseType('PairNoise', 'pair', _rate),
    'asymmetric': NoiseType('AsymmetricNoise', 'asym', _half),
    'classdep': NoiseType('ClassDependentNoise', 'classdep', _mean),
    'bernoulli_symmetric': NoiseType(
        'BernoulliSymmetricNoise', 'bernoullisymmetric', _rate
    ),
    'bernoulli_uniform': NoiseType(
        'BernoulliUniformNoise', 'bernoulliuniform', _other_classes
    ),
    'vote': NoiseType('VoteNoise', 'vote', None),
}
_PERCENT = r'[0-9]+(?:\.[0-9]+)?'
_RATED = '|'.join(t.suffix for t in NOISE_TYPES.values() if t.share)
_UNRATED = '|'.join(t.suffix for t in NOISE_TYPES.values() if not t.share)
# Part of a config's name that states the noise, as ``_noise30``, ``_pair10seed1`` or
# ``_vote``.
SUFFIX = re.compile(
    rf'_(?:(?P<rated>{_RATED})(?P<percent>{_PERCENT}(?:-{_PERCENT})*)'
    rf'|(?P<unrated>{_UNRATED}))(?P<seed>seed[0-9]{{1,10}})?(?=_|$)'
)
_FLAG = re.compile(
    r'(?P<kind>[^:]*)(?::(?!seed[0-9])(?P<rates>[^:]*))?(?::seed(?P<seed>[0-9]{1,10}))?'
)


class NoiseFlag(NamedTuple):
    """Parsed value of ``--noise``.

    Attributes:
        kind (str): Key of :data:`NOISE_TYPES`.
        rates (tuple[float]): One rate in [0, 1); for ``classdep`` one per class; none
            for ``vote``.
        seed (int, optional): Seed of the draws; None if the flag has no seed.
    """

    kind: str
    rates: Tuple[float, ...]
    seed: Optional[int] = None

    @property
    def suffix(self) -> str:
        """str: Part that is added to the name of the config, as ``noise30``."""
        percent = '-'.join(f'{100 * rate:g}' for rate in self.rates)
        seed = f'seed{self.seed}' if self.seed else ''
        return f'{NOISE_TYPES[self.kind].suffix}{percent}{seed}'


def parse_noise(text: str) -> NoiseFlag:
    """Parse the value ``TYPE:RATE[:seedN]`` or ``vote[:seedN]`` of ``--noise``.

    Args:
        text (str): For example ``symmetric:0.3`` or ``pair:0.1:seed1``;
            ``classdep`` has one rate per class, as in
            ``classdep:0.1,0.5,0.3,0,0.4,0.2,0``.

    Raises:
        ValueError: The form, the type or a rate is wrong.
    """
    form = 'Write TYPE:RATE or TYPE:RATE:seedN, for example --noise symmetric:0.3'
    match = _FLAG.fullmatch(text)
    text = clipped(text)
    kind = match['kind'] if match else ''
    if match is None or (match['rates'] is None and not _has_no_rate(kind)):
        raise ValueError(f'--noise {text}: this form cannot be read. {form}.')
    if kind not in NOISE_TYPES:
        raise ValueError(
            f'--noise {text}: there is no noise type {clipped(kind)!r}. Choose from '
            f'{", ".join(NOISE_TYPES)}.'
        )
    seed = None if match['seed'] is None else int(match['seed'])
    if _has_no_rate(kind):
        if match['rates'] is not None:
            raise ValueError(
                f'--noise {text}: {kind} noise has no rate, because it follows from '
                f'the data set. Write --noise {kind} or {kind}:seedN.'
            )
        return NoiseFlag(kind, (), seed)
    # float() would also read 0_1 and digits of other scripts.
    found = [parse_number(rate) for rate in match['rates'].split(',')]
    rates = tuple(rate for rate in found if rate is not None)
    if len(rates) < len(found):
        raise ValueError(
            f'--noise {text}: {clipped(match["rates"])!r} is not a number. {form}.'
            if match['rates']
            else f'--noise {text}: the rate is missing. {form}.'
        )
    if len(rates) > 1 and kind != 'classdep':
        raise ValueError(
            f'--noise {text}: {kind} noise has one rate, but {len(rates)} are given. '
            'Only classdep has several rates, separated by commas. Write decimals '
            'with a point, as in 0.3.'
        )
    for rate in rates:
        if not 0 <= rate < 1:
            raise ValueError(
                f'--noise {text}: the rate {rate:g} is not in [0, 1). The rate is '
                f'the share of labels to change: for 30 %, write {kind}:0.3.'
            )
    return NoiseFlag(kind, rates, seed)


def _has_no_rate(kind: str) -> bool:
    """Return whether there is a noise of this kind, and it has no rate."""
    return kind in NOISE_TYPES and NOISE_TYPES[kind].share is None


def flag_of(match: re.Match) -> str:
    """Return the value of ``--noise`` for a match of :data:`SUFFIX`."""
    suffix = match['rated'] or match['unrated']
    parts = [next(k for k, t in NOISE_TYPES.items() if t.suffix == suffix)]
    if match['percent']:
        numbers = match['percent'].split('-')
        parts.append(','.join(f'{float(number) / 100:g}' for number in numbers))
    return ':'.join([*parts, *([match['seed']] if match['seed'] else [])])
